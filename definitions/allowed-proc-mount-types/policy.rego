# /proc only as the container runtime masks it.
package allowed_proc_mount_types

import data.lib.containers
import data.lib.pods
import data.lib.types

violation contains {"msg": msg, "details": details} if {
	some field in ["containers", "initContainers", "ephemeralContainers"]
	some i
	value := input.review.object.spec[field][i].securityContext.procMount
	not value in ["Default", null]
	not allowed(value)
	container := input.review.object.spec[field][i]
	not containers.excluded(container)
	path := sprintf("spec.%s[%v].securityContext.procMount", [field, i])
	msg := message(value)
	details := {
		"container": containers.identity(container, field),
		"path": path,
		"observed": value,
		"expected": "Default",
		"fix": {path: "Default"},
	}
}

allowed("Unmasked") if input.parameters.procMountType == "Unmasked"

allowed(_) if {
	input.parameters.allowInUserNamespaces
	pods.in_user_namespace
}

message(value) := sprintf("securityContext.procMount is %s", [value]) if is_string(value)

else := sprintf("securityContext.procMount: %s", [types.mismatch(value, "a string")])
