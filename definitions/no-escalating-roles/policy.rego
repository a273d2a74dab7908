# No rights that lead to more rights.
package no_escalating_roles

import data.lib.rbac

violation contains {"msg": msg, "details": details} if {
	not rbac.own
	some i, rule in input.review.object.rules
	some [group, resource, verbs] in [
		["rbac.authorization.k8s.io", "roles", ["bind", "escalate"]],
		["rbac.authorization.k8s.io", "clusterroles", ["bind", "escalate"]],
		["", "users", ["impersonate"]],
		["", "groups", ["impersonate"]],
		["", "serviceaccounts", ["impersonate"]],
	]
	given := [verb | some verb in verbs; rbac.gives(rule, group, resource, verb)]
	count(given) > 0
	msg := sprintf("gives %s on %s", [concat(", ", given), resource])
	details := {"path": sprintf("rules[%v]", [i]), "observed": rule, "expected": sprintf("neither %s on %s", [concat(" nor ", verbs), resource])}
}
