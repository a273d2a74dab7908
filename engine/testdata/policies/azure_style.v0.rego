package k8sazurecontainerlimits

# As the published templates of Azure write it.
missing(obj, field) = true {
	not obj[field]
}

missing(obj, field) = true {
	obj[field] == ""
}

is_excluded(container) {
	exclusions := input.parameters.excludedImages
	exclusion := exclusions[_]
	trim_suffix(exclusion, "*") == container.image
}

general_violation[{"msg": msg, "field": field}] {
	container := input.review.object.spec[field][_]
	not is_excluded(container)
	missing(container, "resources")
	msg := sprintf("container <%v> has no resource limits", [container.name])
}

general_violation[{"msg": msg, "field": field}] {
	container := input.review.object.spec[field][_]
	missing(container.resources, "limits")
	msg := sprintf("container <%v> has no limits", [container.name])
}

violation[{"msg": msg}] {
	general_violation[{"msg": msg, "field": "containers"}]
}

violation[{"msg": msg}] {
	general_violation[{"msg": msg, "field": "initContainers"}]
}
