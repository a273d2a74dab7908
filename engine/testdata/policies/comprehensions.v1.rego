package comprehensions

violation contains {"msg": "nested"} if {
	ports := {port.hostPort |
		some container in [c | some c in input.review.object.spec.containers; not c.securityContext.privileged]
		some port in container.ports
	}
	some port in ports
	port < 1024
}

violation contains {"msg": msg} if {
	by_image := {image: names |
		image := input.review.object.spec.containers[_].image
		names := {c.name | some c in input.review.object.spec.containers; c.image == image}
	}
	some image, names in by_image
	count(names) > 1
	msg := sprintf("%s more than once", [image])
}

# The body compares what the comprehension around it has bound.
violation contains {"msg": "alike inside"} if {
	some one in input.review.object.spec.containers
	env := one.env
	alike := [other.name | some other in input.review.object.spec.containers; other.env = env; other.name != one.name]
	count(alike) > 0
}

violation contains {"msg": "no mounts"} if {
	every c in input.review.object.spec.containers { count([m | some m in c.volumeMounts; m.readOnly != true]) == 0 }
	{m.name | m := input.review.object.spec.volumes[_]} == {"data"}
}
