# Labels every Pod must carry.
package required_labels

import data.lib.fixes
import data.lib.types

violation contains {"msg": msg, "details": details} if {
	some [entry, key, pattern, whole] in requirements
	not satisfied(entry, key, whole)
	msg := message(key, pattern)
	details := fixes.offered({
		"path": path(key),
		"observed": observed(key),
		"expected": trim_space(entry),
	}, [{sprintf("metadata.labels['%s']", [key]): literal} | literal := only_value(key, pattern)])
}

# The whole entry being a label that is there settles an entry without a pattern.
satisfied(entry, _, _) if is_string(input.review.object.metadata.labels[entry])

satisfied(_, key, whole) if regex.match(whole, value(key))

# requirements are the entries with what they say: blanks around keys and patterns do not count, and neither do entries
# without a key. Values must match as a whole; null stands for an empty one.
requirements := [[entry, key, pattern, anchored(pattern)] |
	some entry in input.parameters.labels
	[key, pattern] := requirement(entry)
	key != ""
]

anchored(pattern) := concat("", ["^(?:", pattern, ")$"])

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

agrees(entry, _, literal) if regex.match(anchored(requirement(entry)[1]), literal)

# value is undefined unless a string; the API server stores null as an empty one.
value(key) := text if {
	text := input.review.object.metadata.labels[key]
	is_string(text)
} else := "" if input.review.object.metadata.labels[key] == null

observed(key) := found if {
	found := input.review.object.metadata.labels[key]
} else := null

present(key) if type_name(input.review.object.metadata.labels[key])

path(key) := "metadata.labels" if not present(key)

else := sprintf("metadata.labels['%s']", [key])

message(key, pattern) := sprintf("label %s is %q, which does not match %s", [key, value(key), pattern]) if {
	value(key)
} else := sprintf("label %s: %s", [key, types.mismatch(observed(key), "a string")]) if {
	present(key)
} else := sprintf("label %s is missing", [key]) if {
	pattern == "(?s).*"
} else := sprintf("label %s is missing; its value must match %s", [key, pattern])
