# Roles name what they give.
package no_wildcard_roles

import data.lib.rbac

violation contains {"msg": msg, "details": details} if {
	not rbac.own
	some i
	some field in ["apiGroups", "resources", "verbs", "nonResourceURLs"]
	"*" in input.review.object.rules[i][field]
	msg := sprintf("* as one of %s", [field])
	details := {
		"path": sprintf("rules[%v].%s", [i, field]),
		"observed": input.review.object.rules[i][field],
		"expected": "names without *",
	}
}
