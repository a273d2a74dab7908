package compared_lists

# A variable against a list: the equation looks like a declaration of constants.
violation contains {"msg": "just --debug"} if {
	some container in input.review.object.spec.containers
	args := container.args
	args == ["--debug"]
}

violation contains {"msg": "commands alike"} if {
	some i, one in input.review.object.spec.containers
	some j, other in input.review.object.spec.containers
	i < j
	command := one.command
	command == other.command
}

violation contains {"msg": "limits are requests"} if {
	some container in input.review.object.spec.containers
	limits := container.resources.limits
	requests := container.resources.requests
	limits == requests
}

violation contains {"msg": "template is its own selector"} if {
	input.review.object.spec.selector = input.review.object.metadata.labels
}
