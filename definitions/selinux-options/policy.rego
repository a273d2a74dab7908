# SELinux options only as allowed.
package selinux_options

import data.lib.containers
import data.lib.fixes
import data.lib.types

violation contains {"msg": msg, "details": details} if {
	options := input.review.object.spec.securityContext.seLinuxOptions
	options != null
	some [suffix, observed, expected, removed] in faults(options)
	containers.judged
	path := sprintf("spec.securityContext.seLinuxOptions%s", [suffix])
	msg := message(suffix, observed)
	details := fixes.offered(
		{"path": path, "observed": observed, "expected": expected},
		[{path: null} | removed],
	)
}

violation contains {"msg": msg, "details": details} if {
	some field in ["containers", "initContainers", "ephemeralContainers"]
	some i
	options := input.review.object.spec[field][i].securityContext.seLinuxOptions
	options != null
	some [suffix, observed, expected, removed] in faults(options)
	container := input.review.object.spec[field][i]
	not containers.excluded(container)
	path := sprintf("spec.%s[%v].securityContext.seLinuxOptions%s", [field, i, suffix])
	msg := message(suffix, observed)
	details := fixes.offered({
		"container": containers.identity(container, field),
		"path": path,
		"observed": observed,
		"expected": expected,
	}, [{path: null} | removed])
}

# faults: below which field of the options, what is there, what should be, and whether to remove it is enough.
faults(options) := type_faults | own_faults if {
	input.parameters.enforcePSS
	type_faults := {[".type", type, types_text, true] |
		type := options.type
		not type in ["", null]
		not type in input.parameters.allowedSELinuxTypes
	}
	own_faults := {[suffix, value, "not set", true] |
		some [suffix, value] in [[".user", object.get(options, "user", null)], [".role", object.get(options, "role", null)]]
		not value in ["", null]
	}
}

faults(options) := {["", options, options_text, false] | not listed(options)} if not input.parameters.enforcePSS

listed(options) if {
	some entry in input.parameters.allowedSELinuxOptions.options
	every key in ["level", "role", "type", "user"] { text(options, key) == text(entry, key) }
}

text(options, key) := value if {
	value := options[key]
	value != null
} else := ""

types_text := "not set" if count(input.parameters.allowedSELinuxTypes) == 0

else := concat(", ", input.parameters.allowedSELinuxTypes)

options_text := "not set" if count(input.parameters.allowedSELinuxOptions.options) == 0

else := concat(" or ", [json.marshal(entry) | some entry in input.parameters.allowedSELinuxOptions.options])

message(suffix, observed) := sprintf("securityContext.seLinuxOptions%s %s is not allowed", [suffix, types.shown(observed)])
