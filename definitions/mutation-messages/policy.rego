# Tells what mutations did, by the annotations that they leave.
package mutation_messages

violation contains {"msg": message, "details": details} if {
	some annotation, message in input.parameters.messages
	value := input.review.object.metadata.annotations[annotation]
	details := {
		"path": sprintf("metadata.annotations['%s']", [annotation]),
		"observed": value,
		"expected": "no change by a mutation",
	}
}
