package main

import (
	"strings"
	"testing"
)

// What the controllers add, tests/e2e/test_live_stored_pods.py holds against them.
func TestControllersAddToThePodsOfTheirKinds(t *testing.T) {
	const index = `"batch.kubernetes.io/job-completion-index"`
	for name, one := range map[string]struct{ workload, path, want string }{
		"tolerations of a DaemonSet": {
			`{"apiVersion": "apps/v1", "kind": "DaemonSet", "spec": {"template": {"spec": {
				"tolerations": [{"key": "node.kubernetes.io/not-ready", "operator": "Exists", "effect": "NoExecute", "tolerationSeconds": 10}]}}}}`,
			"spec.tolerations[0]", `{"effect": "NoExecute", "key": "node.kubernetes.io/not-ready", "operator": "Exists"}`,
		},
		"one more on the network of the host": {
			`{"apiVersion": "apps/v1", "kind": "DaemonSet", "spec": {"template": {"spec": {"hostNetwork": true, "containers": []}}}}`,
			"spec.tolerations[6].key", `"node.kubernetes.io/network-unavailable"`,
		},
		"the finalizer of a Job": {
			`{"apiVersion": "batch/v1", "kind": "Job", "spec": {"template": {"metadata": {"finalizers": ["a/b"]}, "spec": {"containers": []}}}}`,
			"metadata.finalizers", `["a/b", "batch.kubernetes.io/job-tracking"]`,
		},
		"the host name of an Indexed Job": {
			`{"apiVersion": "batch/v1", "kind": "Job", "spec": {"completionMode": "Indexed", "template": {"spec": {"containers": []}}}}`, "spec.hostname", `"w-0"`,
		},
		"the index of an Indexed Job of a CronJob": {
			`{"apiVersion": "batch/v1", "kind": "CronJob", "spec": {"jobTemplate": {"spec": {"completionMode": "Indexed", "template": {"spec": {"containers": []}}}}}}`,
			"metadata.annotations", `{` + index + `: "0"}`,
		},
		"its variable": {
			`{"apiVersion": "batch/v1", "kind": "Job", "spec": {"completionMode": "Indexed", "template": {"spec": {"containers": [{"env": [{"name": "A"}]}]}}}}`,
			"spec.containers[0].env[1].valueFrom", `{"fieldRef": {"apiVersion": "v1", "fieldPath": "metadata.labels['batch.kubernetes.io/job-completion-index']"}}`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			equal(t, one.path, seenField(t, strings.Replace(one.workload, "{", `{"metadata": {"name": "w"}, `, 1), one.path), native(t, one.want))
		})
	}
}

// A damaged template must not make a custom workload an object that nobody is about.
func TestACustomWorkloadWithADamagedTemplateIsUnfit(t *testing.T) {
	for name, one := range map[string]struct{ text, path string }{
		"missing":             {"kind: Rollout\napiVersion: argoproj.io/v1alpha1\nspec: {replicas: 1}", "spec.template"},
		"no spec":             {"kind: Rollout\napiVersion: argoproj.io/v1alpha1", "spec.template"},
		"a spec that is none": {"kind: Rollout\napiVersion: argoproj.io/v1alpha1\nspec: text", "spec"},
		"null":                {"kind: Service\napiVersion: serving.knative.dev/v1\nspec: {template: null}", "spec.template"},
		"a text":              {"kind: CloneSet\napiVersion: apps.kruise.io/v1alpha1\nspec: {template: text}", "spec.template"},
		"a list":              {"kind: CloneSet\napiVersion: apps.kruise.io/v1alpha1\nspec: {template: []}", "spec.template"},
		"block style":         {"kind: CloneSet\napiVersion: apps.kruise.io/v1alpha1\nspec:\n  template: text", "spec.template"},
		"without a spec":      {"kind: Rollout\napiVersion: argoproj.io/v1alpha1\nspec: {template: {metadata: {}}}", "spec.template.spec"},
		"without containers":  {"kind: Rollout\napiVersion: argoproj.io/v1alpha1\nspec: {template: {spec: {}}}", "spec.template.spec.containers"},
		"null containers":     {"kind: Rollout\napiVersion: argoproj.io/v1alpha1\nspec: {template: {spec: {containers: null}}}", "spec.template.spec.containers"},
		"empty containers":    {"kind: Rollout\napiVersion: argoproj.io/v1alpha1\nspec: {template: {spec: {containers: []}}}", "spec.template.spec.containers"},
		"only others":         {"kind: Rollout\napiVersion: argoproj.io/v1alpha1\nspec: {template: {spec: {initContainers: [{name: a, image: b}]}}}", "spec.template.spec.containers"},
		"another kind":        {"kind: Fleet\napiVersion: example.com/v1\nspec: {podTemplate: {spec: {containers: text}}}", "spec.podTemplate.spec.containers"},
		"another kind's":      {"kind: Fleet\napiVersion: example.com/v1\nspec: {tasks: [{template: {spec: {containers: {a: b}}}}]}", "spec.tasks[0].template.spec.containers"},
		"no container":        {"kind: Fleet\napiVersion: example.com/v1\nspec: {template: {spec: {containers: [{name: a}, text]}}}", "spec.template.spec.containers[1]"},
	} {
		answer := loaded(t, newEngine(), "metadata: {name: a}\n"+one.text+"\n")
		if len(answer.Documents) != 2 || len(answer.Documents[1].Problems) != 1 || answer.Documents[1].Problems[0].Path != one.path {
			t.Errorf("%s: %d documents", name, len(answer.Documents))
			for _, document := range answer.Documents {
				t.Errorf("%+v", document.Problems)
			}
		}
	}
	for name, text := range map[string]string{
		"a Rollout of a Deployment": "kind: Rollout\napiVersion: argoproj.io/v1alpha1\nspec: {workloadRef: {kind: Deployment, name: a}}",
		"left to an operator":       "kind: Fleet\napiVersion: example.com/v1\nspec: {podTemplate: {spec: {containers: null}}}",
		"another template":          "kind: Fleet\napiVersion: example.com/v1\nspec: {template: text}",
		"a number":                  "kind: Fleet\napiVersion: example.com/v1\nspec: {containers: 3}",
	} {
		if answer := loaded(t, newEngine(), "metadata: {name: a}\n"+text+"\n"); len(answer.Documents) != 1 || len(answer.Documents[0].Problems) > 0 {
			t.Errorf("%s: %d documents", name, len(answer.Documents))
		}
	}
	for name, spec := range map[string]string{"missing": "{}", "null": `{"template":null}`, "a text": `{"template":"text"}`} {
		rollout := `{"apiVersion":"argoproj.io/v1alpha1","kind":"Rollout","metadata":{"name":"a","namespace":"b"},"spec":` + spec + "}"
		answer := loadedAs(t, newEngine(), loadRequest{Batch: "b", Format: "review"}, reviewOf("argoproj.io", "v1alpha1", "Rollout", rollout))
		if len(answer.Documents) != 2 || len(answer.Documents[1].Problems) != 1 {
			t.Errorf("a review, %s: %d documents", name, len(answer.Documents))
		}
	}
}
