# Nobody is cluster-admin.
package no_cluster_admin

import data.lib.names

violation contains {"msg": msg, "details": details} if {
	input.review.object.roleRef.kind == "ClusterRole"
	input.review.object.roleRef.name == "cluster-admin"
	not names.listed(input.review.name, input.parameters.allowedBindings)
	msg := "binds to cluster-admin"
	details := {"path": "roleRef.name", "observed": "cluster-admin", "expected": "another role"}
}
