# Capabilities that no container adds.
package forbidden_capabilities

import data.lib.containers

violation contains {"msg": msg, "details": details} if {
	some field in ["containers", "initContainers", "ephemeralContainers"]
	some i
	added := input.review.object.spec[field][i].securityContext.capabilities.add
	found := [capability | some capability in added; forbidden(capability)]
	count(found) > 0
	container := input.review.object.spec[field][i]
	not containers.excluded(container)
	path := sprintf("spec.%s[%v].securityContext.capabilities.add", [field, i])
	msg := sprintf("added capabilities that are forbidden: %s", [concat(", ", found)])
	details := {
		"container": containers.identity(container, field),
		"path": path,
		"observed": added,
		"expected": sprintf("none of %s", [concat(", ", input.parameters.disallowedCapabilities)]),
		"fix": {path: [capability | some capability in added; not forbidden(capability)]},
	}
}

forbidden(capability) if capability in input.parameters.disallowedCapabilities

forbidden(capability) if {
	not input.parameters.azureBehaviour
	plain(capability) in names
}

forbidden(capability) if {
	not input.parameters.azureBehaviour
	plain(capability) == "ALL"
	count(names) > 0
}

names := {plain(entry) | some entry in input.parameters.disallowedCapabilities}

plain(capability) := trim_prefix(upper(capability), "CAP_")
