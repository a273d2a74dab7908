# No privileged container, and no Windows host process.
package no_privileged

import data.lib.containers
import data.lib.host_process
import data.lib.types

violation contains {"msg": msg, "details": details} if {
	some field in ["containers", "initContainers", "ephemeralContainers"]
	some i
	input.review.object.spec[field][i].securityContext.privileged
	container := input.review.object.spec[field][i]
	value := container.securityContext.privileged
	value != null
	not containers.excluded(container)
	not left_out_at_azure
	msg := types.flag("securityContext.privileged", value)
	details := {
		"container": containers.identity(container, field),
		"path": sprintf("spec.%s[%v].securityContext.privileged", [field, i]),
		"observed": value,
		"expected": false,
		"fix": {sprintf("spec.%s[%v].securityContext.privileged", [field, i]): false},
	}
}

violation contains host_process.findings[_] if not input.parameters.azureBehaviour

left_out_at_azure if {
	input.parameters.azureBehaviour
	input.review.object.spec.nodeSelector["kubernetes.io/os"] == "windows"
}
