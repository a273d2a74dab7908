# Words for values of the wrong type, so that they become findings and never errors.
package lib.types

# mismatch("80", "a port") is: "80" is a string, not a port
mismatch(value, wanted) := sprintf("%s is %s, not %s", [shown(value), noun[type_name(value)], wanted])

# flag tells of a boolean that is true, and of what should be one.
flag(field, true) := sprintf("%s is true", [field])

flag(field, value) := sprintf("%s: %s", [field, mismatch(value, "a boolean")]) if value != true

# shown is the JSON text of a value, cut when long.
shown(value) := text if {
	text := json.marshal(value)
	count(text) <= 80
} else := sprintf("%s…", [substring(json.marshal(value), 0, 79)])

noun := {
	"array": "a list",
	"boolean": "a boolean",
	"null": "null",
	"number": "a number",
	"object": "an object",
	"string": "a string",
}
