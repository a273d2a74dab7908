# Secrets as files, and not as variables.
package no_secrets_in_environment

import data.lib.containers

violation contains {"msg": msg, "details": details} if {
	some field in ["containers", "initContainers", "ephemeralContainers"]
	some i
	some [place, secret] in sources(field, i)
	container := input.review.object.spec[field][i]
	not containers.excluded(container)
	msg := sprintf("the environment has the Secret %v", [secret])
	details := {
		"container": containers.identity(container, field),
		"path": sprintf("spec.%s[%v].%s", [field, i, place]),
		"observed": secret,
		"expected": "a volume",
	}
}

sources(field, i) := one_by_one | whole if {
	one_by_one := {[sprintf("env[%v].valueFrom.secretKeyRef", [j]), secret] |
		some j
		secret := input.review.object.spec[field][i].env[j].valueFrom.secretKeyRef.name
	}
	whole := {[sprintf("envFrom[%v].secretRef", [j]), secret] |
		some j
		secret := input.review.object.spec[field][i].envFrom[j].secretRef.name
	}
}
