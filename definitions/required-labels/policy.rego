# Labels every Pod must carry.
package required_labels

import data.lib.fixes
import data.lib.types

violation contains {"msg": msg, "details": details} if {
	some entry in input.parameters.labels
	not satisfied(entry)
	[key, pattern] := requirement(entry)
	msg := message(key, pattern)
	details := fixes.offered({
		"path": path(key),
		"observed": observed(key),
		"expected": trim_space(entry),
	}, [{sprintf("metadata.labels['%s']", [key]): literal} | literal := only_value(key, pattern)])
}

# The whole entry being a label that is there settles an entry without a pattern.
satisfied(entry) if is_string(input.review.object.metadata.labels[entry])

satisfied(entry) if {
	[key, pattern] := split(entry, "=")
	is_string(input.review.object.metadata.labels[key])
	regex.match(concat("", ["^(?:", pattern, ")$"]), input.review.object.metadata.labels[key])
}

# Blanks around keys and patterns, "=" in patterns, null for an empty value.
satisfied(entry) if {
	[key, pattern] := requirement(entry)
	regex.match(concat("", ["^(?:", pattern, ")$"]), value(key))
}

satisfied(entry) if trim_space(entry) == ""

satisfied(entry) if requirement(entry)[0] == ""

# requirement is the key and the pattern of an entry; (?s).* is any value.
requirement(entry) := [trim_space(entry), "(?s).*"] if not contains(entry, "=")

requirement(entry) := [key, pattern] if {
	at := indexof(entry, "=")
	at >= 0
	key := trim_space(substring(entry, 0, at))
	pattern := trim_space(substring(entry, at + 1, -1))
}

# only_value is the value that a pattern takes, where it says just one, and no other entry forbids it.
only_value(key, pattern) := literal if {
	literal := trim_prefix(trim_suffix(pattern, "$"), "^")
	regex.match(`^(?:[A-Za-z0-9](?:[A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?)?$`, literal)
	regex.match(`^[A-Za-z0-9_./-]+$`, key)
	every other in input.parameters.labels { agrees(other, key, literal) }
}

agrees(entry, key, _) if requirement(entry)[0] != key

agrees(entry, _, literal) if regex.match(concat("", ["^(?:", requirement(entry)[1], ")$"]), literal)

# value is undefined unless a string; the API server stores null as an empty one.
value(key) := input.review.object.metadata.labels[key] if is_string(input.review.object.metadata.labels[key])

value(key) := "" if input.review.object.metadata.labels[key] == null

observed(key) := input.review.object.metadata.labels[key]

observed(key) := null if not present(key)

present(key) if input.review.object.metadata.labels[key] == false

present(key) if input.review.object.metadata.labels[key] != false

path(key) := "metadata.labels" if not present(key)

else := sprintf("metadata.labels['%s']", [key])

message(key, pattern) := sprintf("label %s is %q, which does not match %s", [key, value(key), pattern]) if {
	value(key)
} else := sprintf("label %s: %s", [key, types.mismatch(observed(key), "a string")]) if {
	present(key)
} else := sprintf("label %s is missing", [key]) if {
	pattern == "(?s).*"
} else := sprintf("label %s is missing; its value must match %s", [key, pattern])
