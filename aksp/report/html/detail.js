// The panel of details: one container, what was found in it, and the YAML that fixes it.

const exemptionOf = (entry) => (entries.exemption[entry] === NOTHING ? null : data.exemptions[entries.exemption[entry]]);

/** Fill the panel with one row. `go` opens another row, `close` closes the panel. */
function drawDetail(panel, row, { go, close, address }) {
  const entry = rows.entry[row];
  const assignment = assignmentOf(entry);
  const state = stateOf(entry);
  const namespace = text(entries.namespace[entry]);
  panel.replaceChildren(
    element("div", { class: "detail-head" }, badge(state),
      element("button", { type: "button", class: "quiet-button", onclick: close, "aria-keyshortcuts": "Escape" }, "Close")),
    element("h2", { id: "detail-title", tabindex: "-1" }, ...breakable(workload(row))),
    element("p", { class: "lead" }, ...subtitle(row, namespace)),
    field(entry, "message") ? element("p", { class: `message of-${state}` }, field(entry, "message")) : "",
    fields(row),
    ...remediation(assignment),
    ...yaml(entry),
    ...others(row, go, address),
    ...replicaList(entry),
    ...demand(assignment),
  );
}

function subtitle(row, namespace) {
  const entry = rows.entry[row];
  const name = field(entry, "container");
  const type = field(entry, "type");
  const parts = [clusterOf(entry) && `cluster ${clusterOf(entry)}`, namespace ? `namespace ${namespace}` : "no namespace"];
  if (name) parts.push(`${TYPES[type] ?? "container"} ${name}`);
  return [parts.filter(Boolean).join(" · ")];
}

function fields(row) {
  const entry = rows.entry[row];
  const assignment = assignmentOf(entry);
  const exemption = exemptionOf(entry);
  const list = element("dl", { class: "fields" });
  const add = (title, value, kind = "") => {
    if (!value) return;
    const code = kind && element(value.includes("\n") ? "pre" : "span", { class: `code ${kind}`, ...(value.includes("\n") ? { tabindex: "0" } : {}) }, ...breakable(value));
    list.append(element("dt", { class: "detail-label" }, title), element("dd", {}, code || value));
  };
  add("Path", field(entry, "path"), "path");
  add("Observed", field(entry, "observed") || (field(entry, "path") && stateOf(entry) === "NonCompliant" ? "not set" : ""), "observed");
  add("Expected", field(entry, "expected"), "expected");
  if (field(entry, "image") !== field(entry, "observed")) add("Image", field(entry, "image"), "image");
  add("File", placeOf(row), "file");
  add("Policy", assignment.name + (assignment.definition === assignment.name ? "" : `, definition ${assignment.definition}`));
  add("Effect", assignment.effect + (assignment.mode && assignment.mode !== "Default" ? `, ${assignment.mode}` : ""));
  add("Severity", assignment.severity.toLowerCase());
  if (exemption) {
    add("Exemption", [exemption.name, exemption.category].filter(Boolean).join(", "));
    add("Ends", exemption.until);
    add("Why", exemption.why);
    add("Requested", exemption.by && `by ${exemption.by}`);
  }
  return list;
}

const remediation = (assignment) =>
  assignment.remediation ? [element("h3", {}, "Remediation"), element("p", {}, assignment.remediation)] : [];

const demand = (assignment) =>
  assignment.description ? [element("h3", {}, "What the policy demands"), element("p", {}, assignment.description)] : [];

function yaml(entry) {
  if (entries.remedy[entry] === NOTHING) return [];
  const [kind, ...lines] = data.remedies[entries.remedy[entry]].map(text);
  const pre = element("pre", { class: "yaml code", tabindex: "0", "aria-label": "YAML" });
  lines.forEach((line, at) => {
    if (at) pre.append("\n");
    const comment = /^\s*#/.test(line);
    const key = comment ? null : /^([\s-]*)((?:"(?:[^"\\]|\\.)*"|[^\s":]+):)(?=\s|$)(.*)$/.exec(line);
    if (comment) pre.append(element("span", { class: "comment" }, line));
    else if (key) pre.append(key[1], element("span", { class: "key" }, key[2]), key[3]);
    else pre.append(line);
  });
  const copy = element("button", { type: "button", class: "quiet-button" }, "Copy");
  copy.addEventListener("click", () => copyText(lines.join("\n") + "\n", pre, copy));
  const title = kind === "patch" ? "YAML to fix it" : "Where to fix it";
  const note = kind === "patch" ? "A strategic-merge patch: the smallest change that complies." : "The field in its object, and what is expected there.";
  return [element("h3", {}, title, copy), pre, element("p", { class: "lead note" }, note)];
}

/** Copy a text; where the browser forbids it, select it so that the user can. */
async function copyText(words, shown, button) {
  try {
    await navigator.clipboard.writeText(words);
    button.textContent = "Copied";
  } catch {
    getSelection().selectAllChildren(shown);
    button.textContent = "Selected";
  }
}

/** What else was found in the same container, or of the same resource. */
function others(row, go, address) {
  const found = [];
  const known = new Set([rows.entry[row]]);
  for (let other = 0; other < ROWS; other++) {
    if (containerOf[other] !== containerOf[row] || known.has(rows.entry[other])) continue;
    known.add(rows.entry[other]);
    found.push(other);
  }
  if (!found.length) return [];
  const list = element("ul", { class: "others" });
  for (const other of found) {
    const entry = rows.entry[other];
    const link = element("a", { href: `#${address(other)}` }, `${assignmentOf(entry).name}: ${field(entry, "message") || stateOf(entry)}`);
    link.addEventListener("click", (event) => {
      event.preventDefault();
      go(other, { focus: true });
    });
    list.append(element("li", {}, badge(stateOf(entry)), " ", link));
  }
  const where = field(rows.entry[row], "container") ? "container" : "resource";
  return [element("h3", {}, `Also in this ${where}`), list];
}

const FEW = 20;

function replicaList(entry) {
  if (entries.owner[entry] === NOTHING || replicas[entry] < 2) return [];
  const list = element("ul", { class: "replicas code" });
  const all = rowsOf(entry).map((row) => element("li", {}, nameOf(row)));
  list.append(...all.slice(0, FEW));
  const kind = text(entries.kind[entry]).toLowerCase();
  const parts = [element("h3", {}, `Found in ${plural(all.length, kind)}`), list];
  if (all.length > FEW) {
    const more = element("button", { type: "button", class: "quiet-button" }, `Show ${(all.length - FEW).toLocaleString("en")} more`);
    more.addEventListener("click", () => {
      list.append(...all.slice(FEW));
      more.remove();
    });
    parts.push(more);
  }
  return parts;
}
