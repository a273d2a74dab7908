# No ports of nodes.
package no_node_ports

violation contains {"msg": msg, "details": details} if {
	input.review.object.spec.type == "NodePort"
	msg := "type NodePort opens a port of every node"
	details := {"path": "spec.type", "observed": "NodePort", "expected": "ClusterIP"}
}

violation contains {"msg": msg, "details": details} if {
	not input.parameters.allowLoadBalancers
	input.review.object.spec.type == "LoadBalancer"
	value := object.get(input.review.object.spec, "allocateLoadBalancerNodePorts", true)
	value != false
	msg := "the load balancer opens ports of nodes"
	details := {
		"path": "spec.allocateLoadBalancerNodePorts",
		"observed": value,
		"expected": false,
		"fix": {"spec.allocateLoadBalancerNodePorts": false},
	}
}
