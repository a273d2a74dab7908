# An AppArmor profile only if it is allowed.
package apparmor_profiles

import data.lib.containers
import data.lib.profiles

violation contains {"msg": msg, "details": details} if {
	profile := input.review.object.spec.securityContext.appArmorProfile
	profile != null
	not profiles.allowed(profile)
	containers.judged
	msg := profiles.message("securityContext.appArmorProfile of the Pod", profile)
	details := {
		"path": "spec.securityContext.appArmorProfile.type",
		"observed": profiles.type_of(profile),
		"expected": profiles.expected,
		"fix": {"spec.securityContext.appArmorProfile": null},
	}
}

violation contains {"msg": msg, "details": details} if {
	some field in ["containers", "initContainers", "ephemeralContainers"]
	some i
	profile := input.review.object.spec[field][i].securityContext.appArmorProfile
	profile != null
	not profiles.allowed(profile)
	container := input.review.object.spec[field][i]
	not containers.excluded(container)
	place := sprintf("spec.%s[%v].securityContext.appArmorProfile", [field, i])
	msg := profiles.message("securityContext.appArmorProfile", profile)
	details := {
		"container": containers.identity(container, field),
		"path": sprintf("%s.type", [place]),
		"observed": profiles.type_of(profile),
		"expected": profiles.expected,
		"fix": {place: null},
	}
}

# Before Kubernetes 1.30 there were only annotations, with the name of the container in their keys.
violation contains {"msg": msg, "details": details} if {
	some field in ["containers", "initContainers", "ephemeralContainers"]
	some i
	key := concat("/", ["container.apparmor.security.beta.kubernetes.io", input.review.object.spec[field][i].name])
	value := input.review.object.metadata.annotations[key]
	not value in ["", null]
	not allowed(value)
	container := input.review.object.spec[field][i]
	not containers.excluded(container)
	msg := sprintf("the AppArmor annotation is %s, which is not allowed", [value])
	details := {
		"container": containers.identity(container, field),
		"path": sprintf("metadata.annotations['%s']", [key]),
		"observed": value,
		"expected": profiles.expected,
		"fix": {sprintf("metadata.annotations['%s']", [key]): null},
	}
}

allowed(value) if profiles.allowed(profiles.annotated(value))

