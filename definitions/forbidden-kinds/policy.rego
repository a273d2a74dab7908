# A kind that must not be there.
package forbidden_kinds

import data.lib.names

violation contains {"msg": msg, "details": details} if {
	not names.listed(input.review.name, input.parameters.allowedNames)
	kind := input.review.kind.kind
	msg := sprintf("%s is not allowed", [kind])
	details := {"path": "kind", "observed": kind, "expected": "no object of this kind"}
}
