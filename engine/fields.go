package main

import (
	_ "embed"
	"encoding/json"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
)

//go:embed fields.json
var fieldsText []byte

// fieldsFile is what fields.json holds: the type of each kind, by apiVersion/kind,
// and of each type the types of its fields. A type is string, boolean, integer,
// quantity, intOrString or any, the name of a type with fields, "[]" and the type
// of what a list holds, or "map " and that of what a map of names holds.
type fieldsFile struct {
	Kinds map[string]string            `json:"kinds"`
	Types map[string]map[string]string `json:"types"`
}

// podTemplate is the type that is judged as the Pod that is made of it.
const podTemplate = "core/v1.PodTemplateSpec"

// fieldType is what the API server decodes a value as.
type fieldType struct {
	name   string
	object bool
	fields map[string]*fieldType // of an object whose fields are known
	each   *fieldType            // of a list, or of a map of names
}

// fieldTypes are the types of the built-in kinds, by apiVersion/kind.
var fieldTypes = sync.OnceValue(func() map[string]*fieldType {
	var file fieldsFile
	if err := json.Unmarshal(fieldsText, &file); err != nil {
		panic(err)
	}
	types := map[string]*fieldType{}
	var resolve func(name string) *fieldType
	resolve = func(name string) *fieldType {
		if known := types[name]; known != nil {
			return known
		}
		made := &fieldType{name: name}
		types[name] = made
		if rest, isList := strings.CutPrefix(name, "[]"); isList {
			made.each = resolve(rest)
		} else if rest, isMap := strings.CutPrefix(name, "map "); isMap {
			made.object, made.each = true, resolve(rest)
		} else if fields, isObject := file.Types[name]; isObject {
			made.object, made.fields = true, make(map[string]*fieldType, len(fields))
			for field, of := range fields {
				made.fields[field] = resolve(of)
			}
		}
		return made
	}
	kinds := make(map[string]*fieldType, len(file.Kinds))
	for kind, of := range file.Kinds {
		kinds[kind] = resolve(of)
	}
	return kinds
})

// fieldPath is where a value stands in a document: a key in an object, or an index in a list.
type fieldPath struct {
	in    *fieldPath
	key   string
	index int
}

func (p *fieldPath) String() string {
	switch {
	case p == nil:
		return ""
	case p.key == "":
		return p.in.String() + "[" + strconv.Itoa(p.index) + "]"
	default:
		return strings.TrimPrefix(p.in.String()+step(p.key), ".")
	}
}

// checkFields notes what of a document of a built-in kind the API server would
// not decode, as far as the document is kept. Null is absent. What describe has
// noted of a field stands.
func (d *Document) checkFields() {
	of := fieldTypes()[d.APIVersion+"/"+d.Kind]
	if of == nil || of.fits(d.object) {
		return
	}
	// Paths are made for what is wrong alone: nearly all documents are right.
	d.checkObject(d.object, of, nil)
	seen := make(map[string]bool, len(d.Problems))
	d.Problems = slices.DeleteFunc(d.Problems, func(one Wrong) bool {
		again := seen[one.Path]
		seen[one.Path] = true
		return again
	})
}

// field is the type of what lies in an object under a key; nil where it is not known, or is judged as a Pod.
func (t *fieldType) field(key string) *fieldType {
	field := t.each
	if t.fields != nil {
		field = t.fields[key]
	}
	if field == nil || field.name == podTemplate {
		return nil
	}
	return field
}

// fits tells whether the API server would decode a value.
func (t *fieldType) fits(value any) bool {
	switch value := value.(type) {
	case nil:
		return true
	case map[string]any:
		if !t.object {
			return t.name == "any"
		}
		for key, entry := range value {
			if field := t.field(key); field != nil && !field.fits(entry) {
				return false
			}
		}
		return true
	case []any:
		if t.object || t.each == nil {
			return t.name == "any"
		}
		for _, entry := range value {
			if !t.each.fits(entry) {
				return false
			}
		}
		return true
	default:
		return !t.object && t.each == nil && t.unlike(value) == ""
	}
}

func (d *Document) checkObject(object map[string]any, of *fieldType, at *fieldPath) {
	for _, key := range slices.Sorted(maps.Keys(object)) {
		if field := of.field(key); field != nil && object[key] != nil {
			d.checkField(object[key], field, &fieldPath{in: at, key: key})
		}
	}
}

func (d *Document) checkField(value any, of *fieldType, at *fieldPath) {
	switch {
	case of.object:
		if object, ok := value.(map[string]any); ok {
			d.checkObject(object, of, at)
		} else {
			d.misshaped(at.String(), "an object", value)
		}
	case of.each != nil:
		list, ok := value.([]any)
		if !ok {
			d.misshaped(at.String(), "a list", value)
		}
		for i, entry := range list {
			if entry != nil {
				d.checkField(entry, of.each, &fieldPath{in: at, index: i})
			}
		}
	default:
		if expected := of.unlike(value); expected != "" {
			d.wrong(at.String(), expected, value)
		}
	}
}

// unlike says what a value should be that is of another type.
func (t *fieldType) unlike(value any) string {
	_, isText := value.(string)
	number, isNumber := value.(json.Number)
	_, isBoolean := value.(bool)
	switch t.name {
	case "string":
		if !isText {
			return "a string"
		}
	case "boolean":
		if !isBoolean {
			return "a boolean"
		}
	case "quantity":
		if text, _ := value.(string); !isNumber && (strings.TrimSpace(text) == "" || !quantity.MatchString(text)) {
			return "a quantity such as 500m or 1Gi"
		}
	case "integer":
		if !isNumber || !isWhole(number) {
			return "a whole number"
		}
	case "intOrString":
		if !isText && (!isNumber || !isWhole(number)) {
			return "a whole number or a string"
		}
	}
	return ""
}

// quantity is a text that resource.ParseQuantity takes.
var quantity = regexp.MustCompile(`^\s*[+-]?[0-9]*\.?[0-9]*([KMGTPE]i|[numkMGTPE]|[eE][+-]?[0-9]+)?\s*$`)

// isWhole: 1e3 and 1.0 are, as kubectl makes JSON of YAML.
func isWhole(number json.Number) bool {
	if !strings.ContainsAny(number.String(), ".eE") {
		return true
	}
	value, err := number.Float64()
	return err == nil && value == float64(int64(value))
}

// fieldReads has the fields kept that most manifests have, without what is in
// them: what no rule reads is checked as far as this.
func fieldReads(r *Reads) {
	keep := func(at *Reads, of *fieldType) {
		for key, field := range of.fields {
			kept := at.step(key)
			if field.each != nil && !field.object {
				kept.step("*")
			}
		}
	}
	metadata, spec := r.step("metadata"), r.step("spec")
	for _, kind := range []string{"v1/Pod", "v1/Service", "networking.k8s.io/v1/Ingress"} {
		keep(metadata, fieldTypes()[kind].fields["metadata"])
		keep(spec, fieldTypes()[kind].fields["spec"])
	}
	for _, field := range containerFields {
		of, container := fieldTypes()["v1/Pod"].fields["spec"].fields[field].each, spec.step(field).step("*")
		keep(container, of)
		keep(container.step("env").step("*"), of.fields["env"].each)
	}
}

var plainName = regexp.MustCompile("^[A-Za-z_][A-Za-z0-9_-]*$")

// step is a key at the end of a path, as locate reads it.
func step(key string) string {
	switch {
	case plainName.MatchString(key):
		return "." + key
	case strings.Contains(key, "'"):
		return `["` + key + `"]`
	default:
		return "['" + key + "']"
	}
}
