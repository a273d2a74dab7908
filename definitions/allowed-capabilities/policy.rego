# Only allowed capabilities are added, and the required ones dropped.
package allowed_capabilities

import data.lib.containers
import data.lib.pods

violation contains {"msg": msg, "details": details} if {
	some field in ["containers", "initContainers", "ephemeralContainers"]
	some i
	added := input.review.object.spec[field][i].securityContext.capabilities.add
	forbidden := [capability | some capability in added; not allowed(capability)]
	count(forbidden) > 0
	container := input.review.object.spec[field][i]
	not containers.excluded(container)
	path := sprintf("spec.%s[%v].securityContext.capabilities.add", [field, i])
	msg := sprintf("added capabilities that are not allowed: %s", [concat(", ", forbidden)])
	details := {
		"container": containers.identity(container, field),
		"path": path,
		"observed": added,
		"expected": expected,
		"fix": {path: [capability | some capability in added; allowed(capability)]},
	}
}

allowed(capability) if capability in input.parameters.allowedCapabilities

allowed(_) if "*" in input.parameters.allowedCapabilities

violation contains {"msg": msg, "details": details} if {
	not pods.windows
	some field in ["containers", "initContainers", "ephemeralContainers"]
	some i
	dropped := object.get(input.review.object.spec[field][i], ["securityContext", "capabilities", "drop"], null)
	missing := [capability | some capability in input.parameters.requiredDropCapabilities; not drops(dropped, capability)]
	count(missing) > 0
	container := input.review.object.spec[field][i]
	not containers.excluded(container)
	path := sprintf("spec.%s[%v].securityContext.capabilities.drop", [field, i])
	details := {
		"container": containers.identity(container, field),
		"path": path,
		"observed": dropped,
		"expected": concat(", ", input.parameters.requiredDropCapabilities),
		"fix": {path: array.concat(listed(dropped), missing)},
	}
	msg := sprintf("capabilities that are not dropped: %s", [concat(", ", missing)])
}

drops(dropped, capability) if {
	some one in ["ALL", capability]
	one in dropped
}

listed(dropped) := dropped if dropped != null

else := []

expected := "no capability" if count(input.parameters.allowedCapabilities) == 0

else := sprintf("only %s", [concat(", ", input.parameters.allowedCapabilities)])
