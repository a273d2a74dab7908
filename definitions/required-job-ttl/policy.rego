# Jobs that do not stay forever.
package required_job_ttl

import data.lib.workloads

violation contains {"msg": msg, "details": details} if {
	not workloads.owned
	value := object.get(input.review.object.spec, "ttlSecondsAfterFinished", null)
	not within(value)
	msg := message(value)
	details := {
		"path": "spec.ttlSecondsAfterFinished",
		"observed": value,
		"expected": sprintf("at most %v", [input.parameters.maxSeconds]),
		"fix": {"spec.ttlSecondsAfterFinished": input.parameters.maxSeconds},
	}
}

within(value) if {
	value != null
	value <= input.parameters.maxSeconds
}

message(null) := "ttlSecondsAfterFinished is not set"

message(value) := sprintf("ttlSecondsAfterFinished %v is too long", [value]) if value != null
