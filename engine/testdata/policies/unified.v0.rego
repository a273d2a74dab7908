package unified

# The style of old libraries: variables of the same names in every rule, one
# equation to bind and another to compare.
violation[{"msg": msg}] {
	container = input.review.object.spec.containers[_]
	ports = container.ports
	other = input.review.object.spec.initContainers[_]
	ports = other.ports
	msg = "ports of two containers"
}

violation[{"msg": msg, "details": {"container": container.name}}] {
	container = input_containers[_]
	not container.resources.limits.memory
	msg = sprintf("container %v", [container.name])
}

violation[{"msg": "hostPath"}] {
	volume = input.review.object.spec.volumes[_]
	ports = volume
	ports.hostPath
}

input_containers[c] {
	c = input.review.object.spec.containers[_]
}

input_containers[c] {
	c = input.review.object.spec.initContainers[_]
}
