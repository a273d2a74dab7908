# Limits not far above requests.
package limit_request_ratio

import data.lib.containers
import data.lib.quantity

violation contains {"msg": msg, "details": details} if {
	some field in ["containers", "initContainers"]
	some i
	some resource, ratio in ratios
	limit := input.review.object.spec[field][i].resources.limits[resource]
	request := input.review.object.spec[field][i].resources.requests[resource]
	quantity.nano(limit) > ratio * quantity.nano(request)
	container := input.review.object.spec[field][i]
	not containers.excluded(container)
	msg := sprintf("%s limit %v is more than %v times the request %v", [resource, limit, ratio, request])
	details := {
		"container": containers.identity(container, field),
		"path": sprintf("spec.%s[%v].resources.limits.%s", [field, i, resource]),
		"observed": limit,
		"expected": sprintf("at most %v times %v", [ratio, request]),
	}
}

ratios := {"cpu": input.parameters.maxCpuRatio, "memory": input.parameters.maxMemoryRatio}
