# Images are pulled as allowed.
package allowed_pull_policies

import data.lib.containers
import data.lib.fixes

violation contains {"msg": msg, "details": details} if {
	some field in ["containers", "initContainers", "ephemeralContainers"]
	some i
	policy := input.review.object.spec[field][i].imagePullPolicy
	not policy in input.parameters.allowedPullPolicy
	container := input.review.object.spec[field][i]
	not containers.excluded(container)
	path := sprintf("spec.%s[%v].imagePullPolicy", [field, i])
	msg := sprintf("imagePullPolicy %v is not allowed", [policy])
	details := fixes.offered({
		"container": containers.identity(container, field),
		"path": path,
		"observed": policy,
		"expected": concat(", ", input.parameters.allowedPullPolicy),
	}, [{path: only} | [only] = input.parameters.allowedPullPolicy])
}
