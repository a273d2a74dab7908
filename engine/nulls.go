package main

import "slices"

// dropNulls takes out the fields that are null, which the API server does not
// store. In maps of texts null is stored as the empty text.
func (d *Document) dropNulls() {
	if builtInGroups[groupOf(d.APIVersion)] {
		if d.Kind == "Service" || d.Kind == "ReplicationController" {
			withoutNulls(objectIn(d.object, "spec")["selector"], "labels")
		}
		withoutNulls(d.object, "")
		return
	}
	withoutNulls(objectIn(d.object, "metadata"), "metadata")
	for _, template := range d.templates() {
		withoutNulls(template.value, "template")
	}
}

// textMaps are the fields of built-in kinds that hold maps of texts. amountMaps
// hold quantities, for which null is nothing that anybody means: rules tell it.
var (
	textMaps = []string{
		"labels", "annotations", "nodeSelector", "matchLabels", "data", "stringData", "binaryData", "volumeAttributes", "options", "parameters",
	}
	amountMaps = []string{"limits", "requests", "overhead", "default", "defaultRequest", "max", "min", "hard", "capacity"}
)

func withoutNulls(value any, name string) {
	switch value := value.(type) {
	case []any:
		for _, entry := range value {
			withoutNulls(entry, "")
		}
	case map[string]any:
		texts := slices.Contains(textMaps, name)
		for key, entry := range value {
			switch {
			case entry != nil:
				withoutNulls(entry, key)
			case texts:
				value[key] = ""
			case !slices.Contains(amountMaps, name):
				delete(value, key)
			}
		}
	}
}
