// What the page shows, and the part of its address behind "#" that says so: links and the back button lead to it.

const EVERYTHING = { text: "", cluster: "", namespace: "", policy: "", states: [], sort: "", each: false, finding: "", resource: "" };
const GROUPED_AT_FIRST = document.getElementById("app")?.dataset.each !== "yes";

/** What an address asks for. What it does not know it takes for not said. */
function fromAddress(hash) {
  const said = new URLSearchParams(hash.replace(/^#/, ""));
  const known = (name, values) => (values.includes(said.get(name)) ? said.get(name) : "");
  const sort = said.get("sort") ?? "";
  const replicas = said.get("replicas");
  return {
    text: said.get("text") ?? "",
    cluster: known("cluster", CLUSTERS),
    namespace: known("namespace", NAMESPACES),
    policy: known("policy", POLICIES),
    states: STATES.filter((state) => (said.get("state") ?? "").split(",").includes(state)),
    sort: Object.hasOwn(ORDERS, sort.replace(/^-/, "")) ? sort : "",
    each: replicas === null ? !GROUPED_AT_FIRST : replicas === "each",
    finding: known("finding", links),
    resource: said.get("resource") ?? "",
  };
}

/** The address of what is shown, without "#"; empty for everything. */
function toAddress(shown) {
  const said = new URLSearchParams();
  for (const name of ["cluster", "namespace", "policy", "text", "sort"]) if (shown[name]) said.set(name, shown[name]);
  if (shown.states.length) said.set("state", shown.states.join(","));
  if (shown.each === GROUPED_AT_FIRST) said.set("replicas", shown.each ? "each" : "grouped");
  if (shown.finding) said.set("finding", shown.finding);
  if (shown.finding && shown.resource) said.set("resource", shown.resource);
  return said.toString().replaceAll("%2C", ",").replaceAll("%2F", "/");
}

/** The row that an address names. */
function rowAt(shown) {
  const entry = shown.finding ? links.indexOf(shown.finding) : NOTHING;
  if (entry === NOTHING) return NOTHING;
  return rowsOf(entry).find((row) => nameOf(row) === shown.resource) ?? firstRow[entry];
}

/** What names a row in an address. */
const addressOf = (row, each) => ({ finding: links[rows.entry[row]], resource: each ? nameOf(row) : "" });
