# Kinds that may be there; others may not.
package allowed_kinds

violation contains {"msg": msg, "details": details} if {
	not allowed
	not made_by_kubernetes
	not made_by_another
	msg := sprintf("%s is not an allowed kind", [trim_suffix(named, ".core")])
	details := {"path": "kind", "observed": trim_suffix(named, ".core"), "expected": input.parameters.allowedKinds}
}

kind := input.review.kind.kind

group := input.review.kind.group if input.review.kind.group != ""

else := "core"

named := sprintf("%s.%s", [kind, group])

allowed if {
	some entry in [kind, named, sprintf("*.%s", [group])]
	entry in input.parameters.allowedKinds
}

# Every namespace has these, whoever uses it; to refuse them would stop the cluster.
made_by_kubernetes if named in [
	"Binding.core",
	"Endpoints.core",
	"Event.core",
	"Event.events.k8s.io",
	"Lease.coordination.k8s.io",
	"LocalSubjectAccessReview.authorization.k8s.io",
]

made_by_kubernetes if [named, input.review.name] in [
	["ConfigMap.core", "kube-root-ca.crt"],
	["ServiceAccount.core", "default"],
]

made_by_another if {
	not input.parameters.includeOwned
	input.review.object.metadata.ownerReferences[_].kind
}
