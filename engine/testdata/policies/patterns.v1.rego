package patterns

# Arguments and values taken apart.
second([_, second]) := second

named({"name": name, "image": _}) := name

violation contains {"msg": "second argument"} if second(input.review.object.spec.containers[_].args) == "--debug"

violation contains {"msg": sprintf("exactly a name and an image: %v", [named(container)])} if some container in input.review.object.spec.containers

violation contains {"msg": "array pattern"} if {
	[first, rest] := input.review.object.spec.containers[_].command
	first == "sh"
	rest == "-c"
}

violation contains {"msg": "object pattern"} if {
	{"hostPort": port, "containerPort": port, "protocol": "TCP"} = input.review.object.spec.containers[_].ports[_]
}

same(x, x)

violation contains {"msg": "same argument"} if same(input.review.object.spec.selector, input.review.object.metadata.labels)

violation contains {"msg": "constant argument"} if of("hostNetwork", input.review.object)

of("hostNetwork", object) := object.spec.hostNetwork

of("hostPID", object) := object.spec.hostPID
