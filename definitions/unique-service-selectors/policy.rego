# No two Services that lead to the same Pods.
package unique_service_selectors

violation contains {"msg": msg, "details": details} if {
	selector := input.review.object.spec.selector
	count(selector) > 0
	some name, other in data.inventory.namespace[input.review.namespace]["v1"].Service
	name != input.review.name
	other.spec.selector == selector
	msg := sprintf("Service %s/%s has the same selector", [input.review.namespace, name])
	details := {"path": "spec.selector", "observed": selector, "expected": "a selector that no other Service has"}
}
