# Labels every Pod must carry.
package required_labels

import data.lib.types

violation contains {"msg": msg, "details": details} if {
	some entry in input.parameters.labels
	not satisfied(entry)
	[key, pattern] := requirement(entry)
	msg := message(key, pattern)
	details := {
		"path": path(key),
		"observed": observed(key),
		"expected": trim_space(entry),
	}
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
