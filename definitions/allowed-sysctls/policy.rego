# Only allowed sysctls.
package allowed_sysctls

import data.lib.containers
import data.lib.names
import data.lib.types

violation contains {"msg": msg, "details": details} if {
	some i
	sysctl := input.review.object.spec.securityContext.sysctls[i]
	name := object.get(sysctl, "name", null)
	not names.listed(name, input.parameters.allowedSysctls)
	containers.judged
	msg := message(name)
	details := {
		"path": sprintf("spec.securityContext.sysctls[%v].name", [i]),
		"observed": name,
		"expected": expected,
	}
}

message(name) := sprintf("sysctl %s is not allowed", [name]) if is_string(name)

else := sprintf("sysctl: %s", [types.mismatch(name, "a name")])

expected := "no sysctl" if count(input.parameters.allowedSysctls) == 0

else := concat(", ", input.parameters.allowedSysctls)
