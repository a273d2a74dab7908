# Containers end their work before they are stopped.
package required_pre_stop_hooks

import data.lib.containers

violation contains {"msg": msg, "details": details} if {
	object.get(input.review.object.spec, "restartPolicy", "Always") == "Always"
	some i
	container := input.review.object.spec.containers[i]
	not hooked(i)
	not containers.excluded(container)
	msg := "lifecycle.preStop is missing"
	details := {
		"container": containers.identity(container, "containers"),
		"path": sprintf("spec.containers[%v].lifecycle.preStop", [i]),
		"observed": object.get(container, ["lifecycle", "preStop"], null),
		"expected": "a hook by exec, httpGet or sleep",
	}
}

hooked(i) if {
	some handler in ["exec", "httpGet", "sleep", "tcpSocket"]
	input.review.object.spec.containers[i].lifecycle.preStop[handler] != null
}
