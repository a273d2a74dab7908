# Requests of CPU and memory, by which the scheduler finds a node.
package resource_requests

import data.lib.containers
import data.lib.quantity

violation contains {"msg": msg, "details": details} if {
	some field in ["containers", "initContainers"]
	some i
	some resource in input.parameters.resources
	container := input.review.object.spec[field][i]
	not requested(container, resource)
	not pod_requests(resource)
	not containers.excluded(container)
	request := object.get(container, ["resources", "requests", resource], null)
	msg := message(resource, request)
	details := {
		"container": containers.identity(container, field),
		"path": sprintf("spec.%s[%v].resources.requests.%s", [field, i, resource]),
		"observed": request,
		"expected": "a request",
	}
}

requested(container, resource) if quantity.nano(container.resources.requests[resource]) > 0

requested(container, resource) if {
	object.get(container, ["resources", "requests", resource], null) == null
	quantity.nano(container.resources.limits[resource]) > 0
}

pod_requests(resource) if {
	not input.parameters.azureBehaviour
	some sort in ["requests", "limits"]
	quantity.nano(input.review.object.spec.resources[sort][resource]) > 0
}

message(resource, null) := sprintf("no %s request is set", [resource])

message(resource, request) := sprintf("%s request %v requests nothing", [resource, request]) if request != null
