# Every Pod is somebody's.
package no_naked_pods

violation contains {"msg": msg, "details": details} if {
	not owned
	msg := "no workload owns the Pod"
	details := {"path": "metadata.ownerReferences", "observed": null, "expected": "a workload that makes it again"}
}

owned if input.review.object.metadata.ownerReferences[_].kind
