# Workloads: objects that make Pods of a template.
package lib.workloads

# owned holds for one that another object made, such as the ReplicaSet of a Deployment: that one is judged.
owned if input.review.object.metadata.ownerReferences[_].controller

# replicas are one where a workload does not say how many.
replicas := value if {
	value := input.review.object.spec.replicas
	value != null
} else := 1

replicas_of(workload) := object.get(workload.spec, "replicas", 1)
