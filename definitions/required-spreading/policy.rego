# Several replicas do not end with one node.
package required_spreading

import data.lib.workloads

violation contains {"msg": msg, "details": details} if {
	not workloads.owned
	workloads.replicas > 1
	not apart
	msg := sprintf("%v replicas may all run on one node", [workloads.replicas])
	details := {
		"path": "spec.template.spec.topologySpreadConstraints",
		"observed": null,
		"expected": "topologySpreadConstraints or podAntiAffinity",
	}
}

apart if input.review.object.spec.template.spec.topologySpreadConstraints[_].topologyKey

apart if {
	some rule in ["requiredDuringSchedulingIgnoredDuringExecution", "preferredDuringSchedulingIgnoredDuringExecution"]
	input.review.object.spec.template.spec.affinity.podAntiAffinity[rule][_]
}
