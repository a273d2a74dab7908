package main

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// A Pod is judged alike alone and as the Pod of any workload: of each of these,
// the text stands where the template does.
var wrappings = map[string]string{
	"Deployment":            `{"apiVersion": "apps/v1", "kind": "Deployment", %s, "spec": {"template": %s}}`,
	"StatefulSet":           `{"apiVersion": "apps/v1", "kind": "StatefulSet", %s, "spec": {"template": %s}}`,
	"DaemonSet":             `{"apiVersion": "apps/v1", "kind": "DaemonSet", %s, "spec": {"template": %s}}`,
	"ReplicaSet":            `{"apiVersion": "apps/v1", "kind": "ReplicaSet", %s, "spec": {"template": %s}}`,
	"ReplicationController": `{"apiVersion": "v1", "kind": "ReplicationController", %s, "spec": {"template": %s}}`,
	"Job":                   `{"apiVersion": "batch/v1", "kind": "Job", %s, "spec": {"template": %s}}`,
	"CronJob":               `{"apiVersion": "batch/v1", "kind": "CronJob", %s, "spec": {"jobTemplate": {"spec": {"template": %s}}}}`,
	"PodTemplate":           `{"apiVersion": "v1", "kind": "PodTemplate", %s, "template": %s}`,
	"Rollout":               `{"apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout", %s, "spec": {"template": %s}}`,
	"a list of pools":       `{"apiVersion": "example.com/v1", "kind": "Fleet", %s, "spec": {"pools": [{}, {"pod": %s}]}}`,
}

func wrapped(t testing.TB, form string, pod map[string]any) string {
	t.Helper()
	own := objectIn(pod, "metadata")
	metadata := map[string]any{"name": "workload"}
	if own["namespace"] != nil {
		metadata["namespace"] = own["namespace"]
	}
	inner := cloneShallow(own)
	delete(inner, "name")
	delete(inner, "namespace")
	of, _ := json.Marshal(metadata)
	template, err := json.Marshal(map[string]any{"metadata": inner, "spec": pod["spec"]})
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf(form, `"metadata": `+string(of), string(template))
}

// podVerdict is what is found in the Pod of a text, and in nothing else of it.
func podVerdict(t testing.TB, e *Engine, parameters, text string) (messages, faults []string) {
	t.Helper()
	answer := loadedAs(t, e, loadRequest{Batch: "b", Format: "files", Namespace: "default", Parts: []Part{{Length: len(text)}}}, text)
	defer func() { _, _ = e.release(batchRequest{Batch: "b"}) }()
	at := len(answer.Documents) - 1
	// What lacks an image is judged too, for other things.
	if answer.Documents[at].Kind != "Pod" || answer.Documents[at].misshapen {
		t.Fatalf("no Pod, or a misshapen one: %+v of %s", answer.Documents[at], text)
	}
	one := task{Policy: "p", Parameters: json.RawMessage(parameters), Documents: []int{at}}
	judged, err := e.judge(judgeRequest{Batch: "b", DeadlineMS: int(testDeadline.Milliseconds()), Tasks: []task{one}})
	if err != nil {
		t.Fatal(err)
	}
	for _, finding := range judged.(judgeAnswer).Findings {
		messages = append(messages, finding.Msg)
	}
	for _, fault := range judged.(judgeAnswer).Faults {
		faults = append(faults, fault.Message)
	}
	return messages, faults
}

func TestEachSamplesPodIsJudgedAlikeAsThePodOfAnyWorkload(t *testing.T) {
	// These are about the kind of what has the Pod, what it lies in, or belongs to, and not about the Pod alone.
	others := []string{"allowed-kinds", "no-default-namespace", "no-naked-pods", "required-network-policies"}
	violating, complying := 0, 0
	for _, one := range definitions(t) {
		if slices.Contains(others, one.name) {
			continue
		}
		e := newEngine()
		if _, err := e.compile(compileRequest{Policy: "p", Modules: one.modules}); err != nil {
			t.Fatal(err)
		}
		folder := filepath.Join("../definitions", one.name)
		for _, sample := range glob(t, filepath.Join(folder, "samples", "*.yaml")) {
			parameters := parametersOf(t, folder, sample)
			text := []byte(read(t, sample))
			spans := splitFile(text)
			for _, span := range spans {
				converted, _, problem := toJSON(text[span.Offset:span.Offset+span.Length], span, false)
				if problem != nil {
					t.Fatalf("%s: %+v", sample, problem)
				}
				pod := native(t, string(converted)).(map[string]any)
				if pod["kind"] != "Pod" || len(documentOf(pod).Problems) > 0 {
					continue
				}
				alone, faults := podVerdict(t, e, parameters, string(converted))
				if len(alone) > 0 {
					violating++
				} else {
					complying++
				}
				for kind, form := range wrappings {
					found, wrong := podVerdict(t, e, parameters, wrapped(t, form, pod))
					equal(t, fmt.Sprintf("%s as %s", sample, kind), found, alone)
					equal(t, fmt.Sprintf("faults of %s as %s", sample, kind), len(wrong), len(faults))
				}
			}
		}
	}
	if least := 20 / raceStep; violating < least || complying < least {
		t.Errorf("only %d Pods of samples violate, %d comply", violating, complying)
	}
}

// thirdParty are rules as others write them: each with a Pod that violates and
// one that complies.
var thirdParty = []struct{ name, version, rego, violating, complying string }{
	{"the name in the message", "v0", `package p
violation[{"msg": msg}] {
	input.review.object.spec.hostNetwork
	msg := sprintf("Pod %v uses the host network", [input.review.object.metadata.name])
}`, `{"spec": {"hostNetwork": true, "containers": [{"name": "a"}]}}`, `{"spec": {"containers": [{"name": "a"}]}}`},
	{"the review's name", "v1", `package p
violation contains {"msg": sprintf("%v", [input.review.name])} if { input.review.name != ""; input.review.object.spec.hostPID }`,
		`{"spec": {"hostPID": true, "containers": [{"name": "a"}]}}`, `{"spec": {"containers": [{"name": "a"}]}}`},
	{"name and namespace", "v1", `package p
violation contains {"msg": sprintf("%v/%v", [m.namespace, m.name])} if {
	m := input.review.object.metadata
	some c in input.review.object.spec.containers
	c.securityContext.privileged
}`, `{"metadata": {"namespace": "shop"}, "spec": {"containers": [{"name": "a", "securityContext": {"privileged": true}}]}}`, `{"metadata": {"namespace": "shop"}, "spec": {"containers": [{"name": "a", "securityContext": {"privileged": false}}]}}`},
	{"the uid", "v0", `package p
violation[{"msg": msg, "details": {"uid": uid}}] {
	uid := input.review.object.metadata.uid
	input.review.object.spec.hostIPC == true
	msg := concat(" ", ["ipc", uid])
}`, `{"spec": {"hostIPC": true, "containers": [{"name": "a"}]}}`, `{"spec": {"containers": [{"name": "a"}]}}`},
	{"labels", "v0", `package p
violation[{"msg": msg, "details": {"missing": missing}}] {
	provided := {label | input.review.object.metadata.labels[label]}
	missing := {"app"} - provided
	count(missing) > 0
	msg := sprintf("%v has labels %v, without %v", [input.review.object.metadata.name, provided, missing])
}`, `{"metadata": {"labels": {"tier": "x"}}, "spec": {"containers": [{"name": "a"}]}}`, `{"metadata": {"labels": {"app": "x"}}, "spec": {"containers": [{"name": "a"}]}}`},
	{"annotations", "v1", `package p
violation contains {"msg": sprintf("%v: %v", [input.review.object.metadata.name, v])} if { v := input.review.object.metadata.annotations["a.b/c"]; v != "ok" }`,
		`{"metadata": {"annotations": {"a.b/c": "bad"}}, "spec": {"containers": [{"name": "a"}]}}`, `{"metadata": {"annotations": {"a.b/c": "ok"}}, "spec": {"containers": [{"name": "a"}]}}`},
	{"the ServiceAccount", "v1", `package p
violation contains {"msg": sprintf("%v runs as %v", [input.review.object.metadata.name, input.review.object.spec.serviceAccountName])} if input.review.object.spec.serviceAccountName == "default"`,
		`{"spec": {"containers": [{"name": "a"}]}}`, `{"spec": {"serviceAccountName": "own", "containers": [{"name": "a"}]}}`},
	{"the token", "v0", `package p
violation[{"msg": msg}] {
	mount := input.review.object.spec.containers[_].volumeMounts[_]
	mount.mountPath == "/var/run/secrets/kubernetes.io/serviceaccount"
	msg := sprintf("%v mounts a token", [input.review.object.metadata.name])
}`, `{"spec": {"containers": [{"name": "a"}]}}`, `{"spec": {"automountServiceAccountToken": false, "containers": [{"name": "a"}]}}`},
	{"types of volumes", "v0", `package p
violation[{"msg": msg}] {
	fields := {x | input.review.object.spec.volumes[_][x]; x != "name"}
	field := fields[_]
	not allowed(field)
	msg := sprintf("volume type %v of %v", [field, input.review.object.metadata.name])
}
allowed("projected")
allowed("emptyDir")`, `{"spec": {"volumes": [{"name": "h", "hostPath": {"path": "/"}}], "containers": [{"name": "a"}]}}`, `{"spec": {"volumes": [{"name": "e"}], "containers": [{"name": "a"}]}}`},
	{"ports of the host", "v0", `package p
violation[{"msg": msg}] {
	port := input.review.object.spec.containers[_].ports[_].hostPort
	msg := sprintf("%v listens on %v", [input.review.object.metadata.name, port])
}`, `{"spec": {"hostNetwork": true, "containers": [{"name": "a", "ports": [{"containerPort": 80}]}]}}`, `{"spec": {"containers": [{"name": "a", "ports": [{"containerPort": 80}]}]}}`},
	{"the default namespace", "v1", `package p
violation contains {"msg": sprintf("%v is in %v", [input.review.object.metadata.name, input.review.object.metadata.namespace])} if input.review.namespace == "default"`,
		`{"spec": {"containers": [{"name": "a"}]}}`, `{"metadata": {"namespace": "shop"}, "spec": {"containers": [{"name": "a"}]}}`},
	{"a field that is null", "v0", `package p
violation[{"msg": msg}] {
	input.review.object.spec.hostNetwork
	msg := sprintf("%v sets hostNetwork", [input.review.object.metadata.name])
}`, `{"spec": {"hostNetwork": true, "containers": [{"name": "a"}]}}`, `{"spec": {"hostNetwork": null, "containers": [{"name": "a"}]}}`},
	{"defaults", "v1", `package p
violation contains {"msg": sprintf("%v: %v", [input.review.object.metadata.name, c.imagePullPolicy])} if { some c in input.review.object.spec.containers; c.imagePullPolicy != "Always" }`,
		`{"spec": {"containers": [{"name": "a", "image": "a:1"}]}}`, `{"spec": {"containers": [{"name": "a", "image": "a"}]}}`},
}

func TestThirdPartyRulesFindAPodsViolationInEachWorkloadThatMakesIt(t *testing.T) {
	for _, one := range thirdParty {
		t.Run(one.name, func(t *testing.T) {
			e := newEngine()
			install(t, e, "p", one.version, one.rego)
			for text, violates := range map[string]bool{one.violating: true, one.complying: false} {
				pod := native(t, text).(map[string]any)
				if pod["metadata"] == nil {
					pod["metadata"] = map[string]any{}
				}
				pod["apiVersion"], pod["kind"] = "v1", "Pod"
				pod["metadata"].(map[string]any)["name"] = "pod"
				alone, _ := json.Marshal(pod)
				texts := map[string]string{"Pod": string(alone)}
				for kind, form := range wrappings {
					texts[kind] = wrapped(t, form, pod)
				}
				for kind, text := range texts {
					found, faults := podVerdict(t, e, "{}", text)
					equal(t, "faults of "+kind, faults, nil)
					if (len(found) > 0) != violates {
						t.Errorf("%s: found %q, of what violates: %v\n%s", kind, found, violates, text)
					}
				}
			}
		})
	}
}

// What a controller makes has an owner; a Pod alone has none.
func TestANakedPodIsOneThatNobodyMakes(t *testing.T) {
	const spec = `{"containers": [{"name": "a"}]}`
	for version, rego := range map[string]string{
		"v0": `package p
violation[{"msg": msg}] {
	not input.review.object.metadata.ownerReferences
	msg := sprintf("%v is naked", [input.review.object.metadata.name])
}`,
		"v1": `package p
violation contains {"msg": sprintf("%v is naked", [input.review.object.metadata.name])} if {
	owners := [o | some o in object.get(input.review.object.metadata, "ownerReferences", []); o.controller; o.uid; o.kind; o.name]
	count(owners) == 0
}`,
	} {
		e := newEngine()
		install(t, e, "p", version, rego)
		found, _ := podVerdict(t, e, "{}", `{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "pod"}, "spec": `+spec+`}`)
		equal(t, "alone", found, []string{"pod is naked"})
		for kind, form := range wrappings {
			found, faults := podVerdict(t, e, "{}", wrapped(t, form, map[string]any{"metadata": map[string]any{}, "spec": native(t, spec)}))
			equal(t, kind, strings.Join(append(found, faults...), ""), "")
		}
	}
}
