package k8spspcapabilities

violation[{"msg": msg, "details": {}}] {
	container := input.review.object.spec.containers[_]
	has_disallowed(container)
	msg := sprintf("container <%v> has a disallowed capability", [container.name])
}

violation[{"msg": msg}] {
	container := input.review.object.spec.containers[_]
	missing_drop(container)
	msg := sprintf("container <%v> does not drop all", [container.name])
}

has_disallowed(container) {
	allowed := {c | c := lower(input.parameters.allowed[_])}
	added := {c | c := lower(container.securityContext.capabilities.add[_])}
	count(added - allowed) > 0
}

missing_drop(container) {
	must := {c | c := lower(input.parameters.required[_])}
	all := {c | c := lower(container.securityContext.capabilities.drop[_])}
	count(must - all) > 0
	not all["all"]
}

get_default(obj, param, _default) = out {
	out = obj[param]
}

get_default(obj, param, _default) = out {
	not obj[param]
	not obj[param] == false
	out = _default
}

violation[{"msg": "seccomp"}] {
	context := get_default(input.review.object.spec, "securityContext", {})
	profile := get_default(context, "seccompProfile", {})
	get_default(profile, "type", "none") == "none"
}

violation[{"msg": msg}] {
	keys := {key | input.review.object.metadata.annotations[key]}
	key := keys[_]
	startswith(key, "container.apparmor.security.beta.kubernetes.io/")
	msg := key
}
