# Port lists (80, 8000-8999, 53/UDP) and port patterns.
package lib.ports

import data.lib.types

# allowed takes a value of any type. The exact spelling is tried first, because it decides most
# ports; JSON text keeps a string "80" and a number 80 apart.
allowed(port, "TCP", _) if json.marshal(port) in input.parameters.allowedPorts

allowed(port, protocol, _) if {
	is_string(protocol)
	concat("/", [json.marshal(port), protocol]) in input.parameters.allowedPorts
}

allowed(port, protocol, _) if {
	is_number(port)
	some [from, to] in ranges[protocol]
	port >= from
	port <= to
	floor(port) == port
}

allowed(port, _, pattern) if {
	pattern != ""
	is_number(port)
	floor(port) == port
	regex.match(concat("", ["^(?:", pattern, ")$"]), json.marshal(port))
}

ranges[protocol] contains [to_number(from), to_number(to)] if {
	some entry in input.parameters.allowedPorts
	contains(entry, "-")
	some [_, from, to, protocol] in regex.find_all_string_submatch_n(
		"^([0-9]{1,5})-([0-9]{1,5})/([A-Z]+)$",
		concat("", [entry, {true: "", false: "/TCP"}[contains(entry, "/")]]),
		1,
	)
}

# number is the field of an entry of ports, null when it is not there.
number(entry, field) := entry[field]

number(entry, field) := null if not present(entry, field)

present(entry, field) if entry[field] != false

present(entry, field) if entry[field] == false

# protocol of an entry of ports, as the API server would default it.
protocol(entry) := entry.protocol if entry.protocol != null

else := "TCP"

# At Azure the list is about numbers, whatever their protocol.
judged_protocol(entry) := "TCP" if input.parameters.azureBehaviour

else := protocol(entry)

message(what, port, protocol, pattern) := sprintf("%s %v/%v is not allowed (%s)", [what, port, protocol, expected(pattern)]) if {
	is_number(port)
	floor(port) == port
} else := sprintf("%s is missing", [what]) if {
	port == null
} else := sprintf("%s: %s", [what, types.mismatch(port, "a port")])

expected(pattern) := concat(" or ", array.concat(listed, matching(pattern)))

listed := [concat(", ", [sprintf("%v", [entry]) | some entry in input.parameters.allowedPorts])] if {
	count(input.parameters.allowedPorts) > 0
} else := []

matching("") := []

matching(pattern) := [sprintf("matching %s", [pattern])] if pattern != ""
