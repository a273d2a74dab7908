# Secrets are read by few.
package no_secret_reading_roles

import data.lib.names
import data.lib.rbac

violation contains {"msg": msg, "details": details} if {
	not rbac.own
	some i, rule in input.review.object.rules
	not rule.resourceNames[0]
	verbs := [verb | some verb in ["get", "list", "watch"]; rbac.gives(rule, "", "secrets", verb)]
	count(verbs) > 0
	not names.listed(input.review.name, input.parameters.allowedRoles)
	msg := sprintf("gives %s on secrets", [concat(", ", verbs)])
	details := {"path": sprintf("rules[%v]", [i]), "observed": rule, "expected": "no reading of secrets"}
}
