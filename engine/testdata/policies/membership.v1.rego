package membership

containers contains container if some container in input.review.object.spec.containers

violation contains {"msg": "the same container twice"} if {
	some container in input.review.object.spec.initContainers
	container in containers
}

violation contains {"msg": "looked up"} if {
	some container in input.review.object.spec.initContainers
	containers[container]
}

violation contains {"msg": "fewer than written"} if count(containers) < count(input.review.object.spec.containers)

violation contains {"msg": "in a list of lists"} if {
	some container in input.review.object.spec.containers
	container.args in [["--debug"], []]
}

violation contains {"msg": "value of labels"} if {
	"shop" in input.review.object.metadata.labels
	"app", "shop" in input.review.object.metadata.labels
}
