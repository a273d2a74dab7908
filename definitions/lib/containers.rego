# Which containers an assignment leaves out, and how findings name the others. Rules ask only about
# containers that violate, and the usual empty lists are settled once for all of them.
package lib.containers

excluded(container) if {
	some_excluded
	listed(container)
}

some_excluded if input.parameters.excludedContainers != []

some_excluded if input.parameters.excludedImages != []

listed(container) if container.name in input.parameters.excludedContainers

listed(container) if excluded_image(container.image)

excluded_image(image) if image in input.parameters.excludedImages

excluded_image(image) if {
	is_string(image)
	some pattern in input.parameters.excludedImages
	endswith(pattern, "*")
	startswith(image, trim_suffix(pattern, "*"))
}

# judged holds unless every container is left out, and with them what the Pod says for all.
judged if count(input.parameters.excludedContainers) + count(input.parameters.excludedImages) == 0

judged if {
	some field in ["containers", "initContainers", "ephemeralContainers"]
	some i
	container := input.review.object.spec[field][i]
	not excluded(container)
}

# identity is defined for any container, because a finding must not vanish with a missing name.
identity(container, field) := {"name": object.get(container, "name", ""), "type": field}
