# Declared container and host ports only from a list or pattern.
package allowed_container_ports

import data.lib.containers
import data.lib.fixes
import data.lib.ports
import data.lib.types

violation contains {"msg": msg, "details": details} if {
	some field in ["containers", "initContainers", "ephemeralContainers"]
	some i, j
	entry := input.review.object.spec[field][i].ports[j]
	not allowed(entry)
	container := input.review.object.spec[field][i]
	not containers.excluded(container)
	port := ports.number(entry, "containerPort")
	msg := ports.message("container port", port, ports.protocol(entry), pattern)
	details := {
		"container": containers.identity(container, field),
		"path": sprintf("spec.%s[%v].ports[%v].containerPort", [field, i, j]),
		"observed": port,
		"expected": ports.expected(pattern),
	}
}

violation contains {"msg": msg, "details": details} if {
	not input.parameters.azureBehaviour
	some field in ["containers", "initContainers", "ephemeralContainers"]
	some i, j
	port := input.review.object.spec[field][i].ports[j].hostPort
	not port in [0, null]
	protocol := ports.protocol(input.review.object.spec[field][i].ports[j])
	not ports.allowed(port, protocol, pattern)
	container := input.review.object.spec[field][i]
	not containers.excluded(container)
	msg := ports.message("host port", port, protocol, pattern)
	details := fixes.offered({
		"container": containers.identity(container, field),
		"path": sprintf("spec.%s[%v].ports[%v].hostPort", [field, i, j]),
		"observed": port,
		"expected": ports.expected(pattern),
	}, [fix | fix := without_host_port(field, i, j)])
}

violation contains {"msg": msg, "details": details} if {
	some field in ["containers", "initContainers", "ephemeralContainers"]
	some i
	declared := input.review.object.spec[field][i].ports
	not is_array(declared)
	declared != null
	container := input.review.object.spec[field][i]
	not containers.excluded(container)
	msg := types.mismatch(declared, "a list of ports")
	details := {
		"container": containers.identity(container, field),
		"path": sprintf("spec.%s[%v].ports", [field, i]),
		"observed": declared,
		"expected": "a list",
	}
}

# The entry is named by its container port, so no other may have the same. In the host's network every port is a host
# port, so there it cannot just be left out.
without_host_port(field, i, j) := {
	sprintf("spec.%s[%v].ports[%v].containerPort", [field, i, j]): number,
	sprintf("spec.%s[%v].ports[%v].hostPort", [field, i, j]): null,
} if {
	not input.review.object.spec.hostNetwork
	number := input.review.object.spec[field][i].ports[j].containerPort
	is_number(number)
	count([k | input.review.object.spec[field][i].ports[k].containerPort == number]) == 1
}

allowed(entry) if ports.allowed(entry.containerPort, ports.judged_protocol(entry), pattern)

pattern := input.parameters.allowedContainerPortsRegex

default pattern := ""
