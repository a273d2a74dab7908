# Kubernetes quantities, exactly as Kubernetes reads them: whole numbers of billionths.
package lib.quantity

# nano is the quantity in billionths, undefined for what is no quantity. The first two forms are what nearly all
# manifests have.
nano(quantity) := units.parse(quantity) * 1000000000 if {
	is_string(quantity)
	regex.match("^(?:[0-9]{1,15}[kMGTPE]?|[0-9]{1,9}[KMG]i)$", quantity)
} else := units.parse(trim_suffix(quantity, "m")) * 1000000 if {
	is_string(quantity)
	regex.match("^[0-9]{1,15}m$", quantity)
} else := signed(sign, billionths(whole, fraction, suffix)) if {
	some [_, sign, whole, fraction, suffix] in regex.find_all_string_submatch_n(form, spelled(quantity), 1)
	concat("", [whole, fraction]) != ""
}

# Of exponents beyond three digits Kubernetes makes numbers too long to compare. Here they are no quantities, which a
# rule tells. Space around a quantity is allowed, as the API server passes over what JSON text has without an escape.
form := `^[\p{Zs}\x{85}]*([+-]?)([0-9]*)(?:\.([0-9]*))?([eE][+-]?0*[0-9]{1,3}|[numkMGTPE]|[KMGTPE]i|)[\p{Zs}\x{85}]*$`

# spelled is a number's own text. Numbers that are equal are one to OPA, which remembers what a function made of it, so
# zero has one text, however it is written.
spelled(quantity) := quantity if is_string(quantity)

spelled(quantity) := "0" if quantity == 0

spelled(quantity) := json.marshal(quantity) if {
	is_number(quantity)
	quantity != 0
}

signed("-", amount) := 0 - amount

signed(sign, amount) := amount if sign != "-"

# Kubernetes cuts binary quantities to what 64 bits hold.
billionths(whole, fraction, suffix) := min([scaled(product, 9 - count(fraction)), 9223372036854775807000000000]) if {
	product := integer(concat("", [whole, fraction])) * binary[suffix]
} else := scaled(integer(concat("", [whole, fraction])), (9 + exponent(suffix)) - count(fraction))

# scaled is number * 10^places. Kubernetes rounds up to a billionth. It is done on the digits, because OPA divides
# large numbers only roughly.
scaled(number, places) := integer(concat("", array.concat([json.marshal(number)], ["0" | some _ in numbers.range(1, places)]))) if {
	places > 0
} else := number if {
	places == 0
} else := integer(substring(digits, 0, kept)) + rounded(substring(digits, kept, -1)) if {
	digits := json.marshal(number)
	kept := max([0, count(digits) + places])
}

rounded(rest) := 0 if trim_left(rest, "0") == ""

else := 1

# integer of digits, however many: to_number takes none beyond 1e308.
integer(digits) := 0 if trim_left(digits, "0") == ""

else := json.unmarshal(trim_left(digits, "0"))

exponent(suffix) := places if {
	places := decimal[suffix]
} else := 0 - integer(trim_left(suffix, "eE-")) if contains(suffix, "-")

else := integer(trim_left(suffix, "eE+"))

decimal := {"n": -9, "u": -6, "m": -3, "": 0, "k": 3, "M": 6, "G": 9, "T": 12, "P": 15, "E": 18}

binary := {
	"Ki": 1024,
	"Mi": 1048576,
	"Gi": 1073741824,
	"Ti": 1099511627776,
	"Pi": 1125899906842624,
	"Ei": 1152921504606846976,
}
