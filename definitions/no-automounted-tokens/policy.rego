# No token of the ServiceAccount unless the Pod asks for it.
package no_automounted_tokens

import data.lib.containers
import data.lib.types

violation contains {"msg": msg, "details": details} if {
	value := object.get(input.review.object.spec, "automountServiceAccountToken", null)
	value != false
	not complies_at_azure
	containers.judged
	msg := message(value)
	details := {
		"path": "spec.automountServiceAccountToken",
		"observed": value,
		"expected": false,
		"fix": {"spec.automountServiceAccountToken": false},
	}
}

# At Azure what is not set is judged by whether a container mounts the token where Kubernetes does by itself.
complies_at_azure if {
	input.parameters.azureBehaviour
	not input.review.object.spec.automountServiceAccountToken
	not token_mounted
}

token_mounted if {
	some field in ["containers", "initContainers", "ephemeralContainers"]
	input.review.object.spec[field][_].volumeMounts[_].mountPath == "/var/run/secrets/kubernetes.io/serviceaccount"
}

message(null) := "automountServiceAccountToken is not set, which mounts a token"

message(value) := types.flag("automountServiceAccountToken", value) if value != null
