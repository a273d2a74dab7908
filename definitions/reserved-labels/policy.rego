# Labels that belong to those who run the cluster.
package reserved_labels

import data.lib.names
import data.lib.requests

violation contains {"msg": msg, "details": details} if {
	judged
	some key, value in input.review.object.metadata.labels
	reserved(key)
	not kept(key, value)
	not requests.allowed
	path := sprintf("metadata.labels['%s']", [key])
	msg := sprintf("label %s is reserved", [key])
	details := {"path": path, "observed": value, "expected": "no label that is reserved", "fix": {path: null}}
}

judged if input.review.kind.kind != "Node"

judged if input.review.operation in ["CREATE", "UPDATE"]

reserved(key) if names.listed(key, input.parameters.labels)

reserved(key) if {
	some entry in input.parameters.labels
	startswith(key, concat("", [entry, "/"]))
}

kept(key, value) if input.review.oldObject.metadata.labels[key] == value
