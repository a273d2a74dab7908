// Which rows a query finds, in which order, and what is counted beside the filters.

const namespaceNumber = numbers(links.map((_, entry) => NAMESPACES.indexOf(namespaceOf(entry))));

/** The rows that a query finds, in groups, and how many there are by state, namespace and policy.
 *
 * A count beside a filter is of what that filter would find: all other filters hold for it, its own does not. */
function find(query) {
  const terms = query.text.toLowerCase().split(/\s+/).filter(Boolean).map((term) => ({
    entry: Uint8Array.from(searched.entry, (words) => words.includes(term)),
    resource: Uint8Array.from(searched.resource, (words) => words.includes(term)),
  }));
  const states = query.states.map((state) => data.states.indexOf(state));
  const namespace = NAMESPACES.indexOf(query.namespace);
  const cluster = CLUSTERS.indexOf(query.cluster);
  const policy = POLICIES.indexOf(query.policy);
  const fits = (filters, at) => filters.length === 0 || filters.includes(at);
  const inState = Uint8Array.from(entries.state, (state) => fits(states, state));
  const inCluster = Uint8Array.from(entries.cluster, (at) => query.cluster === "" || at === cluster);
  const inNamespace = Uint8Array.from(namespaceNumber, (at) => query.namespace === "" || at === namespace);
  const inPolicy = Uint8Array.from(entries.assignment, (at) => query.policy === "" || at === policy || WHOLE[at] === policy);

  const count = {
    state: new Int32Array(data.states.length),
    cluster: new Int32Array(CLUSTERS.length),
    namespace: new Int32Array(NAMESPACES.length),
    policy: new Int32Array(POLICIES.length),
  };
  const found = [];
  const seenResources = new Uint8Array(resources.name.length);
  const seenContainers = new Uint8Array(CONTAINERS);
  let resourceCount = 0;
  let containerCount = 0;
  next: for (let row = 0; row < ROWS; row++) {
    const entry = rows.entry[row];
    const resource = rows.resource[row];
    for (const term of terms) if (!term.entry[entry] && !term.resource[resource]) continue next;
    const state = inState[entry];
    const space = inNamespace[entry];
    const assigned = inPolicy[entry];
    const here = inCluster[entry];
    if (state && space && assigned && entries.cluster[entry] !== NOTHING) count.cluster[entries.cluster[entry]]++;
    if (!here) continue;
    if (space && assigned) count.state[entries.state[entry]]++;
    if (state && assigned) count.namespace[namespaceNumber[entry]]++;
    if (state && space) {
      const policy = entries.assignment[entry];
      count.policy[policy]++;
      if (WHOLE[policy] !== policy && WHOLE[policy] >= 0) count.policy[WHOLE[policy]]++;
    }
    if (!state || !space || !assigned) continue;
    found.push(row);
    if (!seenResources[resource]) resourceCount += seenResources[resource] = 1;
    if (findings.container[entries.finding[entry]] !== NOTHING && !seenContainers[containerOf[row]]) {
      containerCount += seenContainers[containerOf[row]] = 1;
    }
  }
  return {
    ...grouped(found, query.each),
    count,
    found: found.length,
    resources: resourceCount,
    containers: containerCount,
  };
}

/** Rows put together by entry: the first of each, and how many there are. */
function grouped(found, each) {
  if (each) return { list: numbers(found), sizes: null };
  const list = [];
  const sizes = new Int32Array(ENTRIES);
  for (const row of found) if (sizes[rows.entry[row]]++ === 0) list.push(row);
  return { list: numbers(list), sizes };
}

const memory = new Map();
const remember = (key, make) => memory.get(key) ?? memory.set(key, make()).get(key);

/** The place of each text among all, by its characters: names in clusters are ASCII, and a collator takes ten times as long. */
function ranked(texts) {
  const places = new Map([...new Set(texts)].sort().map((each, at) => [each, at]));
  return numbers(texts.map((each) => places.get(each)));
}

const stateRank = data.states.map((state) => STATES.indexOf(state));
const policyRank = ranked(POLICIES);
const severityRank = data.assignments.map((each) => {
  const at = SEVERITIES.indexOf(each.severity.toLowerCase());
  return at < 0 ? SEVERITIES.length : at;
});
const byField = (name) => {
  const rank = remember(name, () => ranked(links.map((_, entry) => field(entry, name))));
  return (row) => rank[rows.entry[row]];
};

// How rows are sorted: a function that makes, for each way, the function from a row to the number that is compared.
const ORDERS = {
  "": () => (row) => stateRank[entries.state[rows.entry[row]]] * 10 + severityRank[entries.assignment[rows.entry[row]]],
  state: () => (row) => stateRank[entries.state[rows.entry[row]]],
  resource: () => {
    const rank = remember("resource", () => ranked(Array.from(rows.entry, (entry, row) => `${clusterOf(entry)} ${text(entries.namespace[entry])} ${workload(row)}`)));
    return (row) => rank[row];
  },
  container: () => byField("container"),
  policy: () => (row) => policyRank[entries.assignment[rows.entry[row]]],
  severity: () => (row) => severityRank[entries.assignment[rows.entry[row]]],
  reason: () => byField("message"),
};

/** The rows in the order that is asked for, as in "-severity"; those alike stay in the report's. */
function sorted(list, sort) {
  const direction = sort.startsWith("-") ? -1 : 1;
  const keys = Int32Array.from(list, ORDERS[sort.replace(/^-/, "")]());
  const places = Uint32Array.from(list, (_, at) => at);
  places.sort((one, other) => direction * (keys[one] - keys[other]) || one - other);
  return places.map((at) => list[at]);
}
