# Images that are always the same.
package required_digests

import data.lib.containers

violation contains {"msg": msg, "details": details} if {
	some field in ["containers", "initContainers", "ephemeralContainers"]
	some i
	image := input.review.object.spec[field][i].image
	not regex.match("@sha(256|384|512):[0-9a-f]{64,}$", image)
	container := input.review.object.spec[field][i]
	not containers.excluded(container)
	msg := sprintf("image %s has no digest", [image])
	details := {
		"container": containers.identity(container, field),
		"path": sprintf("spec.%s[%v].image", [field, i]),
		"observed": image,
		"expected": "a digest, such as @sha256:…",
	}
}
