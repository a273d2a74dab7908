package templates

pod := input.review.object.spec.template if input.review.object.kind in {"Deployment", "StatefulSet", "Job"}

pod := input.review.object.spec.jobTemplate.spec.template if input.review.object.kind == "CronJob"

pod := input.review.object if input.review.object.kind == "Pod"

violation contains {"msg": $"container {container.name} of {input.review.kind.kind}"} if {
	some container in pod.spec.containers
	not container.imagePullPolicy == "IfNotPresent"
}

violation contains {"msg": "restarts"} if pod.spec.restartPolicy == "Always"

violation contains {"msg": "requests follow limits"} if pod.spec.containers[_].resources.requests.cpu == "1"

violation contains {"msg": "host port by way of the network"} if pod.spec.containers[_].ports[_].hostPort == 8080

violation contains {"msg": "target port"} if input.review.object.spec.ports[_].targetPort == 8080

violation contains {"msg": "cluster IP"} if input.review.object.spec.type == "ClusterIP"
