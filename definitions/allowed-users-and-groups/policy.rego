# Users and groups only as the rules and ranges say.
package allowed_users_and_groups

import data.lib.containers
import data.lib.pods
import data.lib.types

# Of a container: runAsUser and runAsGroup, its own or the Pod's.
violation contains {"msg": msg, "details": details} if {
	not pods.windows
	some setting in ["runAsUser", "runAsGroup"]
	not any_allowed(setting)
	some field in ["containers", "initContainers", "ephemeralContainers"]
	some i
	container := input.review.object.spec[field][i]
	value := effective(container, setting)
	not complies(setting, value, container)
	not containers.excluded(container)
	msg := message(setting, value)
	details := {
		"container": containers.identity(container, field),
		"path": sprintf("%s.securityContext.%s", [place(container, setting, field, i), setting]),
		"observed": value,
		"expected": expected(setting),
	}
}

# Of the Pod: supplementalGroups and fsGroup.
violation contains {"msg": msg, "details": details} if {
	not pods.windows
	not any_allowed("fsGroup")
	value := object.get(input.review.object.spec, ["securityContext", "fsGroup"], null)
	not complies("fsGroup", value, {})
	containers.judged
	msg := message("fsGroup", value)
	details := {"path": "spec.securityContext.fsGroup", "observed": value, "expected": expected("fsGroup")}
}

violation contains {"msg": msg, "details": details} if {
	not pods.windows
	value := object.get(input.review.object.spec, ["securityContext", "supplementalGroups"], null)
	not groups_comply(value)
	containers.judged
	msg := message("supplementalGroups", value)
	details := {
		"path": "spec.securityContext.supplementalGroups",
		"observed": value,
		"expected": expected("supplementalGroups"),
	}
}

# effective is what holds for a container: its own, or the Pod's.
effective(container, setting) := value if {
	value := container.securityContext[setting]
	value != null
} else := object.get(input.review.object.spec, ["securityContext", setting], null)

# place is where that stands, or should.
place(container, setting, field, i) := sprintf("spec.%s[%v]", [field, i]) if {
	object.get(container, ["securityContext", setting], null) != null
} else := "spec" if {
	object.get(input.review.object.spec, ["securityContext", setting], null) != null
} else := sprintf("spec.%s[%v]", [field, i])

any_allowed(setting) if rules[setting] == "RunAsAny"

complies(setting, null, _) if rules[setting] == "MayRunAs"

complies(setting, value, _) if {
	rules[setting] in ["MustRunAs", "MayRunAs"]
	within(setting, value)
}

complies(setting, value, _) if {
	rules[setting] == "MustRunAsNonRoot"
	value != null
	value > 0
}

complies(setting, null, container) if {
	rules[setting] == "MustRunAsNonRoot"
	non_root(container)
}

non_root(container) if container.securityContext.runAsNonRoot == true

non_root(container) if {
	object.get(container, ["securityContext", "runAsNonRoot"], null) == null
	input.review.object.spec.securityContext.runAsNonRoot == true
}

groups_comply(_) if rules.supplementalGroups == "RunAsAny"

groups_comply(value) if {
	rules.supplementalGroups == "MayRunAs"
	value in [null, []]
}

groups_comply(value) if {
	value != null
	count(value) > 0
	every group in value { within("supplementalGroups", group) }
}

within(setting, value) if {
	value != null
	some range in ranges[setting]
	value >= range.min
	not above(value, range)
}

above(value, range) if {
	range.max != -1
	value > range.max
}

rules := {
	"runAsUser": input.parameters.runAsUserRule,
	"runAsGroup": input.parameters.runAsGroupRule,
	"supplementalGroups": input.parameters.supplementalGroupsRule,
	"fsGroup": input.parameters.fsGroupRule,
}

ranges := {
	"runAsUser": input.parameters.runAsUserRanges.ranges,
	"runAsGroup": input.parameters.runAsGroupRanges.ranges,
	"supplementalGroups": input.parameters.supplementalGroupsRanges.ranges,
	"fsGroup": input.parameters.fsGroupRanges.ranges,
}

message(setting, null) := sprintf("%s is not set", [setting])

message(setting, value) := sprintf("%s %s is not allowed", [setting, types.shown(value)]) if value != null

expected(setting) := "another user than 0, or runAsNonRoot" if rules[setting] == "MustRunAsNonRoot"

else := sprintf("within %s", [concat(", ", [text | some range in ranges[setting]; text := range_text(range)])]) if {
	count(ranges[setting]) > 0
}

else := "not set" if rules[setting] == "MayRunAs"

else := "a range in the assignment"

range_text(range) := sprintf("%v and above", [range.min]) if range.max == -1

else := sprintf("%v-%v", [range.min, range.max])
