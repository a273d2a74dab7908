# No image whose tag means another image tomorrow.
package no_latest_tag

import data.lib.containers

violation contains {"msg": msg, "details": details} if {
	some field in ["containers", "initContainers", "ephemeralContainers"]
	some i
	image := input.review.object.spec[field][i].image
	tag := tag_of(image)
	tag in input.parameters.tags
	container := input.review.object.spec[field][i]
	not containers.excluded(container)
	msg := message(image, tag)
	details := {
		"container": containers.identity(container, field),
		"path": sprintf("spec.%s[%v].image", [field, i]),
		"observed": image,
		"expected": "the tag of a version, or a digest",
	}
}

# A colon before the last slash belongs to the port of a registry. What follows the colon of a digest is no tag of anybody's.
tag_of(image) := array.concat(split(regex.replace(image, "^.*/", ""), ":"), ["latest"])[1]

message(image, tag) := sprintf("image %s has the tag %s", [image, tag]) if endswith(image, concat("", [":", tag]))

else := sprintf("image %s has no tag, which means latest", [image])
