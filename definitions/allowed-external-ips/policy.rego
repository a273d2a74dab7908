# External IPs only as allowed.
package allowed_external_ips

import data.lib.fixes

violation contains {"msg": msg, "details": details} if {
	some i
	address := input.review.object.spec.externalIPs[i]
	not address in input.parameters.allowedExternalIPs
	msg := sprintf("external IP %v is not allowed", [address])
	details := fixes.offered(
		{"path": sprintf("spec.externalIPs[%v]", [i]), "observed": address, "expected": expected},
		[{"spec.externalIPs": null} | none_allowed],
	)
}

none_allowed if count(input.parameters.allowedExternalIPs) == 0

expected := "no external IP" if none_allowed

else := concat(", ", input.parameters.allowedExternalIPs)
