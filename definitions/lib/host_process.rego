# Windows HostProcess containers, which have the rights of processes of the node.
package lib.host_process

import data.lib.containers
import data.lib.fixes
import data.lib.types

findings contains {"msg": msg, "details": details} if {
	some field in ["containers", "initContainers", "ephemeralContainers"]
	some i
	input.review.object.spec[field][i].securityContext.windowsOptions.hostProcess
	container := input.review.object.spec[field][i]
	value := container.securityContext.windowsOptions.hostProcess
	value != null
	not containers.excluded(container)
	msg := types.flag("securityContext.windowsOptions.hostProcess", value)
	details := fixes.offered({
		"container": containers.identity(container, field),
		"path": sprintf("spec.%s[%v].securityContext.windowsOptions.hostProcess", [field, i]),
		"observed": value,
		"expected": false,
	}, host_process_fixes)
}

# The Pod's own setting applies to all its containers: one finding, on the Pod.
findings contains {"msg": msg, "details": details} if {
	value := input.review.object.spec.securityContext.windowsOptions.hostProcess
	not value in [false, null]
	msg := types.flag("securityContext.windowsOptions.hostProcess", value)
	details := fixes.offered({
		"path": "spec.securityContext.windowsOptions.hostProcess",
		"observed": value,
		"expected": false,
	}, host_process_fixes)
}

# All containers of a Pod are host processes or none is, and the API server takes no change of one alone. So the fix is
# one for all of them, and there is none where the parameters leave one out.
host_process_fixes := [] if host_process_left_out

else := [object.union_n(host_processes)]

host_processes := array.concat(
	[{"spec.securityContext.windowsOptions.hostProcess": false} |
		not input.review.object.spec.securityContext.windowsOptions.hostProcess in [false, null]
	],
	[{sprintf("%s.name", [entry]): name, sprintf("%s.securityContext.windowsOptions.hostProcess", [entry]): false} |
		some field in ["containers", "initContainers", "ephemeralContainers"]
		some i
		input.review.object.spec[field][i].securityContext.windowsOptions.hostProcess
		name := input.review.object.spec[field][i].name
		entry := sprintf("spec.%s[%v]", [field, i])
	],
)

host_process_left_out if {
	some field in ["containers", "initContainers", "ephemeralContainers"]
	some i
	input.review.object.spec[field][i].securityContext.windowsOptions.hostProcess
	container := input.review.object.spec[field][i]
	containers.excluded(container)
}
