# No administrators in Windows containers.
package no_container_administrator

import data.lib.containers
import data.lib.for_windows

violation contains {"msg": msg, "details": details} if {
	for_windows.pod
	some field in ["containers", "initContainers", "ephemeralContainers"]
	not for_windows.left_out_at_azure(field)
	some i
	container := input.review.object.spec[field][i]
	user := user_of(container)
	msg := fault(user, container)
	not containers.excluded(container)
	path := sprintf("spec.%s[%v].securityContext.windowsOptions.runAsUserName", [field, i])
	details := {
		"container": containers.identity(container, field),
		"path": path,
		"observed": user,
		"expected": "ContainerUser, or another user",
		"fix": {path: "ContainerUser"},
	}
}

user_of(container) := user if {
	user := container.securityContext.windowsOptions.runAsUserName
	user != null
} else := input.review.object.spec.securityContext.windowsOptions.runAsUserName if {
	input.review.object.spec.securityContext.windowsOptions.runAsUserName
} else := null

fault(user, _) := sprintf("runs as %s", [user]) if {
	user != null
	administrator(user)
}

fault(null, container) := "runAsUserName is not set, and the user of the image may be ContainerAdministrator" if {
	not non_root(container)
	not startswith(container.image, "mcr.microsoft.com/windows/nanoserver")
}

non_root(container) if container.securityContext.runAsNonRoot

non_root(container) if {
	object.get(container, ["securityContext", "runAsNonRoot"], null) == null
	input.review.object.spec.securityContext.runAsNonRoot
}

administrator(user) if user == "ContainerAdministrator"

# Windows makes no difference between upper and lower case, but Azure does.
administrator(user) if {
	not input.parameters.azureBehaviour
	lower(user) == "containeradministrator"
}
