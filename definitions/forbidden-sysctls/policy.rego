# No forbidden sysctls.
package forbidden_sysctls

import data.lib.containers
import data.lib.names
import data.lib.types

violation contains {"msg": msg, "details": details} if {
	some i
	sysctl := input.review.object.spec.securityContext.sysctls[i]
	name := object.get(sysctl, "name", null)
	not complies(name)
	containers.judged
	msg := message(name)
	details := {
		"path": sprintf("spec.securityContext.sysctls[%v].name", [i]),
		"observed": name,
		"expected": sprintf("none of %s", [concat(", ", input.parameters.forbiddenSysctls)]),
	}
}

complies(name) if {
	is_string(name)
	not names.listed(dotted(name), [dotted(entry) | some entry in input.parameters.forbiddenSysctls])
}

# dotted: / may stand for . in names of sysctls.
dotted(name) := replace(name, "/", ".")

message(name) := sprintf("sysctl %s is forbidden", [name]) if is_string(name)

else := sprintf("sysctl: %s", [types.mismatch(name, "a name")])
