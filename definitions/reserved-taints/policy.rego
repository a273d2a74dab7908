# Taints that belong to the nodes of the system.
package reserved_taints

violation contains {"msg": msg, "details": details} if {
	some i
	key := input.review.object.spec.taints[i].key
	key in input.parameters.reservedTaints
	not of_the_system
	msg := sprintf("taint %s is reserved", [key])
	details := {
		"path": sprintf("spec.taints[%v].key", [i]),
		"observed": key,
		"expected": sprintf("only with the label %s", [input.parameters.systemLabel]),
	}
}

of_the_system if {
	[key, value] := split(input.parameters.systemLabel, "=")
	input.review.object.metadata.labels[key] == value
}
