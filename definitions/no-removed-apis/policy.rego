# No API versions that Kubernetes no longer has.
package no_removed_apis

violation contains {"msg": msg, "details": details} if {
	some entry in input.parameters.removed
	input.review.object.apiVersion == entry.apiVersion
	input.review.kind.kind in entry.kinds
	minor(entry.removedIn) <= minor(input.parameters.kubernetesVersion)
	msg := sprintf("%s is removed in Kubernetes %s", [entry.apiVersion, entry.removedIn])
	details := {"path": "apiVersion", "observed": entry.apiVersion, "expected": entry.use}
}

minor(version) := to_number(split(version, ".")[1])
