# No images from forbidden registries.
package forbidden_registries

import data.lib.containers
import data.lib.images

violation contains {"msg": msg, "details": details} if {
	some field in ["containers", "initContainers", "ephemeralContainers"]
	some i
	image := input.review.object.spec[field][i].image
	strings.any_prefix_match(images.canonical(image), prefixes)
	container := input.review.object.spec[field][i]
	not containers.excluded(container)
	msg := sprintf("image %s comes from a forbidden registry", [image])
	details := {
		"container": containers.identity(container, field),
		"path": sprintf("spec.%s[%v].image", [field, i]),
		"observed": image,
		"expected": sprintf("not from %s", [concat(", ", input.parameters.forbiddenRegistries)]),
	}
}

prefixes := images.prefixes(input.parameters.forbiddenRegistries)
