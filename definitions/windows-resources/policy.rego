# What Windows containers may use is what they request.
package windows_resources

import data.lib.containers
import data.lib.for_windows
import data.lib.quantity

violation contains {"msg": msg, "details": details} if {
	for_windows.pod
	some field in ["containers", "initContainers"]
	some i
	some resource in ["cpu", "memory"]
	container := input.review.object.spec[field][i]
	limit := object.get(container, ["resources", "limits", resource], null)
	request := object.get(container, ["resources", "requests", resource], null)
	[msg, sort, observed] := fault(resource, limit, request)
	not containers.excluded(container)
	details := {
		"container": containers.identity(container, field),
		"path": sprintf("spec.%s[%v].resources.%s.%s", [field, i, sort, resource]),
		"observed": observed,
		"expected": "a limit, and a request that is equal to it",
	}
}

fault(resource, null, _) := [sprintf("no %s limit is set", [resource]), "limits", null]

fault(resource, limit, request) := [sprintf("%s request %v is not the limit %v", [resource, request, limit]), "requests", request] if {
	limit != null
	request != null
	not compared(request) == compared(limit)
}

compared(written) := written if input.parameters.azureBehaviour

else := quantity.nano(written)
