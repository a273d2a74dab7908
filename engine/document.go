package main

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
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
	// What makes it unfit to be judged.
	Problems []string `json:"problems,omitempty"`

	object map[string]any
}

// The three fields of a Pod spec that hold containers.
var containerFields = []string{"containers", "initContainers", "ephemeralContainers"}

// templatePaths tells where workloads keep the Pod that they make, by kind and
// API group, as the built-in controllers read it.
var templatePaths = map[string][]string{
	"apps/Deployment":        {"spec", "template"},
	"apps/StatefulSet":       {"spec", "template"},
	"apps/DaemonSet":         {"spec", "template"},
	"apps/ReplicaSet":        {"spec", "template"},
	"extensions/Deployment":  {"spec", "template"},
	"extensions/DaemonSet":   {"spec", "template"},
	"extensions/ReplicaSet":  {"spec", "template"},
	"/ReplicationController": {"spec", "template"},
	"batch/Job":              {"spec", "template"},
	"batch/CronJob":          {"spec", "jobTemplate", "spec", "template"},
	"/PodTemplate":           {"template"},
}

// namespacedKinds are built-in kinds that live in namespaces, by API group: a
// manifest that names no namespace is stored in the one that is current.
var namespacedKinds = map[string]string{
	"":                          "Pod Service ReplicationController PodTemplate ConfigMap Secret ServiceAccount PersistentVolumeClaim Endpoints LimitRange ResourceQuota Event",
	"apps":                      "Deployment StatefulSet DaemonSet ReplicaSet ControllerRevision",
	"batch":                     "Job CronJob",
	"extensions":                "Deployment DaemonSet ReplicaSet Ingress NetworkPolicy",
	"networking.k8s.io":         "Ingress NetworkPolicy",
	"policy":                    "PodDisruptionBudget",
	"autoscaling":               "HorizontalPodAutoscaler",
	"rbac.authorization.k8s.io": "Role RoleBinding",
	"coordination.k8s.io":       "Lease",
	"discovery.k8s.io":          "EndpointSlice",
}

// settle gives a document of a namespaced kind the namespace it would get.
func (d *Document) settle(namespace string) {
	metadata, ok := d.object["metadata"].(map[string]any)
	if !ok || namespace == "" || metadata["namespace"] != nil && metadata["namespace"] != "" {
		return
	}
	if slices.Contains(strings.Fields(namespacedKinds[groupOf(d.APIVersion)]), d.Kind) {
		metadata["namespace"] = namespace
	}
}

func templatePath(apiVersion, kind string) []string {
	return templatePaths[groupOf(apiVersion)+"/"+kind]
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

// defaultReads is what the defaults of policies' fields depend on.
func defaultReads(r *Reads) *Reads {
	for _, field := range containerFields {
		r.add("spec", field, "*", "resources", "limits")
		r.add("spec", field, "*", "ports", "*", "containerPort")
	}
	r.add("spec", "hostNetwork")
	r.add("spec", "resources", "limits")
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
		defaultReads(reads)
	}
	reads.merge(policies)
	reads.add("apiVersion")
	reads.add("kind")
	if path := templatePath(apiVersion, kind); template && path != nil && !reads.whole {
		pod := defaultReads(baseReads(newReads()))
		pod.merge(policies)
		at := reads
		for _, key := range path {
			at = at.step(key)
		}
		at.merge(pod)
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
			d.wrong("metadata.labels["+key+"]", "a string", value)
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
			d.wrong(fmt.Sprintf("metadata.ownerReferences[%d]", i), "an object", entry)
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
	if d.Kind == "Pod" && groupOf(d.APIVersion) == "" {
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
				d.wrong(path, "an object", entry)
				continue
			}
			name := d.stringAt(object, "name", path+".name")
			// An image of a wrong type is for the rules about images to find.
			image, _ := object["image"].(string)
			d.Containers = append(d.Containers, Container{Name: name, Type: field, Image: image, index: i})
		}
	}
}

func (d *Document) wrong(path, expected string, got any) {
	d.Problems = append(d.Problems, fmt.Sprintf("%s is %s, not %s", path, typeName(got), expected))
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
		d.wrong(path, "an object", value)
	}
	return object
}

func (d *Document) arrayAt(in map[string]any, key, path string) []any {
	value := in[key]
	array, ok := value.([]any)
	if !ok && value != nil {
		d.wrong(path, "a list", value)
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

// template returns the Pod that a workload would make, as the controllers
// build it: labels and annotations of the template, the workload's namespace,
// a generated name.
func (d *Document) template(path []string) *Document {
	at := any(d.object)
	for _, key := range path {
		object, ok := at.(map[string]any)
		if !ok {
			at = nil
			break
		}
		at = object[key]
	}
	pod := &Document{
		APIVersion: "v1", Kind: "Pod", Template: strings.Join(path, "."),
		Part: d.Part, Offset: d.Offset, Length: d.Length, Line: d.Line, Item: d.Item, JSON: d.JSON, Old: d.Old,
	}
	template, ok := at.(map[string]any)
	if !ok {
		pod.object = map[string]any{}
		pod.Problems = []string{fmt.Sprintf("%s is %s, not a Pod template", pod.Template, typeName(at))}
		pod.Namespace = d.Namespace
		return pod
	}
	metadata := map[string]any{}
	if own, ok := template["metadata"].(map[string]any); ok {
		for key, value := range own {
			metadata[key] = value
		}
	} else if template["metadata"] != nil {
		pod.wrong(pod.Template+".metadata", "an object", template["metadata"])
	}
	delete(metadata, "name")
	delete(metadata, "namespace")
	metadata["generateName"] = d.Name + "-"
	if d.Namespace != "" {
		metadata["namespace"] = d.Namespace
	}
	pod.object = map[string]any{"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"]}
	if _, ok := template["spec"].(map[string]any); !ok {
		pod.wrong("spec", "an object", template["spec"])
		pod.object["spec"] = map[string]any{}
	}
	pod.describe()
	return pod
}

// review is the document as rules see it: the parts of an AdmissionRequest
// that Gatekeeper's audit also sets.
func (d *Document) review(object map[string]any) map[string]any {
	name := d.Name
	review := map[string]any{
		"kind":   map[string]any{"group": groupOf(d.APIVersion), "version": versionOf(d.APIVersion), "kind": d.Kind},
		"name":   name,
		"object": ast.LazyObject(object),
	}
	if d.Namespace != "" {
		review["namespace"] = d.Namespace
	}
	return review
}
