# CPU and memory limits on every container that can have them.
package resource_limits

import data.lib.containers
import data.lib.fixes
import data.lib.quantity
import data.lib.types

violation contains {"msg": msg, "details": details} if {
	some field in ["containers", "initContainers"]
	some i
	limits := object.get(input.review.object.spec[field][i], ["resources", "limits"], null)

	# One match on the JSON text settles nearly every container.
	regex.match(plain_limits, json.marshal(limits)) == false
	some resource in ["cpu", "memory"]
	container := input.review.object.spec[field][i]
	limit := object.get(container, ["resources", "limits", resource], null)
	msg := fault(resource, limit)
	not containers.excluded(container)
	details := fixes.offered({
		"container": containers.identity(container, field),
		"path": sprintf("spec.%s[%v].resources.limits.%s", [field, i, resource]),
		"observed": limit,
		"expected": expected(resource),
	}, [fix | fix := lowered(field, i, resource)])
}

violation contains {"msg": msg, "details": details} if {
	some resource, maximum in maxima
	some field in ["containers", "initContainers"]
	some i
	limit := input.review.object.spec[field][i].resources.limits[resource]
	quantity.nano(limit) > maximum
	container := input.review.object.spec[field][i]
	not containers.excluded(container)
	msg := excess(resource, limit)
	details := fixes.offered({
		"container": containers.identity(container, field),
		"path": sprintf("spec.%s[%v].resources.limits.%s", [field, i, resource]),
		"observed": limit,
		"expected": expected(resource),
	}, [fix | fix := lowered(field, i, resource)])
}

# The Pod's own limits, which cover containers without. What they would have to be depends on all containers: no fix.
violation contains {"msg": msg, "details": details} if {
	not input.parameters.azureBehaviour
	some resource in ["cpu", "memory"]
	limit := input.review.object.spec.resources.limits[resource]
	msg := pod_fault(resource, limit)
	details := {
		"path": sprintf("spec.resources.limits.%s", [resource]),
		"observed": limit,
		"expected": expected(resource),
	}
}

# plain_limits are limits that are obviously there; whatever is unusual is left to fault.
plain_limits := `^\{"cpu":"[1-9][0-9]*m?","(?:ephemeral-storage":"[^"]*",")?memory":"[1-9][0-9]*(?:Ki|[MGTPE]i?|k)?"\}$`

fault(resource, limit) := message if {
	blank(limit)
	required[resource]
	not covered(resource)
	message := absence(resource, limit)
} else := refused(resource, limit)

pod_fault(resource, limit) := message if {
	message := refused(resource, limit)
} else := excess(resource, limit) if quantity.nano(limit) > maxima[resource]

# refused tells of values that the API server refuses.
refused(resource, limit) := malformed(resource, limit) if {
	not blank(limit)
	not is_quantity(limit)
} else := sprintf("%s limit %v is negative, which Kubernetes refuses", [title[resource], limit]) if {
	quantity.nano(limit) < 0
}

# blank is what Kubernetes takes for no limit, zero included.
blank(limit) if limit == null

blank(limit) if quantity.nano(limit) == 0

is_quantity(limit) if is_number(quantity.nano(limit))

covered(resource) if {
	not input.parameters.azureBehaviour
	quantity.nano(input.review.object.spec.resources.limits[resource]) > 0
}

required["cpu"] if input.parameters.requireCpu

required["memory"] if input.parameters.requireMemory

# A maximum that is no quantity allows nothing.
maxima["cpu"] := bound(input.parameters.maxCpu) if input.parameters.maxCpu != ""

maxima["memory"] := bound(input.parameters.maxMemory) if input.parameters.maxMemory != ""

bound(text) := value if {
	value := quantity.nano(text)
} else := 0

maximum("cpu") := input.parameters.maxCpu

maximum("memory") := input.parameters.maxMemory

title := {"cpu": "CPU", "memory": "memory"}

# lowered is the fix for a container: the maximum, which without one would be a guess. A request must not be above the
# limit, nor a limit above the Pod's.
lowered(field, i, resource) := {path: maximum(resource) |
	some sort in ["limits", "requests"]
	above(field, i, resource, sort)
	path := sprintf("spec.%s[%v].resources.%s.%s", [field, i, sort, resource])
} if {
	maxima[resource] > 0
	not less_than_maximum(resource, object.get(input.review.object.spec, ["resources", "limits", resource], null))
}

above(_, _, _, "limits")

above(field, i, resource, "requests") if {
	request := input.review.object.spec[field][i].resources.requests[resource]
	not request in [null, ""]
	not quantity.nano(request) <= maxima[resource]
}

less_than_maximum(resource, limit) if quantity.nano(limit) < maxima[resource]

absence(resource, limit) := sprintf("no %s limit is set", [title[resource]]) if {
	limit == null
} else := sprintf("%s limit %v means no limit", [title[resource], limit])

excess(resource, limit) := sprintf("%s limit %v exceeds the maximum of %s", [title[resource], limit, maximum(resource)])

malformed(resource, limit) := sprintf("%s limit: %s is not a Kubernetes quantity", [title[resource], types.shown(limit)])

expected(resource) := sprintf("at most %s", [maximum(resource)]) if maxima[resource]

else := "a limit"
