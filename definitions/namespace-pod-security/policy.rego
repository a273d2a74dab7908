# The API server refuses what no Pod should be.
package namespace_pod_security

violation contains {"msg": msg, "details": details} if {
	level := object.get(input.review.object.metadata, ["labels", "pod-security.kubernetes.io/enforce"], null)
	not level in input.parameters.allowedLevels
	msg := message(level)
	path := "metadata.labels['pod-security.kubernetes.io/enforce']"
	details := {
		"path": path,
		"observed": level,
		"expected": concat(", ", input.parameters.allowedLevels),
		"fix": {path: input.parameters.allowedLevels[0]},
	}
}

message(null) := "no Pod Security Standard is enforced"

message(level) := sprintf("the level %s is not allowed", [level]) if level != null
