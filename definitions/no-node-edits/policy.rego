# Nodes are edited by their pools. Only an update has an object as it was before.
package no_node_edits

import data.lib.requests

violation contains {"msg": msg, "details": details} if {
	some [path, after, before] in [
		["metadata.labels", labels(input.review.object.metadata), labels(input.review.oldObject.metadata)],
		["spec.taints", taints(input.review.object.spec), taints(input.review.oldObject.spec)],
	]
	after != before
	not requests.allowed
	msg := sprintf("%s of a single node are changed", [path])
	details := {"path": path, "observed": after, "expected": before}
}

labels(metadata) := {[key, value] | some key, value in metadata.labels}

taints(spec) := {taint | some taint in spec.taints}
