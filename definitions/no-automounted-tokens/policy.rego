# No token of the ServiceAccount unless the Pod asks for it.
package no_automounted_tokens

import data.lib.containers
import data.lib.types

violation contains {"msg": msg, "details": details} if {
	value := object.get(input.review.object.spec, "automountServiceAccountToken", null)
	value != false
	containers.judged
	msg := message(value)
	details := {
		"path": "spec.automountServiceAccountToken",
		"observed": value,
		"expected": false,
		"fix": {"spec.automountServiceAccountToken": false},
	}
}

message(null) := "automountServiceAccountToken is not set, which mounts a token"

message(value) := types.flag("automountServiceAccountToken", value) if value != null
