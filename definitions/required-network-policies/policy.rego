# No namespace that is open to all.
package required_network_policies

violation contains {"msg": msg, "details": details} if {
	not input.review.object.spec.hostNetwork
	not guarded
	msg := "the namespace has no NetworkPolicy"
	details := {"path": "metadata.namespace", "observed": input.review.namespace, "expected": "a NetworkPolicy in the namespace"}
}

guarded if data.inventory.namespace[input.review.namespace]["networking.k8s.io/v1"].NetworkPolicy[_].spec
