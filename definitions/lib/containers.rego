# Which containers an assignment leaves out, and how findings name the others. Rules ask only about
# containers that violate, so the usual empty lists cost nothing.
package lib.containers

excluded(container) if container.name in input.parameters.excludedContainers

excluded(container) if excluded_image(container.image)

excluded_image(image) if image in input.parameters.excludedImages

excluded_image(image) if {
	is_string(image)
	some pattern in input.parameters.excludedImages
	endswith(pattern, "*")
	startswith(image, trim_suffix(pattern, "*"))
}

# identity is defined for any container, because a finding must not vanish with a missing name.
identity(container, field) := {"name": object.get(container, "name", ""), "type": field}
