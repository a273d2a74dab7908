# The root file system of a container is read-only.
package read_only_root_filesystem

import data.lib.containers
import data.lib.pods
import data.lib.types

violation contains {"msg": msg, "details": details} if {
	not pods.windows
	some field in ["containers", "initContainers", "ephemeralContainers"]
	some i
	value := object.get(input.review.object.spec[field][i], ["securityContext", "readOnlyRootFilesystem"], null)
	value != true
	container := input.review.object.spec[field][i]
	not containers.excluded(container)
	path := sprintf("spec.%s[%v].securityContext.readOnlyRootFilesystem", [field, i])
	msg := message(value)
	details := {
		"container": containers.identity(container, field),
		"path": path,
		"observed": value,
		"expected": true,
		"fix": {path: true},
	}
}

message(null) := "securityContext.readOnlyRootFilesystem is not set"

message(false) := "securityContext.readOnlyRootFilesystem is false"

message(value) := sprintf("securityContext.readOnlyRootFilesystem: %s", [types.mismatch(value, "a boolean")]) if {
	not value in [null, false]
}
