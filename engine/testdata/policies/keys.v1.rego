package keys

violation contains {"msg": "key that parameters name"} if {
	some key in input.parameters.keys
	not input.review.object.metadata.labels[key]
}

violation contains {"msg": "key that the document names"} if {
	key := input.review.object.metadata.annotations.key
	input.review.object.metadata.labels[key]
}

violation contains {"msg": "key of both"} if {
	some key
	input.review.object.metadata.labels[key]
	input.review.object.metadata.annotations[key]
}

violation contains {"msg": "made key"} if input.review.object.metadata.labels[concat("", ["a", "pp"])] == "shop"

violation contains {"msg": "key of a set"} if {
	some key in {"hostPID", "hostIPC"}
	input.review.object.spec[key]
}

violation contains {"msg": "one name, two bodies"} if {
	some key
	count([1 | key = ["app", "tier"][_]; input.review.object.metadata.labels[key]]) > 0
	count([1 | key = ["team"][_]; input.review.object.metadata.labels[key]]) > 0
}

violation contains {"msg": "not that list"} if {
	some key in input.parameters.keys
	not key = ["app", "tier"]
	input.review.object.metadata.labels[key] == "web"
}
