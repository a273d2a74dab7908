# Holders of the role edit change no endpoints.
package no_endpoint_edits

import data.lib.rbac

violation contains {"msg": msg, "details": details} if {
	input.review.name == "system:aggregate-to-edit"
	some i, rule in input.review.object.rules
	some [group, resource] in [["", "endpoints"], ["discovery.k8s.io", "endpointslices"]]
	verbs := [verb | some verb in ["create", "update", "patch", "delete", "deletecollection"]; rbac.gives(rule, group, resource, verb)]
	count(verbs) > 0
	msg := sprintf("gives %s on %s", [concat(", ", verbs), resource])
	details := {"path": sprintf("rules[%v]", [i]), "observed": rule, "expected": sprintf("no change of %s", [resource])}
}
