# CronJobs that neither pile up nor stop for good.
package cron_job_settings

violation contains {"msg": msg, "details": details} if {
	policy := object.get(input.review.object.spec, "concurrencyPolicy", "Allow")
	not policy in input.parameters.allowedConcurrencyPolicies
	msg := sprintf("concurrencyPolicy %v is not allowed", [policy])
	details := {"path": "spec.concurrencyPolicy", "observed": policy, "expected": concat(", ", input.parameters.allowedConcurrencyPolicies)}
}

violation contains {"msg": msg, "details": details} if {
	input.parameters.requireDeadline
	value := object.get(input.review.object.spec, "startingDeadlineSeconds", null)
	value == null
	msg := "startingDeadlineSeconds is not set"
	details := {"path": "spec.startingDeadlineSeconds", "observed": null, "expected": "a number of seconds"}
}

violation contains {"msg": msg, "details": details} if {
	some field, kept in {"successfulJobsHistoryLimit": 3, "failedJobsHistoryLimit": 1}
	value := limit(field, kept)
	value > input.parameters.maxHistory
	msg := sprintf("%s is %v", [field, value])
	details := {
		"path": sprintf("spec.%s", [field]),
		"observed": value,
		"expected": sprintf("at most %v", [input.parameters.maxHistory]),
		"fix": {sprintf("spec.%s", [field]): input.parameters.maxHistory},
	}
}

limit(field, _) := input.review.object.spec[field]

limit(field, kept) := kept if not input.review.object.spec[field]
