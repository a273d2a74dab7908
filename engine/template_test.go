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
