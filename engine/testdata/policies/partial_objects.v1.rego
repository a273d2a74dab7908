package partial_objects

by_name[container.name] := container if some container in input.review.object.spec.containers

images[name] := by_name[name].image

grouped[field] contains container.image if {
	some field in ["containers", "initContainers"]
	some container in input.review.object.spec[field]
}

rules.host.network := input.review.object.spec.hostNetwork

rules.host.ports[port] := container.name if {
	some container in input.review.object.spec.containers
	port := sprintf("%v", [container.ports[_].hostPort])
}

violation contains {"msg": sprintf("privileged %s", [name])} if by_name[name].securityContext.privileged

violation contains {"msg": sprintf("image %s", [image])} if {
	some image in grouped.initContainers
	image in grouped.containers
}

violation contains {"msg": "host", "details": rules.host} if rules.host.network

violation contains {"msg": sprintf("port %s", [port])} if rules.host.ports[port]

violation contains {"msg": "nginx"} if images[_] == "nginx"
