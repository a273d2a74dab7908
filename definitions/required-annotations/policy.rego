# Annotations every object of a kind must have.
package required_annotations

violation contains {"msg": msg, "details": details} if {
	some [key, pattern] in required
	value := object.get(input.review.object.metadata, ["annotations", key], null)
	not matches(value, pattern)
	msg := message(key, value)
	details := {
		"path": sprintf("metadata.annotations['%s']", [key]),
		"observed": value,
		"expected": expected(pattern),
	}
}

required contains [entry.key, object.get(entry, "allowedRegex", "")] if some entry in input.parameters.annotations.annotations

required contains [key, pattern(entry)] if {
	some entry in input.parameters.requiredAnnotations
	key := split(entry, "=")[0]
}

pattern(entry) := sprintf("^(?:%s)$", [substring(entry, indexof(entry, "=") + 1, -1)]) if contains(entry, "=")

else := ""

matches(value, pattern) if {
	value != null
	regex.match(pattern, value)
}

message(key, null) := sprintf("annotation %s is missing", [key])

message(key, value) := sprintf("annotation %s is %v, which does not match", [key, value]) if value != null

expected("") := "any value"

expected(pattern) := pattern if pattern != ""
