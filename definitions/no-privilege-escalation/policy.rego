# No process with more privileges than its parent.
package no_privilege_escalation

import data.lib.containers
import data.lib.fixes
import data.lib.pods
import data.lib.types

violation contains {"msg": msg, "details": details} if {
	not pods.windows
	some field in ["containers", "initContainers", "ephemeralContainers"]
	some i
	value := object.get(input.review.object.spec[field][i], ["securityContext", "allowPrivilegeEscalation"], null)
	value != false
	not harmless(value, field, i)
	container := input.review.object.spec[field][i]
	not containers.excluded(container)
	path := sprintf("spec.%s[%v].securityContext.allowPrivilegeEscalation", [field, i])
	msg := message(value)
	details := fixes.offered({
		"container": containers.identity(container, field),
		"path": path,
		"observed": value,
		"expected": false,
	}, [{path: false} | not refused(field, i)])
}

# Unless the field is forced, a container that does not set it and is not root complies.
harmless(null, field, i) if {
	not input.parameters.forcePrivilegeEscalationToBeFalse
	user(field, i) > 0
}

user(field, i) := value if {
	value := input.review.object.spec[field][i].securityContext.runAsUser
	value != null
} else := input.review.object.spec.securityContext.runAsUser

# The API server takes false neither from a privileged container nor from one that adds SYS_ADMIN.
refused(field, i) if input.review.object.spec[field][i].securityContext.privileged == true

refused(field, i) if {
	some capability in ["SYS_ADMIN", "CAP_SYS_ADMIN"]
	capability in input.review.object.spec[field][i].securityContext.capabilities.add
}

message(null) := "securityContext.allowPrivilegeEscalation is not set, which allows it"

message(value) := types.flag("securityContext.allowPrivilegeEscalation", value) if value != null
