# Label selectors, as Kubernetes reads them.
package lib.selectors

# An empty selector matches everything, and none matches nothing.
matches(selector, labels) if {
	selector != null
	every key, value in object.get(selector, "matchLabels", {}) { labels[key] == value }
	every expression in object.get(selector, "matchExpressions", []) { holds(expression, object.get(labels, expression.key, null)) }
}

holds(expression, label) if {
	expression.operator == "In"
	label in expression.values
}

holds(expression, label) if {
	expression.operator == "NotIn"
	not label in expression.values
}

holds(expression, label) if {
	expression.operator == "Exists"
	label != null
}

holds(expression, null) if expression.operator == "DoesNotExist"
