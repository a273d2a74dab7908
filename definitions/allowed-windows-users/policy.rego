# Users of Windows containers.
package allowed_windows_users

import data.lib.containers
import data.lib.for_windows
import data.lib.names

violation contains {"msg": msg, "details": details} if {
	for_windows.pod
	some field in ["containers", "initContainers", "ephemeralContainers"]
	not for_windows.left_out_at_azure(field)
	some i
	container := input.review.object.spec[field][i]
	user := user_of(container)
	not names.listed(compared(user), allowed)
	not containers.excluded(container)
	msg := sprintf("user %s is not allowed", [user])
	details := {
		"container": containers.identity(container, field),
		"path": sprintf("spec.%s[%v].securityContext.windowsOptions.runAsUserName", [field, i]),
		"observed": user,
		"expected": concat(", ", input.parameters.allowedUserNames),
	}
}

user_of(container) := user if {
	user := container.securityContext.windowsOptions.runAsUserName
	user != null
} else := input.review.object.spec.securityContext.windowsOptions.runAsUserName if {
	input.review.object.spec.securityContext.windowsOptions.runAsUserName
} else := "ContainerUser"

allowed := [compared(name) | some name in input.parameters.allowedUserNames]

# Windows makes no difference between upper and lower case, but Azure does.
compared(name) := name if input.parameters.azureBehaviour

else := lower(name)
