# No privileged container, and no Windows host process.
package no_privileged

import data.lib.containers
import data.lib.types

violation contains {"msg": msg, "details": details} if {
	some field in ["containers", "initContainers", "ephemeralContainers"]
	some i
	input.review.object.spec[field][i].securityContext.privileged
	container := input.review.object.spec[field][i]
	value := container.securityContext.privileged
	value != null
	not containers.excluded(container)
	msg := message("securityContext.privileged", value)
	details := {
		"container": containers.identity(container, field),
		"path": sprintf("spec.%s[%v].securityContext.privileged", [field, i]),
		"observed": value,
		"expected": false,
	}
}

violation contains {"msg": msg, "details": details} if {
	some field in ["containers", "initContainers", "ephemeralContainers"]
	some i
	input.review.object.spec[field][i].securityContext.windowsOptions.hostProcess
	container := input.review.object.spec[field][i]
	value := container.securityContext.windowsOptions.hostProcess
	value != null
	not containers.excluded(container)
	msg := message("securityContext.windowsOptions.hostProcess", value)
	details := {
		"container": containers.identity(container, field),
		"path": sprintf("spec.%s[%v].securityContext.windowsOptions.hostProcess", [field, i]),
		"observed": value,
		"expected": false,
	}
}

# The Pod's own setting applies to all its containers: one finding, on the Pod.
violation contains {"msg": msg, "details": details} if {
	value := input.review.object.spec.securityContext.windowsOptions.hostProcess
	not value in [false, null]
	msg := message("securityContext.windowsOptions.hostProcess", value)
	details := {
		"path": "spec.securityContext.windowsOptions.hostProcess",
		"observed": value,
		"expected": false,
	}
}

message(field, true) := sprintf("%s is true", [field])

message(field, value) := sprintf("%s: %s", [field, types.mismatch(value, "a boolean")]) if value != true
