# Probes and lifecycle hooks ask the Pod, and no other host.
package no_probe_hosts

import data.lib.containers
import data.lib.types

violation contains {"msg": msg, "details": details} if {
	some field in ["containers", "initContainers", "ephemeralContainers"]
	some i
	some probe in ["livenessProbe", "readinessProbe", "startupProbe"]
	some handler in ["httpGet", "tcpSocket"]
	host := input.review.object.spec[field][i][probe][handler].host
	not host in ["", null]
	container := input.review.object.spec[field][i]
	not containers.excluded(container)
	details := finding(container, field, i, sprintf("%s.%s.host", [probe, handler]), host)
	msg := message(probe, host)
}

violation contains {"msg": msg, "details": details} if {
	some field in ["containers", "initContainers", "ephemeralContainers"]
	some i
	some hook in ["postStart", "preStop"]
	some handler in ["httpGet", "tcpSocket"]
	host := input.review.object.spec[field][i].lifecycle[hook][handler].host
	not host in ["", null]
	container := input.review.object.spec[field][i]
	not containers.excluded(container)
	details := finding(container, field, i, sprintf("lifecycle.%s.%s.host", [hook, handler]), host)
	msg := message(hook, host)
}

finding(container, field, i, rest, host) := {
	"container": containers.identity(container, field),
	"path": path,
	"observed": host,
	"expected": "not set",
	"fix": {path: null},
} if {
	path := sprintf("spec.%s[%v].%s", [field, i, rest])
}

message(what, host) := sprintf("%s asks the host %s", [what, host]) if is_string(host)

else := sprintf("host of %s: %s", [what, types.mismatch(host, "a string")])
