# Budgets that let at least one Pod go.
package disruption_budgets

import data.lib.selectors
import data.lib.workloads

violation contains {"msg": msg, "details": details} if {
	value := input.review.object.spec.maxUnavailable
	value in [0, "0%"]
	msg := sprintf("maxUnavailable %v lets no Pod be evicted", [value])
	details := {"path": "spec.maxUnavailable", "observed": value, "expected": "at least 1", "fix": {"spec.maxUnavailable": 1}}
}

violation contains {"msg": msg, "details": details} if {
	value := input.review.object.spec.minAvailable
	needed(value) >= replicas
	msg := sprintf("minAvailable %v of %v replicas lets no Pod be evicted", [value, replicas])
	details := {"path": "spec.minAvailable", "observed": value, "expected": "fewer than there are replicas"}
}

violation contains {"msg": msg, "details": details} if {
	input.review.object.spec.minAvailable == "100%"
	replicas == 0
	msg := "minAvailable 100% lets no Pod be evicted"
	details := {"path": "spec.minAvailable", "observed": "100%", "expected": "fewer than there are replicas"}
}

# needed is how many must be there; Kubernetes rounds a part up.
needed(value) := value if is_number(value)

needed(value) := ceil((to_number(trim_suffix(value, "%")) * replicas) / 100) if {
	is_string(value)
	replicas > 0
}

replicas := sum([workloads.replicas_of(workload) |
	some kind in ["Deployment", "StatefulSet"]
	some workload in data.inventory.namespace[input.review.namespace]["apps/v1"][kind]
	selectors.matches(input.review.object.spec.selector, object.get(workload.spec.template, ["metadata", "labels"], {}))
])
