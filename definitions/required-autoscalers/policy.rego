# Replicas that follow the load.
package required_autoscalers

import data.lib.workloads

violation contains {"msg": msg, "details": details} if {
	workloads.replicas > 1
	not scaled
	msg := "no HorizontalPodAutoscaler scales it"
	details := {
		"path": "spec.replicas",
		"observed": workloads.replicas,
		"expected": "a HorizontalPodAutoscaler",
	}
}

scaled if {
	some autoscaler in data.inventory.namespace[input.review.namespace]["autoscaling/v2"].HorizontalPodAutoscaler
	autoscaler.spec.scaleTargetRef.kind == input.review.kind.kind
	autoscaler.spec.scaleTargetRef.name == input.review.name
}
