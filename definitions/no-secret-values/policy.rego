# No secrets as values of variables.
package no_secret_values

import data.lib.containers

violation contains {"msg": msg, "details": details} if {
	some field in ["containers", "initContainers", "ephemeralContainers"]
	some i, j
	name := input.review.object.spec[field][i].env[j].name
	secret(name)
	value := input.review.object.spec[field][i].env[j].value
	not regex.match(`^(\$\([^)]*\))?$`, value)
	container := input.review.object.spec[field][i]
	not containers.excluded(container)
	msg := sprintf("variable %s has its value in the manifest", [name])
	details := {
		"container": containers.identity(container, field),
		"path": sprintf("spec.%s[%v].env[%v].value", [field, i, j]),
		"observed": "a value",
		"expected": "a Secret",
	}
}

secret(name) if {
	regex.match(input.parameters.namePattern, name)
	not regex.match("(?i)(file|path)$", name)
}
