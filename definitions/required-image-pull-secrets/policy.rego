# Images are pulled with a secret of the Pod.
package required_image_pull_secrets

import data.lib.containers

violation contains {"msg": msg, "details": details} if {
	not named
	containers.judged
	msg := "imagePullSecrets names no secret"
	details := {"path": "spec.imagePullSecrets", "observed": null, "expected": "the name of a secret"}
}

named if input.review.object.spec.imagePullSecrets[_].name
