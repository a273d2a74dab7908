# Replicas that are not evicted all at once.
package required_disruption_budgets

import data.lib.selectors
import data.lib.workloads

violation contains {"msg": msg, "details": details} if {
	workloads.replicas > 1
	not budgeted
	msg := "no PodDisruptionBudget selects its Pods"
	details := {
		"path": "spec.template.metadata.labels",
		"observed": labels,
		"expected": "a PodDisruptionBudget that selects these labels",
	}
}

budgeted if {
	some budget in data.inventory.namespace[input.review.namespace]["policy/v1"].PodDisruptionBudget
	selectors.matches(budget.spec.selector, labels)
}

labels := object.get(input.review.object.spec.template, ["metadata", "labels"], {})
