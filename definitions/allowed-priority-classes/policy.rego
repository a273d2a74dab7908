# Priorities only as allowed.
package allowed_priority_classes

import data.lib.containers

violation contains {"msg": msg, "details": details} if {
	name := object.get(input.review.object.spec, "priorityClassName", "")
	not allowed(name)
	containers.judged
	msg := message(name)
	details := {
		"path": "spec.priorityClassName",
		"observed": name,
		"expected": concat(", ", input.parameters.allowedPriorityClasses),
	}
}

allowed(name) if name in input.parameters.allowedPriorityClasses

allowed("") if not input.parameters.requireClass

message("") := "priorityClassName is not set"

message(name) := sprintf("priority class %s is not allowed", [name]) if name != ""
