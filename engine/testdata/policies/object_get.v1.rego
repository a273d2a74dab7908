package object_get

# Keys and paths of every sort.
violation contains {"msg": "key"} if object.get(input.review.object.spec, "hostNetwork", false) == true

violation contains {"msg": "path"} if object.get(input.review, ["object", "spec", "containers", 0, "securityContext", "privileged"], false) == true

wanted := ["spec", "securityContext", "runAsNonRoot"]

violation contains {"msg": "path of a rule"} if object.get(input.review.object, wanted, null) == true

violation contains {"msg": "path in a variable"} if {
	path := ["metadata", "labels", "app"]
	object.get(input.review.object, path, null) == "shop"
}

violation contains {"msg": "path from a function"} if at(["metadata", "annotations", "team"]) == "a"

at(path) := object.get(input.review.object, path, null)

violation contains {"msg": "path from the document"} if {
	path := input.review.object.metadata.annotations.path
	object.get(input.review.object, split(path, "/"), null) != null
}

violation contains {"msg": "key of a few"} if {
	some field in ["containers", "initContainers"]
	some container in object.get(input.review.object.spec, field, [])
	object.get(container, "image", "") == "nginx"
}

violation contains {"msg": "default is a part"} if {
	context := object.get(input.review.object.spec.containers[0], "securityContext", input.review.object.spec.securityContext)
	context.runAsUser == 0
}
