// The rows of the table: only those near the window are in the document, so that thousands cost no more than thirty.

/** An element with attributes and children. Text becomes text nodes, never markup. */
function element(name, attributes = {}, ...children) {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (key.startsWith("on")) made.addEventListener(key.slice(2), value);
    else if (value === true) made.setAttribute(key, "");
    else if (value !== false && value !== undefined) made.setAttribute(key, value);
  }
  made.append(...children.filter((child) => child !== ""));
  return made;
}

const SVG = "http://www.w3.org/2000/svg";

/** A state with its sign. */
function badge(state) {
  const icon = document.createElementNS(SVG, "svg");
  const use = document.createElementNS(SVG, "use");
  icon.setAttribute("class", "icon");
  icon.setAttribute("aria-hidden", "true");
  use.setAttribute("href", `#icon-${state}`);
  icon.append(use);
  return element("span", { class: `state state-${state}` }, icon, element("span", {}, state));
}

/** A long name with places to break it: after what separates its parts. */
const breakable = (words) => words.split(/(?<=[./:@,\]])/).flatMap((part, at) => (at ? [document.createElement("wbr"), part] : [part]));

const HEADERS = { state: "State", resource: "Resource", container: "Container", policy: "Policy", severity: "Severity", reason: "Reason" };
// Browsers draw no taller box than some tens of millions of pixels. In taller lists a pixel of scrolling is several of rows.
const TALLEST = 8_000_000;
const AROUND = 10;

class List {
  /** `open` is called with a row that is chosen, `sort` with the name of a column, `address` gives a row's. */
  constructor(table, { open, sort, address }) {
    this.table = table;
    this.body = table.tBodies[0];
    this.open = open;
    this.address = address;
    this.rows = new Int32Array(0);
    this.sizes = null;
    this.active = NOTHING;
    this.selected = NOTHING;
    this.drawn = new Map();
    this.whole = false;
    this.above = this.gap();
    this.below = this.gap();
    this.body.append(this.above, this.below);
    const head = table.tHead.rows[0];
    for (const [name, title] of Object.entries(HEADERS)) {
      const button = element("button", { type: "button", tabindex: "-1", onclick: () => sort(name) }, title);
      head.append(element("th", { role: "columnheader", scope: "col", class: `c-${name}`, "data-name": name }, button));
    }
    table.addEventListener("keydown", (event) => this.key(event));
    this.body.addEventListener("click", (event) => this.click(event));
    const draw = () => this.later();
    addEventListener("scroll", draw, { passive: true });
    addEventListener("resize", draw, { passive: true });
  }

  gap() {
    return element("tr", { class: "gap", role: "presentation" }, element("td", { role: "presentation" }));
  }

  show(rows, sizes, sort) {
    const stays = this.active === NOTHING ? NOTHING : this.rows[this.active];
    this.rows = rows;
    this.sizes = sizes;
    this.active = stays === NOTHING ? NOTHING : rows.indexOf(stays);
    for (const each of this.drawn.values()) each.remove();
    this.drawn.clear();
    this.table.setAttribute("aria-rowcount", rows.length + 1);
    this.table.hidden = rows.length === 0;
    for (const header of this.table.tHead.rows[0].cells) {
      const sorted = sort.replace(/^-/, "") === header.dataset.name;
      header.setAttribute("aria-sort", sorted ? (sort.startsWith("-") ? "descending" : "ascending") : "none");
    }
    this.draw();
  }

  /** Where the active row stands in the window; null when it is out of sight. */
  top() {
    return this.drawn.get(this.active)?.getBoundingClientRect().top ?? null;
  }

  select(row) {
    this.selected = row;
    if (row !== NOTHING && this.rows[this.active] !== row) this.active = this.rows.indexOf(row);
    this.mark();
  }

  later() {
    if (this.asked) return;
    this.asked = true;
    requestAnimationFrame(() => {
      this.asked = false;
      this.draw();
    });
  }

  /** The height of a row, which the style sheet says. */
  get height() {
    return parseFloat(getComputedStyle(this.table).getPropertyValue("--row")) || 56;
  }

  /** Draw what is near the window, or all for paper. */
  draw() {
    const count = this.rows.length;
    const height = this.height;
    const tall = count * height;
    const room = Math.min(tall, TALLEST);
    const fitting = Math.ceil(innerHeight / height);
    const top = Math.min(Math.max(0, -this.body.getBoundingClientRect().top), Math.max(0, room - innerHeight));
    const share = tall > room ? top / (room - innerHeight) : 0;
    const at = tall > room ? Math.floor(share * (count - fitting)) : Math.floor(top / height);
    const first = this.whole ? 0 : Math.max(0, at - AROUND);
    const last = this.whole ? count : Math.min(count, at + fitting + AROUND);
    for (const [place, each] of this.drawn) {
      if (place < first || place >= last) {
        each.remove();
        this.drawn.delete(place);
      }
    }
    let after = this.below;
    for (let place = last - 1; place >= first; place--) {
      let each = this.drawn.get(place);
      if (!each) {
        this.drawn.set(place, (each = this.row(place)));
        this.body.insertBefore(each, after);
      }
      after = each;
    }
    const before = tall > room ? Math.max(0, top - (at - first) * height) : first * height;
    const drawnHeight = (last - first) * height;
    this.above.firstChild.style.height = `${this.whole ? 0 : before}px`;
    this.below.firstChild.style.height = `${this.whole ? 0 : Math.max(0, room - before - drawnHeight)}px`;
    this.mark();
  }

  /** All rows at once, for paper; or just those near the window again. */
  drawWhole(whole) {
    if (this.whole === whole) return;
    this.whole = whole;
    this.draw();
  }

  row(place) {
    const row = this.rows[place];
    const entry = rows.entry[row];
    const assignment = assignmentOf(entry);
    const namespace = text(entries.namespace[entry]);
    const type = field(entry, "type");
    const cell = (name, ...children) => element("td", { role: "gridcell", class: `c-${name}` }, ...children);
    const [name, about] = this.names(row);
    const reason = field(entry, "message") || exemptionOf(entry)?.name || "–";
    const link = element("a", { class: "name", tabindex: "-1", href: `#${this.address(row)}`, title: name }, name);
    const second = (words) => (words ? element("small", { title: words }, words) : "");
    const severity = assignment.severity.toLowerCase();
    const known = SEVERITIES.includes(severity) ? ` severity-${severity}` : "";
    return element(
      "tr",
      { role: "row", class: "row", id: `row-${place}`, "aria-rowindex": place + 2, "data-place": place },
      cell("state", badge(stateOf(entry))),
      cell("resource", link, second([clusterOf(entry), namespace, about].filter(Boolean).join(" · "))),
      cell("container", ...(field(entry, "container")
        ? [element("span", {}, field(entry, "container"), TYPES[type] ? ` (${TYPES[type].split(" ")[0]})` : ""), second(field(entry, "image"))]
        : [element("span", { class: "none" }, "–")])),
      cell("policy", element("span", {}, assignment.name), second(assignment.effect)),
      cell("severity", element("span", { class: `severity${known}` }, assignment.severity || "–")),
      cell("reason", element("span", { title: reason }, reason), second(placeOf(row) || field(entry, "path"))),
    );
  }

  /** What a row is about, and of how many replicas; or which replica, and whose. */
  names(row) {
    const entry = rows.entry[row];
    const kind = text(entries.kind[entry]);
    if (entries.owner[entry] === NOTHING) return [workload(row), ""];
    if (!this.sizes) return [`${kind}/${nameOf(row)}`, workload(row)];
    const size = this.sizes[entry];
    return [workload(row), size > 1 ? plural(size, kind.toLowerCase()) : `${kind.toLowerCase()} ${nameOf(row)}`];
  }

  mark() {
    for (const [place, each] of this.drawn) {
      const active = place === this.active;
      each.classList.toggle("active", active);
      each.setAttribute("aria-selected", this.selected !== NOTHING && this.rows[place] === this.selected);
    }
    if (this.drawn.has(this.active)) this.table.setAttribute("aria-activedescendant", `row-${this.active}`);
    else this.table.removeAttribute("aria-activedescendant");
  }

  click(event) {
    const place = event.target.closest("tr.row")?.dataset.place;
    if (place === undefined || event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;
    if (getSelection().toString() && !event.target.closest("a")) return;
    event.preventDefault();
    this.active = Number(place);
    this.open(this.rows[this.active], { focus: true });
  }

  key(event) {
    if (event.target !== this.table && event.target.closest("thead")) return;
    if (event.altKey || event.ctrlKey || event.metaKey) return;
    const page = Math.max(1, Math.floor(innerHeight / this.height) - 2);
    const steps = { ArrowDown: 1, ArrowUp: -1, PageDown: page, PageUp: -page, Home: -Infinity, End: Infinity };
    if (event.key in steps) {
      event.preventDefault();
      const next = this.active === NOTHING && steps[event.key] === 1 ? 0 : this.active + steps[event.key];
      this.go(Math.min(Math.max(0, next), this.rows.length - 1));
    } else if ((event.key === "Enter" || event.key === " ") && this.active !== NOTHING) {
      event.preventDefault();
      this.open(this.rows[this.active], { focus: true });
    }
  }

  /** Make a row the active one, and bring it into sight. When details are open they follow. */
  go(place) {
    this.active = place;
    this.reveal(place);
    this.draw();
    if (this.selected !== NOTHING) this.open(this.rows[place], { focus: false });
  }

  reveal(place) {
    const tall = this.rows.length * this.height;
    const room = Math.min(tall, TALLEST);
    const box = this.body.getBoundingClientRect();
    const head = this.table.tHead.offsetHeight;
    const top = tall > room ? (place / Math.max(1, this.rows.length - 1)) * (room - innerHeight) : place * this.height;
    const above = box.top + top - head - 8;
    const below = box.top + top + this.height + 8 - innerHeight;
    if (tall > room) scrollBy(0, box.top + top);
    else if (above < 0) scrollBy(0, above);
    else if (below > 0) scrollBy(0, below);
  }
}
