# Service ports, and node ports if wanted, only from a list or pattern.
package allowed_service_ports

import data.lib.ports
import data.lib.types

violation contains {"msg": msg, "details": details} if {
	some i
	entry := input.review.object.spec.ports[i]
	not allowed(entry)
	applies
	port := ports.number(entry, "port")
	msg := ports.message("port", port, ports.protocol(entry), pattern)
	details := {
		"path": sprintf("spec.ports[%v].port", [i]),
		"observed": port,
		"expected": ports.expected(pattern),
	}
}

violation contains {"msg": msg, "details": details} if {
	input.parameters.includeNodePorts
	not input.parameters.azureBehaviour
	some i
	port := input.review.object.spec.ports[i].nodePort
	not port in [0, null]
	protocol := ports.protocol(input.review.object.spec.ports[i])
	not ports.allowed(port, protocol, pattern)
	applies
	msg := ports.message("node port", port, protocol, pattern)
	details := {
		"path": sprintf("spec.ports[%v].nodePort", [i]),
		"observed": port,
		"expected": ports.expected(pattern),
	}
}

violation contains {"msg": msg, "details": details} if {
	value := input.review.object.spec.ports
	not is_array(value)
	value != null
	applies
	msg := types.mismatch(value, "a list of ports")
	details := {
		"path": "spec.ports",
		"observed": value,
		"expected": "a list",
	}
}

applies if {
	not input.review.object.spec.type == "ExternalName"
	not cluster_service
}

# Every cluster has the Service of its own API server.
cluster_service if {
	input.review.namespace == "default"
	input.review.name == "kubernetes"
}

allowed(entry) if ports.allowed(entry.port, ports.judged_protocol(entry), pattern)

pattern := input.parameters.allowedServicePortsRegex

default pattern := ""
