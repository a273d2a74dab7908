package branches

# Else branches know other keys than the branch before.
label(key) := value if {
	key = ["app", "tier"][_]
	value := input.review.object.metadata.labels[key]
} else := value if {
	value := input.review.object.metadata.labels[key]
} else := "none"

violation contains {"msg": label("team")} if label("team")

violation contains {"msg": label("app")} if label("app")

default level := "low"

level := "high" if input.review.object.spec.priorityClassName == "high"

else := input.review.object.spec.template.spec.priorityClassName

violation contains {"msg": sprintf("level %v", [level])} if level != "low"

default kind_of(_) := "other"

kind_of(volume) := "host" if volume.hostPath.path

kind_of(volume) := "empty" if volume.emptyDir

violation contains {"msg": kind_of(volume)} if some volume in input.review.object.spec.volumes
