# Ingresses name their hosts.
package required_ingress_hosts

violation contains {"msg": msg, "details": details} if {
	some i
	host := object.get(input.review.object.spec.rules[i], "host", null)
	msg := fault(host)
	details := {"path": sprintf("spec.rules[%v].host", [i]), "observed": host, "expected": "the name of a host"}
}

fault(host) := "a rule without a host takes the requests for all hosts" if host in [null, ""]

fault(host) := sprintf("host %s is a wildcard", [host]) if {
	host != null
	startswith(host, "*")
	not input.parameters.allowWildcards
}
