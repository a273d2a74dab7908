# A ServiceAccount of one's own.
package no_default_service_accounts

import data.lib.containers

violation contains {"msg": msg, "details": details} if {
	name := object.get(input.review.object.spec, "serviceAccountName", "default")
	name == "default"
	containers.judged
	msg := "uses the ServiceAccount default"
	details := {"path": "spec.serviceAccountName", "observed": name, "expected": "a ServiceAccount of its own"}
}
