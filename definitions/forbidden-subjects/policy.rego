# Rights for nobody in particular.
package forbidden_subjects

import data.lib.rbac

violation contains {"msg": msg, "details": details} if {
	not rbac.own
	some i
	input.review.object.subjects[i].kind in ["User", "Group"]
	name := input.review.object.subjects[i].name
	name in input.parameters.forbiddenSubjects
	msg := sprintf("gives rights to %s", [name])
	details := {"path": sprintf("subjects[%v].name", [i]), "observed": name, "expected": "a subject of your own"}
}
