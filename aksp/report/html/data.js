"use strict";
// The page's data: every text once, columns of numbers, and what is worked out from them once.

const NOTHING = -1;
const data = JSON.parse(document.getElementById("data").textContent);
const numbers = (values) => Int32Array.from(values);
const columns = (of) => Object.fromEntries(Object.entries(of).map(([name, values]) => [name, numbers(values)]));
const findings = columns(data.findings);
const entries = columns({ ...data.entries, link: [] });
const links = data.entries.link;
const resources = columns(data.resources);
const rows = columns(data.rows);
const ROWS = rows.entry.length;
const ENTRIES = links.length;

// The states as they are listed: what needs attention first.
const STATES = ["NonCompliant", "Error", "Conflicting", "Unknown", "NotStarted", "Exempt", "Compliant"];
const SEVERITIES = ["critical", "high", "medium", "low", "info"];
const TYPES = { initContainers: "init container", ephemeralContainers: "ephemeral container" };

const text = (at) => (at === NOTHING ? "" : data.strings[at]);
const field = (entry, name) => text(findings[name][entries.finding[entry]]);
const stateOf = (entry) => data.states[entries.state[entry]];
const assignmentOf = (entry) => data.assignments[entries.assignment[entry]];
const nameOf = (row) => text(resources.name[rows.resource[row]]);
const workload = (row) => {
  const entry = rows.entry[row];
  return text(entries.owner[entry]) || `${text(entries.kind[entry])}/${nameOf(row)}`;
};
const placeOf = (row) => {
  const file = text(resources.file[rows.resource[row]]);
  return file && `${file === "-" ? "<stdin>" : file}:${rows.line[row]}`;
};
const plural = (count, noun) => {
  const many = /(s|x|ch)$/.test(noun) ? `${noun}es` : /[^aeiou]y$/.test(noun) ? `${noun.slice(0, -1)}ies` : `${noun}s`;
  return `${count.toLocaleString("en")} ${count === 1 ? noun : many}`;
};

// Rows about one container of one resource have one number; those about a whole resource one too.
const containerOf = new Int32Array(ROWS);
const CONTAINERS = (() => {
  const known = new Map();
  const within = new Map();
  const named = numbers(findings.container.map((name, at) => {
    const key = `${name} ${findings.type[at]}`;
    return known.get(key) ?? (known.set(key, known.size), known.size - 1);
  }));
  for (let row = 0; row < ROWS; row++) {
    const key = rows.resource[row] * known.size + named[entries.finding[rows.entry[row]]];
    let at = within.get(key);
    if (at === undefined) within.set(key, (at = within.size));
    containerOf[row] = at;
  }
  return within.size;
})();

// Which rows an entry has: replicas of a workload share one.
const firstRow = new Int32Array(ENTRIES).fill(NOTHING);
const replicas = new Int32Array(ENTRIES);
for (let row = 0; row < ROWS; row++) {
  const entry = rows.entry[row];
  if (firstRow[entry] === NOTHING) firstRow[entry] = row;
  replicas[entry]++;
}
const rowsOf = (entry) => {
  const found = [];
  for (let row = firstRow[entry]; row < ROWS; row++) if (rows.entry[row] === entry) found.push(row);
  return found;
};

// What is searched, in lower case: of an entry, and of a resource.
const searched = (() => {
  const lower = data.strings.map((each) => each.toLowerCase());
  const at = (index) => (index === NOTHING ? "" : lower[index]);
  const words = data.assignments.map((each) =>
    [each.name, each.title, each.definition, each.effect, each.severity].join("\n").toLowerCase());
  const exemptions = data.exemptions.map((each) => `${each.name}\n${each.category}`.toLowerCase());
  const found = Object.values(findings);
  const ofFinding = Array.from(findings.message, (_, finding) => found.map((one) => at(one[finding])).join("\n"));
  return {
    entry: links.map((_, entry) => [
      ofFinding[entries.finding[entry]], (data.clusters[entries.cluster[entry]] ?? "").toLowerCase(), at(entries.namespace[entry]), at(entries.owner[entry]), at(entries.kind[entry]),
      words[entries.assignment[entry]], data.states[entries.state[entry]].toLowerCase(),
      entries.exemption[entry] === NOTHING ? "" : exemptions[entries.exemption[entry]],
    ].join("\n")),
    resource: Array.from(resources.name, (name, resource) => `${at(name)}\n${at(resources.file[resource])}`),
  };
})();

// Several clusters, or none where there is but one.
const CLUSTERS = data.clusters;
const clusterOf = (entry) => (entries.cluster[entry] === NOTHING ? "" : CLUSTERS[entries.cluster[entry]]);

// What the selects offer; what has no namespace goes by a name that no namespace can have.
const CLUSTER_SCOPED = "-";
const namespaceOf = (entry) => text(entries.namespace[entry]) || CLUSTER_SCOPED;
const NAMESPACES = [...new Set(Array.from(entries.namespace, (_, entry) => namespaceOf(entry)))].sort();
const POLICIES = data.assignments.map((each) => each.name);
// An initiative's members have its assignment's name before a slash; what is of a member is of the initiative too.
const WHOLE = POLICIES.map((name) => POLICIES.indexOf(name.split("/")[0]));
