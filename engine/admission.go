package main

import (
	"encoding/json"
	"slices"
	"strings"
)

// plugin is one of the API server's admission plugins that change each Pod.
type plugin struct {
	sees   [][]string                                                             // where in a Pod a rule sees what it adds
	needs  [][]string                                                             // what it goes by
	idle   func(s *surroundings) bool                                             // whether it can have nothing to add
	change func(d *Document, spec map[string]any, s *surroundings) (added string) // in words; empty for nothing
}

// plugins are in the order in which the API server asks them.
var plugins = []plugin{
	{
		sees: paths("spec.containers.*.resources", "spec.initContainers.*.resources"),
		needs: paths(
			"spec.containers.*.resources.limits", "spec.containers.*.resources.requests",
			"spec.initContainers.*.resources.limits", "spec.initContainers.*.resources.requests",
		),
		idle:   func(s *surroundings) bool { return len(s.limitRanges) == 0 },
		change: (*Document).addLimits,
	},
	{
		sees:   paths("spec.serviceAccountName", "spec.serviceAccount"),
		needs:  paths("spec.serviceAccountName", "spec.serviceAccount", "metadata.annotations."+mirrorAnnotation),
		change: (*Document).addServiceAccount,
	},
	{
		sees: paths("spec.volumes", "spec.containers.*.volumeMounts", "spec.initContainers.*.volumeMounts"),
		needs: paths(
			"spec.volumes.*.name", "spec.containers.*.volumeMounts.*.mountPath", "spec.initContainers.*.volumeMounts.*.mountPath",
			"spec.automountServiceAccountToken", "spec.serviceAccountName", "metadata.annotations."+mirrorAnnotation,
		),
		change: (*Document).addToken,
	},
	{
		sees:   paths("spec.imagePullSecrets"),
		needs:  paths("spec.imagePullSecrets", "spec.serviceAccountName", "metadata.annotations."+mirrorAnnotation),
		change: (*Document).addPullSecrets,
	},
	{
		sees:   paths("spec.priority", "spec.preemptionPolicy"),
		needs:  paths("spec.priority", "spec.preemptionPolicy", "spec.priorityClassName"),
		change: (*Document).addPriority,
	},
	{
		sees:   paths("spec.tolerations"),
		needs:  paths("spec.tolerations"),
		change: (*Document).addTolerations,
	},
}

// paths are dotted paths taken apart; what follows "annotations." is one key.
func paths(texts ...string) [][]string {
	out := make([][]string, len(texts))
	for i, text := range texts {
		before, key, annotation := strings.Cut(text, ".annotations.")
		if out[i] = strings.Split(before, "."); annotation {
			out[i] = append(out[i], "annotations", key)
		}
	}
	return out
}

// addition is what a plugin added to a Pod, in words.
type addition struct {
	what string
	by   *plugin
}

const (
	mirrorAnnotation = "kubernetes.io/config.mirror"
	tokenVolume      = "kube-api-access-"
	tokenPath        = "/var/run/secrets/kubernetes.io/serviceaccount"
)

// admit changes a Pod as the admission plugins do that are on in each cluster,
// as far as policies can see it. What it was before is kept, to tell what is
// found in it from what is found in what they add.
func (d *Document) admit(policies *Reads, s *surroundings) {
	spec := objectIn(d.object, "spec")
	if spec == nil {
		return
	}
	for i := range plugins {
		one := &plugins[i]
		if one.idle != nil && one.idle(s) || !slices.ContainsFunc(one.sees, policies.reach) {
			continue
		}
		if d.plain == nil {
			d.plain, d.object, spec = d.object, cloneShallow(d.object), cloneShallow(spec)
			d.object["spec"] = spec
			d.usual = d.usual && len(s.limitRanges)+len(s.accounts) == 0 // they may have any numbers
		}
		if added := one.change(d, spec, s); added != "" {
			d.added = append(d.added, addition{what: added, by: one})
		}
	}
}

func (d *Document) isMirror() bool {
	return objectIn(objectIn(d.object, "metadata"), "annotations")[mirrorAnnotation] != nil
}

func (d *Document) addServiceAccount(spec map[string]any, _ *surroundings) string {
	if d.isMirror() || spec["serviceAccountName"] != nil && spec["serviceAccountName"] != "" {
		return ""
	}
	spec["serviceAccountName"], spec["serviceAccount"] = "default", "default"
	return "the ServiceAccount default"
}

func (d *Document) addToken(spec map[string]any, s *surroundings) string {
	automount, set := spec["automountServiceAccountToken"].(bool)
	if !set {
		automount, set = s.account(d, spec)["automountServiceAccountToken"].(bool)
	}
	if d.isMirror() || set && !automount || !d.mountToken(spec) {
		return ""
	}
	return "the volume with the token of its ServiceAccount, which automountServiceAccountToken: false leaves out"
}

func (d *Document) addPullSecrets(spec map[string]any, s *surroundings) string {
	own, isList := spec["imagePullSecrets"].([]any)
	given, _ := s.account(d, spec)["imagePullSecrets"].([]any)
	if d.isMirror() || len(own) > 0 || len(given) == 0 || spec["imagePullSecrets"] != nil && !isList {
		return ""
	}
	spec["imagePullSecrets"] = given
	return "the imagePullSecrets of its ServiceAccount"
}

// mountToken mounts the ServiceAccount's token in each container that mounts
// nothing in its place (mountServiceAccountToken); it tells whether there was one.
func (d *Document) mountToken(spec map[string]any) bool {
	volumes, ok := spec["volumes"].([]any)
	if spec["volumes"] != nil && !ok {
		return false
	}
	name, there := tokenVolume+drawn, false
	eachObject(spec["volumes"], func(volume map[string]any) {
		if own, _ := volume["name"].(string); !there && strings.HasPrefix(own, tokenVolume) {
			name, there = own, true
		}
	})
	mounted := false
	for _, field := range []string{"initContainers", "containers"} {
		list, ok := spec[field].([]any)
		if !ok {
			continue
		}
		changed := make([]any, len(list))
		for i, entry := range list {
			changed[i] = entry
			container, ok := entry.(map[string]any)
			mounts, isList := container["volumeMounts"].([]any)
			if !ok || container["volumeMounts"] != nil && !isList || mountsToken(mounts) {
				continue
			}
			container = cloneShallow(container)
			container["volumeMounts"] = append(mounts[:len(mounts):len(mounts)], map[string]any{"name": name, "readOnly": true, "mountPath": tokenPath})
			changed[i], mounted = container, true
		}
		spec[field] = changed
	}
	if mounted && !there {
		spec["volumes"] = append(volumes[:len(volumes):len(volumes)], map[string]any{"name": name, "projected": tokenSource})
	}
	return mounted
}

func mountsToken(mounts []any) (found bool) {
	eachObject(mounts, func(mount map[string]any) {
		found = found || mount["mountPath"] == tokenPath
	})
	return found
}

// tokenSource is TokenVolumeSource of Kubernetes' admission plugin: one for all
// Pods, since nobody changes what has been loaded.
var tokenSource = map[string]any{
	"defaultMode": volumeMode,
	"sources": []any{
		map[string]any{"serviceAccountToken": map[string]any{"expirationSeconds": json.Number("3607"), "path": "token"}},
		map[string]any{"configMap": map[string]any{
			"name": "kube-root-ca.crt", "items": []any{map[string]any{"key": "ca.crt", "path": "ca.crt"}},
		}},
		map[string]any{"downwardAPI": map[string]any{"items": []any{map[string]any{
			"path": "namespace", "fieldRef": map[string]any{"apiVersion": "v1", "fieldPath": "metadata.namespace"},
		}}}},
	},
}

// The classes that each cluster has (scheduling.SystemPriorityClasses). Others
// are the cluster's own, and so is a class for Pods that name none.
var systemPriorities = map[string]json.Number{"system-node-critical": "2000001000", "system-cluster-critical": "2000000000", "": "0"}

func (d *Document) addPriority(spec map[string]any, _ *surroundings) string {
	class, _ := spec["priorityClassName"].(string)
	priority, known := systemPriorities[class]
	if !known || spec["priority"] != nil && spec["preemptionPolicy"] != nil {
		return ""
	}
	setDefault(spec, "priority", priority)
	setDefault(spec, "preemptionPolicy", "PreemptLowerPriority")
	return "the priority of Pods that set none"
}

func (d *Document) addTolerations(spec map[string]any, _ *surroundings) string {
	list, ok := spec["tolerations"].([]any)
	if spec["tolerations"] != nil && !ok {
		return ""
	}
	added := list[:len(list):len(list)]
	for _, taint := range []string{"node.kubernetes.io/not-ready", "node.kubernetes.io/unreachable"} {
		tolerated := false
		eachObject(spec["tolerations"], func(one map[string]any) {
			key, _ := one["key"].(string)
			effect, _ := one["effect"].(string)
			tolerated = tolerated || (key == taint || key == "") && (effect == "NoExecute" || effect == "")
		})
		if !tolerated {
			added = append(added, map[string]any{"key": taint, "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": json.Number("300")})
		}
	}
	if len(added) == len(list) {
		return ""
	}
	spec["tolerations"] = added
	return "tolerations of nodes that are not ready or not reachable, for 300 seconds"
}

// toldApart says of each violation that the Pod had not before the admission
// plugins changed it what they add: nobody finds that in the file. part is what
// of the Pod was judged.
func (e *Engine) toldApart(j job, d *Document, out *outcome, data *snapshot, left *budget, part func(map[string]any) map[string]any) *outcome {
	added := j.policy.seen(d.added)
	if len(out.findings) == 0 || added == "" {
		return out
	}
	before := e.run(j, d.review(part(d.plain)), data, left)
	known := before.set()
	if before.cut && slices.ContainsFunc(out.findings, func(one Finding) bool { return !known[one] }) {
		j.enough = 0 // then what it had before must be known whole
		before = e.run(j, d.review(part(d.plain)), data, left)
		known = before.set()
	}
	if j.brief && before.late {
		return before
	}
	if len(before.faults) > 0 {
		return out
	}
	told := *out
	told.findings = make([]Finding, len(out.findings))
	for i, one := range out.findings {
		if !known[one] {
			one.Msg += " (about what the API server adds: " + added + ")"
		}
		told.findings[i] = one
	}
	return &told
}

// set has each finding.
func (out *outcome) set() map[Finding]bool {
	known := make(map[Finding]bool, len(out.findings))
	for _, one := range out.findings {
		known[one] = true
	}
	return known
}

func whole(object map[string]any) map[string]any { return object }

// seen are the additions that a policy can see, in words.
func (p *Policy) seen(added []addition) string {
	var texts []string
	for _, one := range added {
		if slices.ContainsFunc(one.by.sees, p.reads.reach) {
			texts = append(texts, one.what)
		}
	}
	return strings.Join(texts, "; ")
}
