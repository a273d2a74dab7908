# Enough replicas to lose one.
package minimum_replicas

import data.lib.workloads

violation contains {"msg": msg, "details": details} if {
	workloads.replicas > 0
	workloads.replicas < input.parameters.minReplicas
	msg := sprintf("%v replicas are fewer than %v", [workloads.replicas, input.parameters.minReplicas])
	details := {
		"path": "spec.replicas",
		"observed": workloads.replicas,
		"expected": sprintf("at least %v", [input.parameters.minReplicas]),
		"fix": {"spec.replicas": input.parameters.minReplicas},
	}
}
