# What the rules of Roles and ClusterRoles give.
package lib.rbac

# own: a role that Kubernetes makes itself, and puts right when it is changed.
own if input.review.object.metadata.labels["kubernetes.io/bootstrapping"] == "rbac-defaults"

gives(rule, group, resource, verb) if {
	has(rule.apiGroups, group)
	has(rule.resources, resource)
	has(rule.verbs, verb)
}

has(entries, name) if name in entries

has(entries, _) if "*" in entries
