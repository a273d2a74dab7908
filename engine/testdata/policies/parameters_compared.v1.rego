package parameters_compared

# A parameter is compared in the body, though it looks as if it were bound.
is_selector(value) if value = input.review.object.spec.selector

violation contains {"msg": "selects shops"} if is_selector({"app": "shop"})

violation contains {"msg": "selects itself"} if is_selector(input.review.object.metadata.labels)

violation contains {"msg": "node selectors of parameters"} if {
	some wanted in input.parameters.nodeSelectors
	wanted = input.review.object.spec.nodeSelector
}

holds(list, value) if {
	value = list[_]
}

violation contains {"msg": "tolerates everything"} if holds(input.review.object.spec.tolerations, {"operator": "Exists"})
