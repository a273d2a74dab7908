# No container runs as root, unless in a user namespace.
package run_as_non_root

import data.lib.containers
import data.lib.pods
import data.lib.types

violation contains {"msg": msg, "details": details} if {
	not pods.in_user_namespace
	value := input.review.object.spec.securityContext.runAsNonRoot
	not value in [true, null]
	containers.judged
	msg := message("securityContext.runAsNonRoot of the Pod", value)
	details := {
		"path": "spec.securityContext.runAsNonRoot",
		"observed": value,
		"expected": true,
		"fix": {"spec.securityContext.runAsNonRoot": true},
	}
}

violation contains {"msg": msg, "details": details} if {
	not pods.in_user_namespace
	some field in ["containers", "initContainers", "ephemeralContainers"]
	some i
	value := object.get(input.review.object.spec[field][i], ["securityContext", "runAsNonRoot"], null)
	value != true
	not said_by_pod(value)
	container := input.review.object.spec[field][i]
	not containers.excluded(container)
	path := sprintf("spec.%s[%v].securityContext.runAsNonRoot", [field, i])
	msg := message("securityContext.runAsNonRoot", value)
	details := {
		"container": containers.identity(container, field),
		"path": path,
		"observed": value,
		"expected": true,
		"fix": {path: true},
	}
}

# What the Pod says holds for a container that says nothing; if it is false, that is a finding of the Pod.
said_by_pod(null) if input.review.object.spec.securityContext.runAsNonRoot != null

violation contains {"msg": msg, "details": details} if {
	not pods.in_user_namespace
	value := input.review.object.spec.securityContext.runAsUser
	root(value)
	containers.judged
	msg := user_message("securityContext.runAsUser of the Pod", value)
	details := {
		"path": "spec.securityContext.runAsUser",
		"observed": value,
		"expected": "another user than 0",
	}
}

violation contains {"msg": msg, "details": details} if {
	not pods.in_user_namespace
	some field in ["containers", "initContainers", "ephemeralContainers"]
	some i
	value := input.review.object.spec[field][i].securityContext.runAsUser
	root(value)
	container := input.review.object.spec[field][i]
	not containers.excluded(container)
	msg := user_message("securityContext.runAsUser", value)
	details := {
		"container": containers.identity(container, field),
		"path": sprintf("spec.%s[%v].securityContext.runAsUser", [field, i]),
		"observed": value,
		"expected": "another user than 0",
	}
}

root(0)

root(value) if {
	value != null
	not is_number(value)
}

message(what, null) := sprintf("%s is not set, so it may run as root", [what])

message(what, false) := sprintf("%s is false", [what])

message(what, value) := sprintf("%s: %s", [what, types.mismatch(value, "a boolean")]) if not value in [null, false]

user_message(what, 0) := sprintf("%s is 0, which is root", [what])

user_message(what, value) := sprintf("%s: %s", [what, types.mismatch(value, "a user id")]) if value != 0
