package types_of

violation contains {"msg": sprintf("%s is %s", [key, type_name(value)])} if {
	some key, value in input.review.object.spec
	not is_array(value)
	not is_object(value)
}

violation contains {"msg": "no object"} if not is_object(input.review.object.spec.securityContext)

violation contains {"msg": "no list"} if {
	field := input.review.object.spec.containers
	not is_array(field)
}

violation contains {"msg": "null"} if input.review.object.spec.containers[_].resources.limits[_] == null

violation contains {"msg": "not true"} if input.review.object.spec.hostNetwork != true

violation contains {"msg": "empty"} if {
	context := input.review.object.spec.securityContext
	context == {}
}

violation contains {"msg": "empty list"} if {
	volumes := input.review.object.spec.volumes
	volumes == []
}
