package old_builtins

# Words that are keywords in v1, and built-ins that v1 has no more.
contains(list, element) {
	list[_] = element
}

violation[{"msg": msg}] {
	every := input.review.object.spec.containers[_]
	re_match("^nginx", every.image)
	msg := every.image
}

violation[{"msg": "no probe"}] {
	any([not_probed(container) | container := input.review.object.spec.containers[_]])
}

not_probed(container) = true {
	not container.livenessProbe
}

not_probed(container) = false {
	container.livenessProbe
}

violation[{"msg": "contains"}] {
	contains(input.review.object.spec.containers[_].args, "--debug")
}

violation[{"msg": "contains a port"}] {
	contains(input.review.object.spec.containers[_].ports, {"containerPort": 80, "protocol": "TCP"})
}
