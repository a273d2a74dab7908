package negations

violation contains {"msg": "not the same"} if {
	some one in input.review.object.spec.containers
	security := one.securityContext
	not security = input.review.object.spec.securityContext
}

violation contains {"msg": "no such function"} if {
	some one in input.review.object.spec.containers
	not limited(one)
}

limited(container) if container.resources.limits[_]

violation contains {"msg": "no name"} if not input.review.object.metadata.name

violation contains {"msg": "named"} if input.review.name == input.review.object.metadata.name

violation contains {"msg": "of this namespace"} if {
	input.review.namespace == "shop"
	not input.review.object.metadata.labels.team
}

violation contains {"msg": "no Pod"} if input.review.kind.kind != "Pod"
