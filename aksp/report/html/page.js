// The page put to work: theme, filters, rows and details, and the address that follows them.

const byId = (id) => document.getElementById(id);

function startTheme() {
  const root = document.documentElement;
  const button = byId("theme");
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const isDark = () => (root.dataset.theme ? root.dataset.theme === "dark" : dark.matches);
  const label = () => (button.lastElementChild.textContent = isDark() ? "Light theme" : "Dark theme");
  // A page from a mail attachment may have no storage; then the choice lasts as long as the page.
  try {
    const kept = localStorage.getItem("aksp-theme");
    if (kept === "light" || kept === "dark") root.dataset.theme = kept;
  } catch {}
  button.addEventListener("click", () => {
    root.dataset.theme = isDark() ? "light" : "dark";
    try {
      localStorage.setItem("aksp-theme", root.dataset.theme);
    } catch {}
    label();
  });
  dark.addEventListener("change", label);
  label();
  button.hidden = false;
}

function startFindings() {
  const panel = byId("detail");
  let shown = { ...EVERYTHING };
  let drawnQuery = "";

  const address = (row) => toAddress({ ...shown, ...addressOf(row, shown.each) });
  const list = new List(byId("grid"), { open, sort, address });

  /** Show something else, and say so in the address. `step` makes it one step back for the back button. */
  function change(what, { step = true } = {}) {
    shown = { ...shown, ...what };
    const hash = `#${toAddress(shown)}`;
    if (hash !== (location.hash || "#")) {
      if (step) location.hash = hash;
      else location.replace(hash);
    }
    draw();
  }

  function open(row, { focus = true } = {}) {
    const wasOpen = !panel.hidden;
    change(addressOf(row, shown.each), { step: !wasOpen || focus });
    if (focus) byId("detail-title").focus();
  }

  function close() {
    change({ finding: "", resource: "" });
    list.table.focus({ preventScroll: true });
  }

  function sort(name) {
    change({ sort: shown.sort === name ? `-${name}` : shown.sort === `-${name}` ? "" : name });
  }

  function draw() {
    const query = toAddress({ ...shown, finding: "", resource: "" });
    if (query !== drawnQuery || !list.rows.length) {
      drawnQuery = query;
      const found = find(shown);
      list.show(sorted(found.list, shown.sort), found.sizes, shown.sort);
      drawFilters(shown, found);
    }
    drawPanel();
  }

  function drawPanel() {
    const row = rowAt(shown);
    const before = list.top();
    panel.hidden = row === NOTHING;
    document.body.classList.toggle("with-detail", row !== NOTHING);
    // On a narrow window the panel covers the page, which must not be reachable behind it.
    byId("whole").inert = row !== NOTHING && innerWidth <= 900;
    if (row !== NOTHING) {
      drawDetail(panel, row, { go: open, close, address });
      panel.scrollTop = 0;
    }
    const listed = row !== NOTHING && !shown.each ? list.rows.find((each) => rows.entry[each] === rows.entry[row]) : row;
    list.select(listed ?? NOTHING);
    list.draw();
    // The panel makes the filters narrower, and so taller: the rows stay where they were.
    if (before !== null) scrollBy(0, (list.top() ?? before) - before);
  }

  byId("text").addEventListener("input", (event) => change({ text: event.target.value }, { step: false }));
  byId("namespace").addEventListener("change", (event) => change({ namespace: event.target.value }));
  byId("cluster")?.addEventListener("change", (event) => change({ cluster: event.target.value }));
  byId("policy").addEventListener("change", (event) => change({ policy: event.target.value }));
  byId("replicas").addEventListener("change", (event) => change({ each: !event.target.checked }));
  byId("clear").addEventListener("click", () => {
    change({ text: "", cluster: "", namespace: "", policy: "", states: [] });
    byId("text").focus();
  });
  byId("filters").addEventListener("submit", (event) => event.preventDefault());
  byId("states").addEventListener("click", (event) => {
    const state = event.target.closest("button")?.dataset.state;
    if (!state) return;
    const others = shown.states.filter((each) => each !== state);
    change({ states: others.length === shown.states.length ? STATES.filter((each) => each === state || others.includes(each)) : others });
  });
  byId("assignments")?.addEventListener("click", (event) => {
    const policy = event.target.closest("a") && event.target.closest("tr").dataset.policy;
    if (!policy || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    change({ policy, finding: "", resource: "" });
    byId("findings").focus({ preventScroll: true });
    byId("findings").scrollIntoView();
  });
  byId("clusters")?.addEventListener("click", (event) => {
    const link = event.target.closest("a");
    if (!link || event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    change({ ...EVERYTHING, each: shown.each, sort: shown.sort, cluster: link.dataset.cluster, policy: link.dataset.policy });
    byId("findings").focus({ preventScroll: true });
    byId("findings").scrollIntoView();
  });
  addEventListener("hashchange", () => {
    const asked = fromAddress(location.hash);
    if (location.hash === "#findings" || toAddress(asked) === toAddress(shown)) return;
    shown = asked;
    draw();
  });
  addEventListener("keydown", (event) => {
    if (event.key === "Escape" && !panel.hidden) close();
    else if (event.key === "/" && !/^(INPUT|SELECT|TEXTAREA)$/.test(document.activeElement.tagName)) {
      event.preventDefault();
      byId("text").focus();
    }
  });
  addEventListener("resize", () => (byId("whole").inert = !panel.hidden && innerWidth <= 900));
  addEventListener("beforeprint", () => list.drawWhole(true));
  addEventListener("afterprint", () => list.drawWhole(false));
  matchMedia("print").addEventListener("change", (event) => list.drawWhole(event.matches));

  startFilters();
  byId("app").hidden = false;
  shown = fromAddress(location.hash);
  draw();
  if (rowAt(shown) !== NOTHING) {
    byId("findings").scrollIntoView();
    byId("detail-title").focus({ preventScroll: true });
  } else if (shown.policy || shown.cluster) byId("findings").scrollIntoView();
}

function startFilters() {
  for (const name of CLUSTERS) byId("cluster").append(element("option", { value: name }, name));
  for (const name of NAMESPACES) {
    byId("namespace").append(element("option", { value: name }, name === CLUSTER_SCOPED ? "(cluster-scoped)" : name));
  }
  for (const name of POLICIES) byId("policy").append(element("option", { value: name }, name));
  const present = new Set(Array.from(entries.state, (state) => data.states[state]));
  for (const state of STATES.filter((each) => present.has(each))) {
    byId("states").append(
      element("button", { type: "button", class: "chip", "data-state": state, "aria-pressed": "false" }, badge(state), element("b")));
  }
}

/** Set the filters to what is shown, with the counts of what each would find. */
function drawFilters(shown, found) {
  if (byId("text").value !== shown.text) byId("text").value = shown.text;
  if (CLUSTERS.length) byId("cluster").value = shown.cluster;
  byId("namespace").value = shown.namespace;
  byId("policy").value = shown.policy;
  byId("replicas").checked = !shown.each;
  byId("clear").hidden = !(shown.text || shown.cluster || shown.namespace || shown.policy || shown.states.length);
  const label = (option, name, count) => {
    const words = `${name} (${count.toLocaleString("en")})`;
    if (option.textContent !== words) option.textContent = words;
  };
  CLUSTERS.forEach((name, at) => label(byId("cluster").options[at + 1], name, found.count.cluster[at]));
  NAMESPACES.forEach((name, at) =>
    label(byId("namespace").options[at + 1], name === CLUSTER_SCOPED ? "(cluster-scoped)" : name, found.count.namespace[at]));
  POLICIES.forEach((name, at) => label(byId("policy").options[at + 1], name, found.count.policy[at]));
  for (const chip of byId("states").children) {
    chip.setAttribute("aria-pressed", shown.states.includes(chip.dataset.state));
    chip.lastElementChild.textContent = found.count.state[data.states.indexOf(chip.dataset.state)].toLocaleString("en");
  }
  for (const line of document.querySelectorAll("#assignments tbody tr")) {
    const at = POLICIES.indexOf(line.dataset.policy);
    line.querySelector(".count").textContent = (found.count.policy[at] ?? 0).toLocaleString("en");
    if (line.dataset.policy === shown.policy) line.setAttribute("aria-current", "true");
    else line.removeAttribute("aria-current");
  }
  const of = found.found < ROWS ? ` of ${ROWS.toLocaleString("en")}` : "";
  const containers = found.containers ? `, ${plural(found.containers, "container")}` : "";
  byId("summary").replaceChildren(
    element("b", {}, found.found.toLocaleString("en")), `${of} findings in ${plural(found.resources, "resource")}${containers}`);
  byId("empty").hidden = found.found > 0;
  drawAbout(shown.policy);
}

/** What the policy that is filtered by demands. */
function drawAbout(name) {
  const about = byId("about");
  const assignment = data.assignments.find((each) => each.name === name);
  about.hidden = !assignment;
  if (!assignment) return;
  const facts = [
    assignment.definition !== assignment.name && `definition ${assignment.definition}`,
    assignment.version && `version ${assignment.version}`,
    assignment.effect,
    assignment.mode && assignment.mode !== "Default" && assignment.mode,
    assignment.severity && `${assignment.severity.toLowerCase()} severity`,
    assignment.scope && `scope ${assignment.scope}`,
  ].filter(Boolean);
  about.replaceChildren(
    element("h3", {}, assignment.title || assignment.rule || assignment.name),
    element("p", { class: "lead" }, facts.join(" · ")),
    ...(assignment.description ? [element("p", {}, assignment.description)] : []),
    ...(assignment.remediation ? [element("p", {}, element("b", {}, "To comply: "), assignment.remediation)] : []),
  );
}

startTheme();
if (byId("app")) startFindings();
