package main

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"aksp.dev/engine/plan"
)

// Container is one entry of a Pod's three lists of containers.
type Container struct {
	Name  string `json:"name"`
	Type  string `json:"type"` // the field it stands in
	Image string `json:"image"`
	index int
}

// Owner is the controller that made an object.
type Owner struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	Name       string `json:"name"`
	UID        string `json:"uid,omitempty"`
}

// Wrong is a field that the API server would not decode. The path begins at the
// root of the document that is written: of a Pod of a template, at the workload's.
type Wrong struct {
	Path    string `json:"path"`
	Message string `json:"message"`
}

// Document is one Kubernetes object that policies can judge, or the Pod that a
// workload's template would make.
type Document struct {
	APIVersion   string            `json:"apiVersion"`
	Kind         string            `json:"kind"`
	Namespace    string            `json:"namespace"`
	Name         string            `json:"name"`
	GenerateName string            `json:"generateName,omitempty"`
	UID          string            `json:"uid,omitempty"`
	Labels       map[string]string `json:"labels,omitempty"`
	Owner        *Owner            `json:"owner,omitempty"`
	Containers   []Container       `json:"containers,omitempty"`
	// Where it was written: part of the request, document's offset, length and
	// line in it, and the path of the item when the document is a YAML list.
	Part   int    `json:"part"`
	Offset int    `json:"offset"`
	Length int    `json:"length"`
	Line   int    `json:"line"`
	Item   string `json:"item,omitempty"`
	JSON   bool   `json:"json,omitempty"`
	// A Pod made from a template: the index of the workload's own document, and
	// the path of the template in it.
	Parent   *int   `json:"parent,omitempty"`
	Template string `json:"template,omitempty"`
	// Of a review: what is there before the change.
	Old bool `json:"old,omitempty"`
	// The object of an AdmissionReview among manifests.
	Reviewed bool `json:"reviewed,omitempty"`
	// What makes it unfit to be judged.
	Problems []Wrong `json:"problems,omitempty"`
	// A list stands where an object is due, or the like: no rule is run on it.
	misshapen bool
	// It was read by blockYAML.
	block bool
	// All numbers in it are such as plans take: see plan.Usual.
	usual bool

	object map[string]any
	custom []templateAt // of the Pod templates in a custom workload
	// What the AdmissionRequest says that asks for it, as far as policies read that.
	request map[string]any
	// Of a Pod that admission plugins change: what it was before, and what they add.
	plain map[string]any
	added []addition
}

// The three fields of a Pod spec that hold containers.
var containerFields = []string{"containers", "initContainers", "ephemeralContainers"}

// settle gives a document of a namespaced kind the namespace it would get, and
// takes that of any other built-in kind away, as the API server does. What holds
// a Pod template is of a namespaced kind: Pods are in namespaces.
func (d *Document) settle(namespace string) {
	metadata, ok := d.object["metadata"].(map[string]any)
	known, builtIn := knownKinds[groupOf(d.APIVersion)+"/"+d.Kind]
	switch {
	case !ok:
	case known.Cluster:
		delete(metadata, "namespace")
	case namespace == "" || metadata["namespace"] != nil && metadata["namespace"] != "":
	case builtIn || len(d.custom) > 0:
		metadata["namespace"] = namespace
	}
}

func groupOf(apiVersion string) string {
	name, _, found := strings.Cut(apiVersion, "/")
	if !found {
		return ""
	}
	return name
}

// cutKind takes a "group/kind" apart.
func cutKind(name string) (group, kind string) {
	group, kind, _ = strings.Cut(name, "/")
	return group, kind
}

func versionOf(apiVersion string) string {
	_, name, found := strings.Cut(apiVersion, "/")
	if !found {
		return apiVersion
	}
	return name
}

// baseReads is what the engine itself needs of a document: its identity, its
// owner and its containers.
func baseReads(r *Reads) *Reads {
	for _, key := range []string{"name", "namespace", "generateName", "uid", "labels", "ownerReferences", "creationTimestamp"} {
		r.add("metadata", key)
	}
	for _, field := range containerFields {
		r.add("spec", field, "*", "name")
		r.add("spec", field, "*", "image")
	}
	return r
}

// defaultReads is what the defaults of policies' fields depend on, and what
// admission plugins add that policies can see.
func defaultReads(r, policies *Reads) *Reads {
	for _, field := range containerFields {
		r.add("spec", field, "*", "resources", "limits")
		r.add("spec", field, "*", "ports", "*", "containerPort")
	}
	if policies.reach([]string{"spec", "volumes"}) {
		r.step("spec").step("volumes").step("*").step("*") // whether it has a source
	}
	r.add("spec", "serviceAccount")
	for i := range plugins {
		if slices.ContainsFunc(plugins[i].sees, policies.reach) {
			for _, path := range plugins[i].needs {
				r.add(path...)
			}
		}
	}
	r.add("spec", "hostNetwork")
	if policies.reach([]string{"spec", "resources"}) {
		r.add("spec", "resources")
		r.add("spec", "containers", "*", "resources")
		r.add("spec", "initContainers", "*", "resources")
		r.add("spec", "initContainers", "*", "restartPolicy")
	}
	r.add("spec", "ports", "*", "port")
	return r
}

// readsFor is the tree to parse a document of this kind along: what policies
// read, and what the engine does itself. One that comes from a file gets
// defaults, and so does the Pod of a workload's template.
func readsFor(policies, own *Reads, apiVersion, kind string, defaults, template bool) *Reads {
	reads := baseReads(newReads())
	reads.merge(own)
	if defaults {
		defaultReads(reads, policies)
		fieldReads(reads)
	}
	reads.merge(policies)
	reads.add("apiVersion")
	reads.add("kind")
	if path := templatePath(apiVersion, kind); template && path != nil && !reads.whole {
		pod := defaultReads(baseReads(newReads()), policies)
		if defaults {
			fieldReads(pod)
		}
		pod.merge(policies)
		at := reads
		for _, key := range path {
			at = at.step(key)
		}
		at.merge(pod)
		if kind == "StatefulSet" {
			reads.add("spec", "serviceName")
			reads.add("spec", "volumeClaimTemplates", "*", "metadata", "name")
		}
		if groupOf(apiVersion) == "batch" {
			reads.add(append(slices.Clone(path[:len(path)-1]), "completionMode")...)
		}
	}
	return reads.settle()
}

// describe fills in a document's record from its parsed object.
func (d *Document) describe() {
	metadata := d.objectAt(d.object, "metadata", "metadata")
	d.Name = d.stringAt(metadata, "name", "metadata.name")
	d.Namespace = d.stringAt(metadata, "namespace", "metadata.namespace")
	d.GenerateName = d.stringAt(metadata, "generateName", "metadata.generateName")
	d.UID = d.stringAt(metadata, "uid", "metadata.uid")
	for key, value := range d.objectAt(metadata, "labels", "metadata.labels") {
		text, ok := value.(string)
		if !ok {
			d.wrong("metadata.labels"+step(key), "a string", value)
			continue
		}
		if d.Labels == nil {
			d.Labels = map[string]string{}
		}
		d.Labels[key] = text
	}
	for i, entry := range d.arrayAt(metadata, "ownerReferences", "metadata.ownerReferences") {
		reference, ok := entry.(map[string]any)
		if !ok {
			d.misshaped(fmt.Sprintf("metadata.ownerReferences[%d]", i), "an object", entry)
			continue
		}
		if controller, _ := reference["controller"].(bool); controller {
			kind, _ := reference["kind"].(string)
			name, _ := reference["name"].(string)
			apiVersion, _ := reference["apiVersion"].(string)
			uid, _ := reference["uid"].(string)
			d.Owner = &Owner{APIVersion: apiVersion, Kind: kind, Name: name, UID: uid}
		}
	}
	if groupOf(d.APIVersion) == "" && d.Kind == "Pod" {
		d.describePod()
	}
}

func (d *Document) describePod() {
	spec := d.objectAt(d.object, "spec", "spec")
	for _, field := range containerFields {
		for i, entry := range d.arrayAt(spec, field, "spec."+field) {
			path := fmt.Sprintf("spec.%s[%d]", field, i)
			object, ok := entry.(map[string]any)
			if !ok {
				d.misshaped(path, "an object", entry)
				continue
			}
			name := d.stringAt(object, "name", path+".name")
			// See needContainers.
			image, _ := object["image"].(string)
			d.Containers = append(d.Containers, Container{Name: name, Type: field, Image: image, index: i})
		}
	}
}

// needContainers notes what a Pod of a file lacks before any rule about containers
// can be about it. The API server refuses such a Pod (ValidatePodSpec). Part of a
// manifest, such as a patch of a kustomization, often looks like this.
func (d *Document) needContainers() {
	if len(d.Problems) > 0 {
		return
	}
	named := map[string]bool{}
	for _, container := range d.Containers {
		path := fmt.Sprintf("spec.%s[%d]", container.Type, container.index)
		switch {
		case container.Name == "":
			d.problem(path+".name", "%s is missing")
		case named[container.Name]:
			d.problem(path+".name", "%s is the name of another container, too")
		}
		named[container.Name] = true
		object := objectIn(d.object, "spec")[container.Type].([]any)[container.index].(map[string]any)
		switch image := object["image"].(type) {
		case string:
			if image == "" {
				d.problem(path+".image", "%s is empty")
			}
		case nil:
			d.problem(path+".image", "%s is missing")
		default:
			d.wrong(path+".image", "a string", image)
		}
	}
	d.needMain()
}

// needMain notes a Pod without a container, of which no rule about containers finds anything. No API server stores
// one: what gives it has left something out.
func (d *Document) needMain() {
	if len(d.Problems) == 0 && !slices.ContainsFunc(d.Containers, func(one Container) bool { return one.Type == "containers" }) {
		d.problem("spec.containers", "%s is missing: a Pod has one container at least")
	}
}

func (d *Document) wrong(path, expected string, got any) {
	d.problem(path, "%s is "+typeName(got)+", not "+expected)
}

// problem notes what makes a document unfit. The message has a place for the path.
func (d *Document) problem(path, message string) {
	if d.Template != "" {
		path = d.Template + "." + path
	}
	d.Problems = append(d.Problems, Wrong{Path: path, Message: fmt.Sprintf(message, path)})
}

// judgedShapes are fields whose shape the built-in rules tell in their own words.
var judgedShapes = regexp.MustCompile(`(^|\.)(ports(\[\d+\])?|metadata\.labels)$`)

func (d *Document) misshaped(path, expected string, got any) {
	d.misshapen = d.misshapen || !judgedShapes.MatchString(path)
	d.wrong(path, expected, got)
}

func typeName(value any) string {
	switch value := value.(type) {
	case nil:
		return "null"
	case bool:
		return "a boolean"
	case string:
		return "a string"
	case json.Number:
		return "a number"
	case []any:
		return "a list"
	case map[string]any:
		return "an object"
	default:
		return fmt.Sprintf("%T", value)
	}
}

// The three readers below treat null as absent, as the API server does, and
// note any other wrong type as a problem of the document.

func (d *Document) objectAt(in map[string]any, key, path string) map[string]any {
	value := in[key]
	object, ok := value.(map[string]any)
	if !ok && value != nil {
		d.misshaped(path, "an object", value)
	}
	return object
}

func (d *Document) arrayAt(in map[string]any, key, path string) []any {
	value := in[key]
	array, ok := value.([]any)
	if !ok && value != nil {
		d.misshaped(path, "a list", value)
	}
	return array
}

func (d *Document) stringAt(in map[string]any, key, path string) string {
	value := in[key]
	text, ok := value.(string)
	if !ok && value != nil {
		d.wrong(path, "a string", value)
	}
	return text
}

// storedName is the name that the object has once it is stored: that of one in
// a file may be generated.
func (d *Document) storedName() string {
	if name, ok := objectIn(d.object, "metadata")["name"].(string); ok {
		return name
	}
	return d.Name
}

// subject is a document as rules see it.
type subject struct {
	fields  map[string]any
	unusual bool // it has numbers that are left to topdown
}

// review is the document as rules see it: the parts of an AdmissionRequest
// that Gatekeeper's audit also sets.
func (d *Document) review(object map[string]any) *subject {
	request := d.request
	if request == nil {
		request = noRequest
	}
	fields := make(map[string]any, 4+len(request))
	fields["kind"] = map[string]any{"group": groupOf(d.APIVersion), "version": versionOf(d.APIVersion), "kind": d.Kind}
	fields["name"] = d.storedName()
	fields["object"] = object
	if d.Namespace != "" {
		fields["namespace"] = d.Namespace
	}
	for name, value := range request {
		fields[name] = value
	}
	usual := evaluator == byTopdown || (d.usual || plan.Usual(object)) && (d.request == nil || plan.Usual(request))
	return &subject{fields: fields, unusual: !usual}
}
