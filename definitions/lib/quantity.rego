# Kubernetes quantities, to the billionth in which Kubernetes itself counts.
package lib.quantity

# milli is the quantity in thousandths, undefined for what is no quantity. The first form is what
# nearly all manifests have, and the one that OPA's own parser reads alike.
milli(quantity) := round(units.parse(quantity) * 1000) if {
	is_string(quantity)
	regex.match("^[0-9]{1,15}(?:m|[KMGTPE]i|[MGTPE])?$", quantity)
} else := round(number * billionths[unit]) / 1000000 if {
	is_string(quantity)
	count(quantity) < 64
	some [_, sign, whole, fraction, suffix] in regex.find_all_string_submatch_n(form, quantity, 1)
	concat("", [whole, fraction]) != ""
	exponent := {true: suffix, false: ""}[regex.match("[0-9]$", suffix)]
	unit := trim_suffix(suffix, exponent)
	number := to_number(concat("", [trim_left(sign, "+"), "0", whole, ".", fraction, "0", exponent]))
} else := round(quantity * 1000000000) / 1000000 if {
	is_number(quantity)
}

form := `^([+-]?)([0-9]*)(?:\.([0-9]*))?([eE][+-]?[0-9]{1,2}|[numkMGTPE]|[KMGTPE]i|)$`

billionths := {
	"n": 1,
	"u": 1000,
	"m": 1000000,
	"": 1000000000,
	"k": 1000000000000,
	"M": 1000000000000000,
	"G": 1000000000000000000,
	"T": 1000000000000000000000,
	"P": 1000000000000000000000000,
	"E": 1000000000000000000000000000,
	"Ki": 1024000000000,
	"Mi": 1048576000000000,
	"Gi": 1073741824000000000,
	"Ti": 1099511627776000000000,
	"Pi": 1125899906842624000000000,
	"Ei": 1152921504606846976000000000,
}
