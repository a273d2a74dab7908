package whole_capture

review := input.review

object_of(any) := any.object

violation contains {"msg": "everything", "details": {"object": object_of(review)}} if {
	object_of(review).spec.hostNetwork
}

violation contains {"msg": "input itself"} if {
	everything := input
	everything.review.object.spec.hostPID
}
