# Time to end one's work, and not forever.
package grace_periods

import data.lib.containers

violation contains {"msg": msg, "details": details} if {
	seconds := object.get(input.review.object.spec, "terminationGracePeriodSeconds", 30)
	bounded := min([max([seconds, input.parameters.minSeconds]), input.parameters.maxSeconds])
	seconds != bounded
	containers.judged
	msg := sprintf("terminationGracePeriodSeconds is %v", [seconds])
	details := {
		"path": "spec.terminationGracePeriodSeconds",
		"observed": seconds,
		"expected": sprintf("%v to %v", [input.parameters.minSeconds, input.parameters.maxSeconds]),
		"fix": {"spec.terminationGracePeriodSeconds": bounded},
	}
}
