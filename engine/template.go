package main

import (
	"bytes"
	"crypto/sha1"
	"encoding/hex"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// What the cluster draws at random stands for itself in names: five x's, as in
// kubectl's documentation. They are letters that Kubernetes draws, too.
const (
	drawn   = "xxxxx"
	hash    = "xxxxxxxxxx" // of a Pod template
	minutes = "00000000"   // of the time at which a CronJob makes a Job
	longest = 63           // of a generated name, what is drawn included
)

// generated is the name that the API server makes of a generateName
// (SimpleNameGenerator).
func generated(base string) string {
	return base[:min(len(base), longest-len(drawn))] + drawn
}

// ownName is a document's name, or the one that it would get.
func (d *Document) ownName() string {
	if d.Name == "" && d.GenerateName != "" {
		return generated(d.GenerateName)
	}
	return d.Name
}

// standInUID is an object's uid where none is known: of the form of one, the
// same for the same object and for no other.
func standInUID(apiVersion, kind, namespace, name string) string {
	sum := sha1.Sum([]byte(strings.Join([]string{groupOf(apiVersion), kind, namespace, name}, "\x00")))
	sum[6], sum[8] = sum[6]&0x0f|0x50, sum[8]&0x3f|0x80 // RFC 9562: version 5
	text := hex.EncodeToString(sum[:16])
	return text[:8] + "-" + text[8:12] + "-" + text[12:16] + "-" + text[16:20] + "-" + text[20:]
}

// store gives a document of a file what the API server gives each object that
// it stores: a name, where it is generated, and a uid. The record keeps what is
// written, since reports are about that.
func (d *Document) store() {
	metadata, ok := d.object["metadata"].(map[string]any)
	if !ok {
		return
	}
	name := d.ownName()
	if name != d.Name {
		metadata["name"] = name
	}
	setDefault(metadata, "uid", standInUID(d.APIVersion, d.Kind, d.Namespace, name))
}

// template returns the Pod that a workload's controllers would make of its
// template: labels, annotations and finalizers of the template (GetPodFromTemplate),
// a name, the workload's namespace, the workload as its owner. Between a
// Deployment and its Pods there is a ReplicaSet, and a Job below a CronJob; the
// owner is the workload all the same, since nothing else is known.
func (d *Document) template(where templateAt) *Document {
	at := where.value
	pod := &Document{
		APIVersion: "v1", Kind: "Pod", Template: where.path,
		Part: d.Part, Offset: d.Offset, Length: d.Length, Line: d.Line, Item: d.Item, JSON: d.JSON, Old: d.Old, usual: d.usual,
	}
	template, ok := at.(map[string]any)
	if !ok {
		pod.object = map[string]any{}
		pod.misshapen = true
		pod.Problems = []Wrong{d.withoutTemplate(pod.Template)}
		pod.Namespace = d.Namespace
		return pod
	}
	metadata := map[string]any{}
	if own, ok := template["metadata"].(map[string]any); ok {
		for _, key := range []string{"labels", "annotations", "finalizers"} {
			if own[key] != nil {
				metadata[key] = cloned(own[key])
			}
		}
	} else if template["metadata"] != nil {
		pod.misshaped("metadata", "an object", template["metadata"])
	}
	if d.Namespace != "" {
		metadata["namespace"] = d.Namespace
	}
	pod.object = map[string]any{"apiVersion": "v1", "kind": "Pod", "metadata": metadata}
	if spec, ok := template["spec"].(map[string]any); ok {
		pod.object["spec"] = cloned(spec)
	} else {
		pod.misshaped("spec", "an object", template["spec"])
		pod.object["spec"] = map[string]any{}
	}
	d.control(pod.object, metadata)
	pod.describe()
	pod.checkFields()
	// Where its workload lies is where it lies: unknown when that is.
	for _, one := range d.Problems {
		if one.Path == "metadata" || one.Path == "metadata.namespace" {
			pod.Problems = append(pod.Problems, one)
		}
	}
	// The record names no owner: its workload is its parent.
	metadata["ownerReferences"] = []any{d.reference()}
	metadata["uid"] = standInUID("v1", "Pod", pod.Namespace, pod.Template+"\x00"+d.uid())
	return pod
}

// withoutTemplate tells what stands where a template is due, or in its way.
func (d *Document) withoutTemplate(path string) Wrong {
	at, keys := any(d.object), strings.Split(path, ".")
	for i, key := range keys {
		object, ok := at.(map[string]any)
		if !ok && at != nil {
			where := strings.Join(keys[:i], ".")
			return Wrong{Path: where, Message: fmt.Sprintf("%s is %s, not an object", where, typeName(at))}
		}
		at = object[key]
	}
	return Wrong{Path: path, Message: fmt.Sprintf("%s is %s, not a Pod template", path, typeName(at))}
}

// templateAt is a Pod template and its path in the document.
type templateAt struct {
	path  string
	value any
	due   bool // in a custom workload, it is known to be one, whatever it holds
}

// templates are the Pod templates of a workload.
func (d *Document) templates() []templateAt {
	path := templatePath(d.APIVersion, d.Kind)
	if path == nil {
		return d.custom
	}
	at := any(d.object)
	for _, key := range path {
		object, _ := at.(map[string]any)
		at = object[key]
	}
	return []templateAt{{path: strings.Join(path, "."), value: at}}
}

// mayHoldTemplate tells without parsing whether it is worth to look.
func mayHoldTemplate(raw []byte) bool {
	return bytes.Contains(raw, []byte(`"containers"`)) || bytes.Contains(raw, []byte(`\u`))
}

// withTemplate are the custom kinds of which each object has a Pod template in spec.template.
var withTemplate = []string{
	"apps.kruise.io/CloneSet", "apps.kruise.io/DaemonSet", "apps.kruise.io/StatefulSet", "apps.openshift.io/DeploymentConfig",
	"argoproj.io/Rollout", "serving.knative.dev/Configuration", "serving.knative.dev/Service",
}

func hasTemplate(apiVersion, kind string) bool {
	return slices.Contains(withTemplate, groupOf(apiVersion)+"/"+kind)
}

// customTemplates are the Pod templates of a custom workload: what is built like one, and what stands where one is due,
// so that a workload whose template is damaged does not pass for an object of another kind.
func customTemplates(object map[string]any, apiVersion, kind string) []templateAt {
	found := templatesIn(nil, "", object)
	// A Rollout may refer to a Deployment in the place of its template.
	spec := objectIn(object, "spec")
	if !hasTemplate(apiVersion, kind) || spec["template"] == nil && spec["workloadRef"] != nil {
		return found
	}
	const path = "spec.template"
	at := slices.IndexFunc(found, func(one templateAt) bool { return one.path == path })
	if at < 0 {
		return append(found, templateAt{path: path, value: spec["template"], due: true})
	}
	found[at].due = true
	return found
}

// templatesIn adds what is a Pod template by its structure, in a value and all
// below it: an object whose spec has a list of containers.
func templatesIn(found []templateAt, path string, value any) []templateAt {
	switch value := value.(type) {
	case []any:
		for i, entry := range value {
			found = templatesIn(found, fmt.Sprintf("%s[%d]", path, i), entry)
		}
	case map[string]any:
		if containers := objectIn(value, "spec")["containers"]; areContainers(containers) {
			found = append(found, templateAt{path: path, value: value})
		} else if strings.HasSuffix(strings.ToLower(path), "template") && areNoContainers(containers) {
			found = append(found, templateAt{path: path, value: value, due: true})
		}
		for _, key := range slices.Sorted(maps.Keys(value)) {
			found = templatesIn(found, joinPath(path, key), value[key])
		}
	}
	return found
}

// areContainers: each is an object, and one at least says what runs in it.
func areContainers(value any) bool {
	list, _ := value.([]any)
	named := false
	for _, entry := range list {
		container, ok := entry.(map[string]any)
		if !ok {
			return false
		}
		named = named || container["image"] != nil || container["name"] != nil || container["command"] != nil
	}
	return named
}

// areNoContainers: what stands there cannot be containers. None at all may be left to an operator.
func areNoContainers(value any) bool {
	list, isList := value.([]any)
	return value != nil && !isList || slices.ContainsFunc(list, func(entry any) bool { _, ok := entry.(map[string]any); return !ok })
}

// joinPath writes a key after a path, in brackets where a dot would not do.
func joinPath(path, key string) string {
	if dottedKey.MatchString(key) {
		return strings.TrimPrefix(path+"."+key, ".")
	}
	return path + "['" + strings.ReplaceAll(key, "'", `\'`) + "']"
}

var dottedKey = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_-]*$`)

// reference is an owner reference to the workload, as its controller writes it.
func (d *Document) reference() map[string]any {
	return map[string]any{
		"apiVersion": d.APIVersion, "kind": d.Kind, "name": d.ownName(), "uid": d.uid(),
		"controller": true, "blockOwnerDeletion": true,
	}
}

func (d *Document) uid() string {
	if d.UID != "" {
		return d.UID
	}
	return standInUID(d.APIVersion, d.Kind, d.Namespace, d.ownName())
}

// control sets what the controller of a built-in kind sets besides: names, and
// the labels by which it knows its Pods again. Of any other kind the Pods are
// named as most controllers name them.
func (d *Document) control(pod, metadata map[string]any) {
	name, spec := d.ownName(), pod["spec"].(map[string]any)
	labels, labelled := metadata["labels"].(map[string]any)
	if metadata["labels"] == nil {
		labels, labelled = map[string]any{}, true
	}
	label := func(key, value string) {
		if labelled {
			labels[key], metadata["labels"] = value, labels
		}
	}
	base := name
	switch groupOf(d.APIVersion) + "/" + d.Kind {
	case "apps/Deployment", "extensions/Deployment":
		base += "-" + hash
		label("pod-template-hash", hash)
	case "batch/Job", "batch/CronJob":
		job := objectIn(d.object, "spec")
		if d.Kind == "CronJob" {
			base += "-" + minutes
			job = objectIn(objectIn(job, "jobTemplate"), "spec")
		}
		for _, prefix := range []string{"", "batch.kubernetes.io/"} {
			label(prefix+"job-name", base)
			label(prefix+"controller-uid", d.uid())
		}
		if finalizers, isList := metadata["finalizers"].([]any); isList || metadata["finalizers"] == nil {
			metadata["finalizers"] = append(finalizers, "batch.kubernetes.io/job-tracking")
		}
		if job["completionMode"] == "Indexed" {
			label(completionIndex, "0")
			indexed(spec, metadata, base+"-0")
			base += "-0"
		}
	case "apps/DaemonSet", "extensions/DaemonSet":
		label("controller-revision-hash", hash)
		label("pod-template-generation", "1")
		tolerateNodes(spec)
	case "apps/StatefulSet":
		label("controller-revision-hash", name+"-"+hash)
		label("apps.kubernetes.io/pod-index", "0")
		label("statefulset.kubernetes.io/pod-name", name+"-0")
		spec["hostname"] = name + "-0"
		own := objectIn(d.object, "spec")
		if service, ok := own["serviceName"].(string); ok && service != "" {
			spec["subdomain"] = service
		}
		claimVolumes(spec, own["volumeClaimTemplates"], name+"-0")
	}
	metadata["generateName"] = base + "-"
	metadata["name"] = generated(base + "-")
	if d.Kind == "StatefulSet" && groupOf(d.APIVersion) == "apps" {
		metadata["name"] = name + "-0"
	}
}

const completionIndex = "batch.kubernetes.io/job-completion-index"

// indexed gives the first Pod of an Indexed Job what tells it which it is
// (addCompletionIndexAnnotation, addCompletionIndexEnvVariables).
func indexed(spec, metadata map[string]any, name string) {
	spec["hostname"] = name
	annotations, isObject := metadata["annotations"].(map[string]any)
	if metadata["annotations"] == nil {
		annotations, isObject = map[string]any{}, true
	}
	if isObject {
		annotations[completionIndex], metadata["annotations"] = "0", annotations
	}
	for _, field := range []string{"initContainers", "containers"} {
		eachObject(spec[field], func(container map[string]any) {
			variables, isList := container["env"].([]any)
			known := container["env"] != nil && !isList
			eachObject(container["env"], func(one map[string]any) { known = known || one["name"] == "JOB_COMPLETION_INDEX" })
			if !known {
				path := "metadata.labels['" + completionIndex + "']"
				container["env"] = append(variables, map[string]any{
					"name": "JOB_COMPLETION_INDEX", "valueFrom": map[string]any{"fieldRef": map[string]any{"fieldPath": path}},
				})
			}
		})
	}
}

// tolerateNodes gives a Pod of a DaemonSet the tolerations with which it stays
// on a node in trouble. One takes the place of one like it
// (AddOrUpdateDaemonPodTolerations).
func tolerateNodes(spec map[string]any) {
	list, isList := spec["tolerations"].([]any)
	if spec["tolerations"] != nil && !isList {
		return
	}
	tolerate := func(taint, effect string) {
		added := map[string]any{"key": "node.kubernetes.io/" + taint, "operator": "Exists", "effect": effect}
		for i, entry := range list {
			own, _ := entry.(map[string]any)
			if own["key"] == added["key"] && own["effect"] == effect && own["operator"] == "Exists" && (own["value"] == nil || own["value"] == "") {
				list[i] = added
				return
			}
		}
		list = append(list, added)
	}
	tolerate("not-ready", "NoExecute")
	tolerate("unreachable", "NoExecute")
	for _, taint := range []string{"disk-pressure", "memory-pressure", "pid-pressure", "unschedulable"} {
		tolerate(taint, "NoSchedule")
	}
	if hostNetwork, _ := spec["hostNetwork"].(bool); hostNetwork {
		tolerate("network-unavailable", "NoSchedule")
	}
	spec["tolerations"] = list
}

// claimVolumes gives a Pod of a StatefulSet a volume for each of its claims.
// One takes the place of a volume of its name (updateStorage).
func claimVolumes(spec map[string]any, templates any, pod string) {
	volumes, ok := spec["volumes"].([]any)
	if spec["volumes"] != nil && !ok {
		return
	}
	eachObject(templates, func(template map[string]any) {
		name, _ := objectIn(template, "metadata")["name"].(string)
		volume := map[string]any{"name": name, "persistentVolumeClaim": map[string]any{"claimName": name + "-" + pod}}
		for i, one := range volumes {
			if held, ok := one.(map[string]any); ok && held["name"] == name {
				volumes[i] = volume
				return
			}
		}
		volumes = append(volumes, volume)
	})
	if volumes != nil {
		spec["volumes"] = volumes
	}
}

// cloned copies a value with all below it.
func cloned(value any) any {
	switch value := value.(type) {
	case []any:
		out := make([]any, len(value))
		for i, entry := range value {
			out[i] = cloned(entry)
		}
		return out
	case map[string]any:
		out := make(map[string]any, len(value))
		for key, entry := range value {
			out[key] = cloned(entry)
		}
		return out
	}
	return value
}
