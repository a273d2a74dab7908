# The network of the node, and ports there, only as allowed.
package host_network_ports

import data.lib.containers
import data.lib.fixes
import data.lib.pods
import data.lib.types

violation contains {"msg": msg, "details": details} if {
	value := input.review.object.spec.hostNetwork
	not value in [false, null]
	not permitted(value)
	containers.judged
	msg := types.flag("hostNetwork", value)
	details := fixes.offered(
		{"path": "spec.hostNetwork", "observed": value, "expected": false},
		[{"spec.hostNetwork": false} | not pods.windows],
	)
}

permitted(true) if input.parameters.allowHostNetwork

# In the network of the node the API server makes a host port of each port.
violation contains {"msg": msg, "details": details} if {
	some field in ["containers", "initContainers", "ephemeralContainers"]
	some i, j
	port := input.review.object.spec[field][i].ports[j].hostPort
	not port in [0, null]
	not allowed(port)
	container := input.review.object.spec[field][i]
	not containers.excluded(container)
	msg := message(port)
	details := {
		"container": containers.identity(container, field),
		"path": sprintf("spec.%s[%v].ports[%v].hostPort", [field, i, j]),
		"observed": port,
		"expected": expected,
	}
}

allowed(port) if {
	some [from, to] in ranges
	port >= from
	port <= to
}

ranges contains [to_number(ends[0]), to_number(ends[count(ends) - 1])] if {
	some entry in input.parameters.allowedHostPorts
	ends := split(entry, "-")
}

ranges contains [input.parameters.minPort, input.parameters.maxPort] if input.parameters.maxPort > 0

message(port) := sprintf("host port %v is not allowed (%s)", [port, expected]) if is_number(port)

else := sprintf("host port: %s", [types.mismatch(port, "a port")])

expected := "no host port" if count(ranges) == 0

else := concat(", ", [text | some [from, to] in ranges; text := range_text(from, to)])

range_text(port, port) := sprintf("%v", [port])

range_text(from, to) := sprintf("%v-%v", [from, to]) if from != to
