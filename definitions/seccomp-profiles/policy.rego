# A seccomp profile that is allowed for every container.
package seccomp_profiles

import data.lib.containers
import data.lib.fixes
import data.lib.pods
import data.lib.profiles

# The Pod's own, whether a container has another or not.
violation contains {"msg": msg, "details": details} if {
	profile := input.review.object.spec.securityContext.seccompProfile
	profile != null
	not profiles.allowed(profile)
	containers.judged
	msg := profiles.message("securityContext.seccompProfile of the Pod", profile)
	details := fixes.offered({
		"path": "spec.securityContext.seccompProfile.type",
		"observed": profiles.type_of(profile),
		"expected": profiles.expected,
	}, usual("spec"))
}

violation contains {"msg": msg, "details": details} if {
	some field in ["containers", "initContainers", "ephemeralContainers"]
	some i
	profile := input.review.object.spec[field][i].securityContext.seccompProfile
	profile != null
	not profiles.allowed(profile)
	container := input.review.object.spec[field][i]
	not containers.excluded(container)
	place := sprintf("spec.%s[%v]", [field, i])
	msg := profiles.message("securityContext.seccompProfile", profile)
	details := fixes.offered({
		"container": containers.identity(container, field),
		"path": sprintf("%s.securityContext.seccompProfile.type", [place]),
		"observed": profiles.type_of(profile),
		"expected": profiles.expected,
	}, usual(place))
}

violation contains {"msg": msg, "details": details} if {
	input.parameters.requireProfile
	not pods.windows
	not pod_has_one
	some field in ["containers", "initContainers", "ephemeralContainers"]
	some i
	object.get(input.review.object.spec[field][i], ["securityContext", "seccompProfile"], null) == null
	container := input.review.object.spec[field][i]
	not containers.excluded(container)
	place := sprintf("spec.%s[%v]", [field, i])
	msg := "no seccomp profile is set, neither for the container nor for the Pod"
	details := fixes.offered({
		"container": containers.identity(container, field),
		"path": sprintf("%s.securityContext.seccompProfile.type", [place]),
		"expected": profiles.expected,
	}, usual(place))
}

pod_has_one if input.review.object.spec.securityContext.seccompProfile != null

# The name of a profile on the node goes with the type Localhost.
usual(place) := [{
	sprintf("%s.securityContext.seccompProfile.type", [place]): "RuntimeDefault",
	sprintf("%s.securityContext.seccompProfile.localhostProfile", [place]): null,
} |
	profiles.default_allowed
]
