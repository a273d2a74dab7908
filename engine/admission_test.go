package main

import (
	"fmt"
	"strings"
	"testing"
)

// podText is a Pod, or a Deployment that makes one, of a Pod spec in JSON.
func podText(kind, spec string) string {
	if kind == "Pod" {
		return fmt.Sprintf(`{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web", "namespace": "shop"}, "spec": %s}`, spec)
	}
	return fmt.Sprintf(`{"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web", "namespace": "shop"}, "spec": {"template": {"spec": %s}}}`, spec)
}

// seenSpec is a field of the spec of a Pod of a file as a rule sees it.
func seenSpec(t *testing.T, text, field string) any {
	t.Helper()
	return seenField(t, text, "spec."+field)
}

// seenField is a field of a Pod of a file as a rule sees it that reads no other.
func seenField(t *testing.T, text, field string) any {
	t.Helper()
	e := newEngine()
	install(t, e, "p", "v1", fmt.Sprintf(`package p
violation contains {"msg": "seen", "details": {"value": input.review.object.%s}} if input.review.object.kind == "Pod"`, field))
	loaded(t, e, text)
	answer := judged(t, e, "p", "")
	if len(answer.Findings) == 0 {
		return nil
	}
	equal(t, "one finding", len(answer.Findings), 1)
	return native(t, answer.Findings[0].Details).(map[string]any)["value"]
}

func TestAPodOfAFileHasWhatTheAPIServerAdds(t *testing.T) {
	mount := `{mountPath: /var/run/secrets/kubernetes.io/serviceaccount, name: kube-api-access-xxxxx, readOnly: true}`
	for name, one := range map[string]struct{ spec, field, want string }{
		"the default ServiceAccount":    {`{"containers": []}`, "serviceAccountName", "default"},
		"its older name":                {`{"serviceAccount": "own"}`, "serviceAccountName", "own"},
		"the token in containers":       {`{"containers": [{"name": "a"}]}`, "containers[0].volumeMounts", "[" + mount + "]"},
		"after what is mounted":         {`{"containers": [{"name": "a", "volumeMounts": [{"name": "v", "mountPath": "/v"}]}]}`, "containers[0].volumeMounts", "[{name: v, mountPath: /v}, " + mount + "]"},
		"in init containers":            {`{"initContainers": [{"name": "a"}]}`, "initContainers[0].volumeMounts", "[" + mount + "]"},
		"not in ephemeral containers":   {`{"ephemeralContainers": [{"name": "a"}], "containers": [{"name": "b"}]}`, "ephemeralContainers[0].volumeMounts", "null"},
		"not over what stands there":    {`{"containers": [{"name": "a", "volumeMounts": [{"name": "v", "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount"}]}]}`, "volumes", "null"},
		"not twice":                     {`{"volumes": [{"name": "kube-api-access-7", "projected": {}}], "containers": [{"name": "a"}]}`, "containers[0].volumeMounts[0].name", "kube-api-access-7"},
		"not where the Pod forbids it":  {`{"automountServiceAccountToken": false, "containers": [{"name": "a"}]}`, "volumes", "null"},
		"the volume":                    {`{"containers": [{"name": "a"}]}`, "volumes[0].projected.sources[0]", "{serviceAccountToken: {expirationSeconds: 3607, path: token}}"},
		"the priority":                  {`{}`, "priority", "0"},
		"the priority of a class":       {`{"priorityClassName": "system-node-critical"}`, "priority", "2000001000"},
		"not of a class of the cluster": {`{"priorityClassName": "gold"}`, "priority", "null"},
		"tolerations":                   {`{"tolerations": [{"key": "node.kubernetes.io/not-ready", "operator": "Exists"}]}`, "tolerations[1].key", "node.kubernetes.io/unreachable"},
		"no toleration beside all":      {`{"tolerations": [{"operator": "Exists"}]}`, "tolerations", "[{operator: Exists}]"},
	} {
		for _, kind := range []string{"Pod", "Deployment"} {
			t.Run(name+" of a "+kind, func(t *testing.T) {
				equal(t, one.field, seenSpec(t, podText(kind, one.spec), one.field), fromYAML(t, one.want))
			})
		}
	}
	mirror := `{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "m", "annotations": {"kubernetes.io/config.mirror": "x"}}, "spec": {"containers": [{"name": "a"}]}}`
	equal(t, "a mirror Pod", seenSpec(t, mirror, "serviceAccountName"), nil)
}

// A live Pod has been through admission, and so has the one of a review.
func TestPodsThatTheServerHasSeenAreLeftAsTheyAre(t *testing.T) {
	pod := podText("Pod", `{"containers": [{"name": "a", "image": "i"}]}`)
	for format, text := range map[string]string{
		"list":   `{"apiVersion": "v1", "kind": "PodList", "metadata": {}, "items": [` + pod + `]}`,
		"review": fmt.Sprintf(reviewed, "", "Pod", "web", "shop", pod, "null"),
	} {
		e := newEngine()
		install(t, e, "p", "v1", `package p
violation contains {"msg": json.marshal(input.review.object.spec)}`)
		loadedAs(t, e, loadRequest{Batch: "b", Format: format}, text)
		found, _ := messages(judged(t, e, "p", ""))
		equal(t, format, found, []string{`0: {"containers":[{"image":"i","name":"a"}]}`})
	}
}

func TestAStatefulSetsPodHasItsClaimsAsVolumes(t *testing.T) {
	text := `{"apiVersion": "apps/v1", "kind": "StatefulSet", "metadata": {"name": "db"}, "spec": {"serviceName": "dbs", "volumeClaimTemplates": [{"metadata": {"name": "data"}}, {"metadata": {"name": "log"}}],
		"template": {"spec": {"automountServiceAccountToken": false, "volumes": [{"name": "log", "emptyDir": {}}, {"name": "tmp"}], "containers": []}}}}`
	equal(t, "volumes", seenSpec(t, text, "volumes"), fromYAML(t, `[
		{name: log, persistentVolumeClaim: {claimName: log-db-0}}, {name: tmp, emptyDir: {}}, {name: data, persistentVolumeClaim: {claimName: data-db-0}}]`))
	equal(t, "hostname", []any{seenSpec(t, text, "hostname"), seenSpec(t, text, "subdomain")}, []any{"db-0", "dbs"})
}

const volumeTypes = `package p
violation contains {"msg": sprintf("volume %v of the type %v", [v.name, type])} if {
	some v in input.review.object.spec.volumes
	some type, _ in v
	type != "name"
}`

func TestAFindingAboutWhatTheAPIServerAddsSaysSo(t *testing.T) {
	for _, kind := range []string{"Pod", "Deployment"} {
		e := newEngine()
		install(t, e, "p", "v1", volumeTypes)
		index := 0
		if kind == "Deployment" {
			index = 1
		}
		text := podText(kind, `{"volumes": [{"name": "own", "hostPath": {"path": "/"}}], "containers": [{"name": "a", "image": "i"}]}`)
		// Twice: from the rule, and from memory.
		for _, again := range []string{"first", "again"} {
			loaded(t, e, text)
			found, faults := messages(judged(t, e, "p", ""))
			equal(t, "faults", faults, nil)
			equal(t, kind+" "+again, found, []string{
				fmt.Sprintf("%d: volume kube-api-access-xxxxx of the type projected (about what the API server adds: the volume with the token of its ServiceAccount, which automountServiceAccountToken: false leaves out)", index),
				fmt.Sprintf("%d: volume own of the type hostPath", index),
			})
			_, _ = e.release(batchRequest{Batch: "b"})
		}
		// The same Pod, written out: there it is its author's.
		written := strings.Replace(text, `"containers": [{"name": "a", "image": "i"`, `"serviceAccountName": "default", "containers": [{"name": "a", "image": "i", "volumeMounts": [{"name": "kube-api-access-xxxxx", "readOnly": true, "mountPath": "/var/run/secrets/kubernetes.io/serviceaccount"}]`, 1)
		written = strings.Replace(written, `"volumes": [`, `"volumes": [{"name": "kube-api-access-xxxxx", "projected": {}}, `, 1)
		loaded(t, e, written)
		found, _ := messages(judged(t, e, "p", ""))
		equal(t, kind+" written", found[0], fmt.Sprintf("%d: volume kube-api-access-xxxxx of the type projected", index))
	}
}

func TestAContainersCopyTellsOfAdditionsAlike(t *testing.T) {
	e := newEngine()
	install(t, e, "p", "v1", `package p
violation contains {"msg": sprintf("%v mounts %v", [c.name, m.name])} if {
	some c in input.review.object.spec.containers
	some m in c.volumeMounts
}`)
	loaded(t, e, podText("Pod", `{"containers": [{"name": "a", "image": "i"}, {"name": "b", "image": "i", "volumeMounts": [{"name": "own", "mountPath": "/x"}]}]}`))
	whole := judged(t, e, "p", "")
	answer, err := e.isolate(isolateRequest{Batch: "b", DeadlineMS: 5000, Task: task{Policy: "p", Documents: []int{0}}})
	if err != nil {
		t.Fatal(err)
	}
	one := answer.(map[string]any)["documents"].([]isolated)[0]
	equal(t, "of containers", len(one.Containers[0])+len(one.Containers[1]), len(whole.Findings))
	for _, found := range append(one.Containers[0], one.Containers[1]...) {
		_, known := (&findingTable{index: indexOf(whole.Findings)}).index[found]
		if !known {
			t.Errorf("%q is not found in the whole Pod", found.Msg)
		}
	}
}

func indexOf(findings []Finding) map[Finding]int {
	out := map[Finding]int{}
	for i, one := range findings {
		out[one] = i
	}
	return out
}

func TestAnObjectOfAFileHasTheNameAndUIDThatItWouldGet(t *testing.T) {
	e := newEngine()
	install(t, e, "p", "v1", `package p
violation contains {"msg": sprintf("%v/%v %v", [input.review.name, input.review.object.metadata.name, input.review.object.metadata.uid])}`)
	text := `{"apiVersion": "v1", "kind": "Thing", "metadata": {"generateName": "a-"}}{"apiVersion": "v1", "kind": "Thing", "metadata": {"generateName": "b-"}}{"apiVersion": "v1", "kind": "Thing", "metadata": {"name": "c", "uid": "u"}}`
	answer := loaded(t, e, text)
	equal(t, "the record is what is written", []string{answer.Documents[0].Name, answer.Documents[0].GenerateName, answer.Documents[0].UID}, []string{"", "a-", ""})
	found, faults := messages(judged(t, e, "p", ""))
	equal(t, "faults", faults, nil)
	equal(t, "found", len(found), 3)
	contains(t, "first", found[0], "a-xxxxx/a-xxxxx ")
	contains(t, "second", found[1], "b-xxxxx/b-xxxxx ")
	equal(t, "third", found[2], "2: c/c u")
	if found[0][len(found[0])-36:] == found[1][len(found[1])-36:] {
		t.Errorf("one uid for two objects: %v", found)
	}
	equal(t, "a long name", len(generated(strings.Repeat("a", 80))), 63)
}
