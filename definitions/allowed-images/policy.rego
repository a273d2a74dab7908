# Images only from allowed registries, or matching a pattern.
package allowed_images

import data.lib.containers
import data.lib.fixes
import data.lib.images
import data.lib.types

violation contains {"msg": message(image), "details": details} if {
	some field in ["containers", "initContainers", "ephemeralContainers"]
	some i
	image := object.get(input.review.object.spec[field][i], "image", null)
	not plainly_allowed(image)
	not allowed(image)
	container := input.review.object.spec[field][i]
	not containers.excluded(container)
	details := fixes.offered({
		"container": containers.identity(container, field),
		"path": sprintf("spec.%s[%v].image", [field, i]),
		"observed": observed(image),
		"expected": expected,
	}, [{sprintf("spec.%s[%v].image", [field, i]): other} | other := moved(image)])
}

# Most images are spelled like their registry, and plainly: these tests of the JSON text settle them. Its quotation mark
# makes them safe for values that are no strings, the slash for hosts that only begin alike.
plainly_allowed(image) if {
	registries_given
	text := json.marshal(image)
	strings.any_prefix_match(text, plain_prefixes)
	plain(text)
}

plain(text) if {
	count(text) < 128
	regex.match(`^"[a-z0-9]+(?:[.-][a-z0-9]+)*(?::[0-9]+)?(?:/[a-z0-9]+(?:[._-][a-z0-9]+)*)+(?::[A-Za-z0-9_][A-Za-z0-9_.-]*)?(?:@sha256:[a-f0-9]{64})?"$`, text)
}

plain_prefixes contains concat("", ["\"", registry, "/"]) if some registry in input.parameters.allowedRegistries

# Image volumes are pulled as well. They belong to the Pod, not to a container. No fix is offered: a patch
# would need the volume's name, and names of volumes differ from replica to replica (kube-api-access-…), so
# that to read them would make every Pod unlike the others.
violation contains {"msg": sprintf("image volume: %s", [message(image)]), "details": details} if {
	not input.parameters.azureBehaviour
	some i
	volume := input.review.object.spec.volumes[i].image
	volume != null
	image := reference(volume)
	not allowed(image)
	not containers.excluded_image(image)
	details := {
		"path": sprintf("spec.volumes[%v].image.reference", [i]),
		"observed": observed(image),
		"expected": expected,
	}
}

reference(volume) := volume.reference

reference(volume) := null if not volume.reference

allowed(image) if {
	is_string(image)
	image != ""
	input.parameters.allowedContainerImagesRegex != ""
	regex.match(input.parameters.allowedContainerImagesRegex, image)
}

allowed(image) if {
	registries_given
	is_string(image)
	repository := images.canonical(image)
	some registry in registries
	startswith(repository, registry)
}

observed(image) := shortened(image) if images.long(image)

else := image

shortened(image) := sprintf("%s… (%d characters)", [substring(image, 0, 80), count(image)])

registries_given if input.parameters.allowedRegistries != []

registries := images.prefixes(input.parameters.allowedRegistries)

# moved is the same image, by path, tag and digest, in the only registry that is allowed. Where several are, one would
# be a guess; names of the Docker Hub have two parts, so that what others call it need not fit there.
moved(image) := other if {
	[entry] := input.parameters.allowedRegistries
	registry := trim_right(entry, "/")
	images.is_host(split(registry, "/")[0])
	images.host_name(split(registry, "/")[0]) != "docker.io"
	is_string(image)
	not images.long(image)
	rest := image_path(image)
	regex.match(`^[a-z0-9][a-z0-9._/-]*(?::[A-Za-z0-9_][A-Za-z0-9_.-]*)?(?:@[a-z0-9]+:[a-f0-9]+)?$`, rest)
	other := concat("/", [registry, rest])
	allowed(other)
}

# A host alone is no image.
image_path(image) := image if not images.is_host(split(image, "/")[0])

else := image if {
	not contains(image, "/")
	not contains(split(image, ":")[0], ".")
}

else := substring(image, count(split(image, "/")[0]) + 1, -1) if contains(image, "/")

message(image) := sprintf("image %s is too long for an image reference", [shortened(image)]) if {
	images.long(image)
} else := sprintf("image %s is no image reference", [image]) if {
	is_string(image)
	image != ""
	not plain(json.marshal(image))
	not images.canonical(image)
} else := sprintf("image %s %s", [image, fault]) if {
	is_string(image)
	image != ""
} else := "no image is set" if {
	image in ["", null]
} else := types.mismatch(image, "an image reference")

listed := concat(", ", input.parameters.allowedRegistries)

fault := sprintf("is neither from an allowed registry (%s) nor does it match %s", [listed, input.parameters.allowedContainerImagesRegex]) if {
	count(input.parameters.allowedRegistries) > 0
	input.parameters.allowedContainerImagesRegex != ""
} else := sprintf("is not from an allowed registry (%s)", [listed]) if {
	count(input.parameters.allowedRegistries) > 0
} else := sprintf("does not match %s", [input.parameters.allowedContainerImagesRegex]) if {
	input.parameters.allowedContainerImagesRegex != ""
} else := "is not allowed, for no registry and no pattern is given"

expected := sprintf("%s or %s", [listed, input.parameters.allowedContainerImagesRegex]) if {
	count(input.parameters.allowedRegistries) > 0
	input.parameters.allowedContainerImagesRegex != ""
} else := listed if {
	count(input.parameters.allowedRegistries) > 0
} else := input.parameters.allowedContainerImagesRegex
