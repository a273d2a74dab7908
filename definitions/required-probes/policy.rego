# Probes, so that Kubernetes knows what to restart and what not to send requests to.
package required_probes

import data.lib.containers

violation contains {"msg": msg, "details": details} if {
	judged
	some i
	some probe in input.parameters.requiredProbes
	container := input.review.object.spec.containers[i]
	not probed(i, probe)
	not containers.excluded(container)
	msg := sprintf("%s is missing", [probe])
	details := {
		"container": containers.identity(container, "containers"),
		"path": sprintf("spec.containers[%v].%s", [i, probe]),
		"observed": null,
		"expected": sprintf("a probe by %s or exec", [concat(", ", handlers)]),
	}
}

probed(i, probe) if {
	given := input.review.object.spec.containers[i][probe]
	some handler in array.concat(handlers, ["exec"])
	given[handler] != null
}

# Azure knows none by gRPC.
handlers := ["httpGet", "tcpSocket"] if input.parameters.azureBehaviour

else := ["httpGet", "tcpSocket", "grpc"]

judged if input.parameters.judgeJobs

judged if input.parameters.azureBehaviour

judged if object.get(input.review.object.spec, "restartPolicy", "Always") == "Always"
