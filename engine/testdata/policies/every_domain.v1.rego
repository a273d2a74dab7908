package every_domain

violation contains {"msg": "every container is read-only"} if {
	count(input.review.object.spec.containers) > 0
	every container in input.review.object.spec.containers {
		container.securityContext.readOnlyRootFilesystem
	}
}

# The domain is constant and the comparison is inside.
violation contains {"msg": "args are one of these"} if {
	some container in input.review.object.spec.containers
	args := container.args
	not every_differs(args)
}

every_differs(args) if {
	every known in [["--debug"], ["--trace", "all"]] {
		not known = args
	}
}

violation contains {"msg": "labels are all short"} if {
	every key, value in input.review.object.metadata.labels {
		count(key) < 20
		count(value) < 10
	}
}
