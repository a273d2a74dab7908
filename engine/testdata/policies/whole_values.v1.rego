package whole_values

# Built-ins that see all of what they are given.
violation contains {"msg": "count"} if count(input.review.object.spec.containers[0]) > 3

violation contains {"msg": "walk"} if {
	walk(input.review.object.spec, [path, value])
	path[count(path) - 1] == "privileged"
	value == true
}

violation contains {"msg": "filter"} if json.filter(input.review.object, ["spec/hostNetwork"]) != {"spec": {}}

violation contains {"msg": "remove"} if count(object.remove(input.review.object.metadata, ["name"])) > 1

violation contains {"msg": "union"} if object.union(input.review.object.metadata, {"x": 1}).labels.app == "shop"

violation contains {"msg": "keys"} if "hostNetwork" in object.keys(input.review.object.spec)

violation contains {"msg": "marshal"} if contains(json.marshal(input.review.object.spec), "10.0.0.1")

violation contains {"msg": "graph"} if count(graph.reachable({"a": input.review.object.spec.list, "b": []}, {"a"})) > 1
