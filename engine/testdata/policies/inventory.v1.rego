package inventory

violation contains {"msg": sprintf("another %s", [name])} if {
	some namespace, name
	other := data.inventory.namespace[namespace]["v1"].Service[name]
	name != input.review.object.metadata.name
	other.spec.selector == input.review.object.spec.selector
}
