# Nothing of one's own in the namespace default.
package no_default_namespace

violation contains {"msg": msg, "details": details} if {
	input.review.namespace == "default"
	not [input.review.kind.kind, input.review.name] in made_by_kubernetes
	msg := "lies in the namespace default"
	details := {"path": "metadata.namespace", "observed": "default", "expected": "another namespace"}
}

made_by_kubernetes := [["ServiceAccount", "default"], ["Service", "kubernetes"]]
