package with_keyword

privileged if input.review.object.spec.containers[_].securityContext.privileged

violation contains {"msg": "another input"} if {
	some pod in [{"review": {"object": {"spec": input.review.object.spec.template.spec}}}]
	privileged with input as pod
}

violation contains {"msg": "another part"} if privileged with input.review.object.spec as input.review.object.spec.template.spec

violation contains {"msg": "inventory"} if {
	data.inventory.cluster.v1.Namespace.shop with input.parameters as {}
}
