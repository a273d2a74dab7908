# No two Ingresses that serve the same host and path.
package unique_ingress_hosts

# One finding for each other Ingress, at the first place where the two overlap.
violation contains {"msg": msg, "details": details} if {
	some key, found in clashes
	[i, place] := min(found)
	msg := sprintf("%s is also served by Ingress %s", [place, key])
	details := {
		"path": sprintf("spec.rules[%v].host", [i]),
		"observed": place,
		"expected": sprintf("no overlap with Ingress %s", [key]),
	}
}

clashes[key] contains [i, place] if {
	some [namespace, version, name, j] in neighbours
	key := sprintf("%s/%s", [namespace, name])
	other := data.inventory.namespace[namespace][version].Ingress[name]
	class_of(other) == class
	older(other, key)
	some i, rule in input.review.object.spec.rules
	is_string(rule.host)
	hosts_overlap(lower(rule.host), lower(other.spec.rules[j].host))
	some ours in paths(rule)
	some theirs in paths(other.spec.rules[j])
	paths_overlap(ours, theirs)
	place := concat("", [rule.host, ours.path])
}

# neighbours are the rules of other Ingresses whose host overlaps one of ours. This is the loop over
# the whole inventory: one look-up rejects nearly every rule in it. Binding the inventory first makes
# OPA fetch it once, not once for each rule.
neighbours contains [namespace, version, name, j] if {
	namespaces := data.inventory.namespace
	some version in versions
	some namespace, name, j
	host := namespaces[namespace][version].Ingress[name].spec.rules[j].host
	is_string(host)
	lower(host) in overlapping
	comparable(namespace, name)
}

neighbours contains [namespace, version, name, j] if {
	count(wildcard_domains) > 0
	namespaces := data.inventory.namespace
	some version in versions
	some namespace, name, j
	host := namespaces[namespace][version].Ingress[name].spec.rules[j].host
	is_string(host)
	domain(lower(host)) in wildcard_domains
	comparable(namespace, name)
}

# The rules of an Ingress are alike in all its versions.
versions := ["networking.k8s.io/v1", "networking.k8s.io/v1beta1", "extensions/v1beta1"]

comparable(namespace, _) if namespace != input.review.namespace

comparable(namespace, name) if {
	input.parameters.allowSameNamespace == false
	namespace == input.review.namespace
	name != input.review.name
}

# overlapping are our hosts and the wildcards above them.
overlapping := hosts | {concat("", ["*", domain(host)]) | some host in hosts}

# wildcard_domains are the domains of which a wildcard of ours takes every name.
wildcard_domains := {domain(host) | some host in hosts; startswith(host, "*.")}

# Complete sets: OPA would evaluate partial ones anew for every host that is looked up.
hosts := {lower(host) |
	host := input.review.object.spec.rules[_].host
	is_string(host)
	host != ""
}

# domain(shop.example.com) is .example.com
domain(host) := substring(host, indexof(host, "."), -1) if contains(host, ".")

hosts_overlap(host, host)

hosts_overlap(ours, theirs) if {
	startswith(ours, "*.")
	domain(ours) == domain(theirs)
}

hosts_overlap(ours, theirs) if {
	startswith(theirs, "*.")
	domain(ours) == domain(theirs)
}

# paths of a rule, which without any takes them all.
paths(rule) := {path_of(entry) | some entry in rule.http.paths} if rule.http.paths[_]

else := {{"path": "/", "prefix": "/", "exact": false}}

path_of(entry) := {"path": entry.path, "prefix": elements(entry.path), "exact": true} if {
	entry.pathType == "Exact"
	is_string(entry.path)
} else := {"path": entry.path, "prefix": elements(trim_suffix(entry.path, "*")), "exact": false} if {
	is_string(entry.path)
	entry.path != ""
} else := {"path": "/", "prefix": "/", "exact": false}

# elements ends in a slash, so that a prefix of it ends where an element does.
elements(path) := concat("", [trim_right(path, "/"), "/"])

paths_overlap(ours, theirs) if {
	ours.exact
	theirs.exact
	ours.path == theirs.path
}

paths_overlap(ours, theirs) if {
	not theirs.exact
	startswith(ours.prefix, theirs.prefix)
}

paths_overlap(ours, theirs) if {
	not ours.exact
	startswith(theirs.prefix, ours.prefix)
}

# older holds when the other Ingress was there first. One without a time is not stored yet; equal
# times are told apart by name, so that of two Ingresses exactly one is reported.
older(other, _) if {
	is_string(other.metadata.creationTimestamp)
	not created
}

older(other, _) if other.metadata.creationTimestamp < created

older(other, key) if {
	other.metadata.creationTimestamp == created
	key < own_key
}

older(other, key) if {
	not is_string(object.get(other, ["metadata", "creationTimestamp"], null))
	not created
	key < own_key
}

created := input.review.object.metadata.creationTimestamp if is_string(input.review.object.metadata.creationTimestamp)

own_key := sprintf("%s/%s", [input.review.namespace, input.review.name])

# The old annotation, where it is still written, comes before the field.
class := input.review.object.metadata.annotations["kubernetes.io/ingress.class"] if {
	input.review.object.metadata.annotations["kubernetes.io/ingress.class"]
} else := input.review.object.spec.ingressClassName if {
	input.review.object.spec.ingressClassName
} else := null

class_of(other) := other.metadata.annotations["kubernetes.io/ingress.class"] if {
	other.metadata.annotations["kubernetes.io/ingress.class"]
} else := other.spec.ingressClassName if {
	other.spec.ingressClassName
} else := null
