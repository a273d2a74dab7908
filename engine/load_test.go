package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

func problemsOf(answer loadAnswer) []string {
	out := []string{}
	for _, one := range answer.Problems {
		out = append(out, fmt.Sprintf("%d:%d: %s", one.Part, one.Line, one.Message))
	}
	return out
}

func TestARecordHasWhatSelectionAndReportsNeed(t *testing.T) {
	answer := loaded(t, newEngine(), `# a Pod
apiVersion: v1
kind: Pod
metadata:
  name: web
  namespace: shop
  uid: "7"
  labels: {app: web}
  ownerReferences:
    - {apiVersion: v1, kind: Node, name: n}
    - {apiVersion: apps/v1, kind: ReplicaSet, name: web-1, controller: true}
spec:
  containers: [{name: a, image: a:1}, {name: b}]
  initContainers: [{name: i, image: i:1}]
  ephemeralContainers: [{name: e, image: e:1}]
`)
	equal(t, "problems", problemsOf(answer), []string{})
	document := answer.Documents[0]
	equal(t, "containers", document.Containers, []Container{
		{Name: "a", Type: "containers", Image: "a:1"}, {Name: "b", Type: "containers"},
		{Name: "i", Type: "initContainers", Image: "i:1"}, {Name: "e", Type: "ephemeralContainers", Image: "e:1"},
	})
	equal(t, "owner", document.Owner, &Owner{APIVersion: "apps/v1", Kind: "ReplicaSet", Name: "web-1"})
	equal(t, "identity", []string{document.APIVersion, document.Kind, document.Namespace, document.Name, document.UID, document.Labels["app"]},
		[]string{"v1", "Pod", "shop", "web", "7", "web"})
}

func TestContainersAreThoseOfPodsAlone(t *testing.T) {
	answer := loaded(t, newEngine(), "apiVersion: example.com/v1\nkind: Pod\nmetadata: {name: a}\nspec: {containers: [{name: a}]}\n")
	equal(t, "containers", len(answer.Documents[0].Containers), 0)
}

func TestFieldsOfAWrongTypeAreProblemsOfTheirDocument(t *testing.T) {
	for name, one := range map[string]struct{ text, want string }{
		"metadata":                {`{"metadata": 1}`, "metadata is a number, not an object"},
		"a name":                  {`{"metadata": {"name": 1}}`, "metadata.name is a number, not a string"},
		"a namespace":             {`{"metadata": {"name": "a", "namespace": []}}`, "metadata.namespace is a list, not a string"},
		"labels":                  {`{"metadata": {"name": "a", "labels": "x"}}`, "metadata.labels is a string, not an object"},
		"a label":                 {`{"metadata": {"name": "a", "labels": {"a": true}}}`, "metadata.labels[a] is a boolean, not a string"},
		"owners":                  {`{"metadata": {"name": "a", "ownerReferences": {}}}`, "metadata.ownerReferences is an object, not a list"},
		"an owner":                {`{"metadata": {"name": "a", "ownerReferences": [null]}}`, "metadata.ownerReferences[0] is null, not an object"},
		"spec":                    {`{"metadata": {"name": "a"}, "spec": []}`, "spec is a list, not an object"},
		"containers":              {`{"metadata": {"name": "a"}, "spec": {"containers": {}}}`, "spec.containers is an object, not a list"},
		"a container":             {`{"metadata": {"name": "a"}, "spec": {"containers": ["x"]}}`, "spec.containers[0] is a string, not an object"},
		"the name of a container": {`{"metadata": {"name": "a"}, "spec": {"initContainers": [{"name": 1, "image": 1}]}}`, "spec.initContainers[0].name is a number, not a string"},
		"a name absent":           {`{"metadata": {}}`, "metadata.name is missing"},
		"no metadata":             {`{}`, "metadata.name is missing"},
	} {
		t.Run(name, func(t *testing.T) {
			answer := loaded(t, newEngine(), `{"apiVersion": "v1", "kind": "Pod", `+one.text[1:])
			equal(t, "problems", answer.Documents[0].Problems, []string{one.want})
		})
	}
}

func TestNullIsAbsent(t *testing.T) {
	answer := loaded(t, newEngine(), `{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a", "labels": null, "ownerReferences": null}, "spec": {"initContainers": null}}`)
	equal(t, "problems", answer.Documents[0].Problems, nil)
}

func TestAGeneratedNameIsANameToCome(t *testing.T) {
	answer := loaded(t, newEngine(), "apiVersion: v1\nkind: Pod\nmetadata: {generateName: web-}\n")
	equal(t, "generateName", answer.Documents[0].GenerateName, "web-")
	equal(t, "problems", answer.Documents[0].Problems, nil)
}

func TestWhatIsNoKubernetesObjectIsAProblem(t *testing.T) {
	for name, one := range map[string]struct{ text, want string }{
		"a text":              {"hello", "0:1: not a Kubernetes object: it is no mapping"},
		"a list":              {"- a\n", "0:1: not a Kubernetes object: it is no mapping"},
		"no kind":             {"a: b\n", "0:1: not a Kubernetes object: it has no kind"},
		"an empty object":     {"{}", "0:1: not a Kubernetes object: it has no kind"},
		"no apiVersion":       {"kind: Pod\n", "0:1: not a Kubernetes object: it has no apiVersion"},
		"a kind of no string": {"apiVersion: v1\nkind: [Pod]\n", "0:1: not a Kubernetes object: it has no kind"},
		"duplicate keys":      {"\n{\n\"apiVersion\": \"v1\", \"kind\": \"Pod\",\n\"kind\": \"Pod\"}", "0:4: invalid JSON: "},
	} {
		t.Run(name, func(t *testing.T) {
			answer := loaded(t, newEngine(), one.text)
			equal(t, "documents", len(answer.Documents), 0)
			equal(t, "problems", len(answer.Problems), 1)
			contains(t, "problem", problemsOf(answer)[0], one.want)
		})
	}
}

func TestAnEmptyDocumentIsPassedOver(t *testing.T) {
	for _, text := range []string{"~\n", "null\n---\nnull\n", "--- # nothing\n", `{"apiVersion": "v1", "kind": "List", "items": [null]}`} {
		answer := loaded(t, newEngine(), text)
		equal(t, text, []int{len(answer.Documents), len(answer.Problems)}, []int{0, 0})
	}
}

func TestADocumentThatCannotBeReadLeavesTheOthers(t *testing.T) {
	pod := "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\n"
	answer := loaded(t, newEngine(), pod+"---\na: [\n---\n"+pod+"---\na: &a [*a]\n---\n"+strings.Repeat("[", 12000)+"\n---\n"+pod)
	equal(t, "documents", len(answer.Documents), 3)
	equal(t, "problems", len(answer.Problems), 3)
	list := `{"apiVersion": "v1", "items": [{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}},
{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "b", "name": "c"}}, {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "d"}}], "kind": "List"}`
	answer = loaded(t, newEngine(), list)
	equal(t, "documents", len(answer.Documents), 2)
	equal(t, "problems", len(answer.Problems), 1)
	contains(t, "problem", problemsOf(answer)[0], "0:2: invalid JSON: duplicate")
}

func TestAPodNestedTooDeepIsAProblem(t *testing.T) {
	for name, text := range map[string]string{
		"JSON":         `{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}, "spec": ` + strings.Repeat(`{"a":`, 12000) + "1" + strings.Repeat("}", 13000),
		"flow YAML":    "apiVersion: v1\nkind: Pod\nspec: " + strings.Repeat("{a: ", 12000) + "1" + strings.Repeat("}", 12000),
		"a YAML list":  "apiVersion: v1\nkind: Pod\nspec:\n" + strings.Repeat("- ", 12000) + "a\n",
		"nested lists": strings.Repeat(`{"apiVersion": "v1", "kind": "List", "items": [`, 20) + strings.Repeat("]}", 20),
	} {
		t.Run(name, func(t *testing.T) {
			answer := loaded(t, newEngine(), text)
			equal(t, "documents", len(answer.Documents), 0)
			equal(t, "problems", len(answer.Problems), 1)
		})
	}
}

func TestListsAreTheirItems(t *testing.T) {
	const a, b = `{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}}`, `{"apiVersion": "v1", "kind": "Service", "metadata": {"name": "b"}}`
	for name, one := range map[string]struct {
		text string
		want []string
	}{
		"a list":           {"{\"apiVersion\": \"v1\", \"kind\": \"List\", \"items\": [\n" + a + ",\n\n" + b + "]}", []string{"2 Pod a ", "4 Service b "}},
		"a typed list":     {"{\"kind\": \"PodList\", \"apiVersion\": \"v1\", \"items\": [{\"metadata\": {\"name\": \"a\"}},\n{\"metadata\": {\"name\": \"b\"}}]}", []string{"1 Pod a ", "2 Pod b "}},
		"items first":      {"{\"items\": [{\"metadata\": {\"name\": \"a\"}}], \"kind\": \"PodList\", \"apiVersion\": \"v1\"}", []string{"1 Pod a "}},
		"lists in a list":  {"{\"apiVersion\": \"v1\", \"kind\": \"List\", \"items\": [" + a + ",\n{\"apiVersion\": \"v1\", \"kind\": \"List\", \"items\": [\n" + b + "]}]}", []string{"1 Pod a ", "3 Service b "}},
		"a YAML list":      {"apiVersion: v1\nkind: List\nitems:\n- " + a + "\n- apiVersion: v1\n  kind: List\n  items: [" + b + "]\n", []string{"1 Pod a items[0].", "1 Service b items[1].items[0]."}},
		"an empty list":    {`{"apiVersion": "v1", "kind": "PodList", "items": []}`, []string{}},
		"a word like List": {`{"apiVersion": "example.com/v1", "kind": "AllowList", "metadata": {"name": "a"}}`, []string{"1 AllowList a "}},
	} {
		t.Run(name, func(t *testing.T) {
			answer := loaded(t, newEngine(), one.text)
			equal(t, "problems", problemsOf(answer), []string{})
			got := []string{}
			for _, document := range answer.Documents {
				got = append(got, fmt.Sprintf("%d %s %s %s", document.Line, document.Kind, document.Name, document.Item))
				text := one.text[document.Offset : document.Offset+document.Length]
				if document.Item == "" && !strings.Contains(text, `"`+document.Name+`"`) {
					t.Errorf("%s is not in %s", document.Name, text)
				}
			}
			equal(t, "documents", got, one.want)
		})
	}
}

func TestAPageOfAServerIsReadWithItsPlaceInTheList(t *testing.T) {
	page := `{"kind": "PodList", "apiVersion": "v1", "metadata": {"resourceVersion": "7", "continue": "next", "remainingItemCount": 3},
		"items": [{"metadata": {"name": "a", "name": "b"}, "spec": {"containers": [{"name": "c", "image": "i", "ports": [{"containerPort": 80}]}]}}]}`
	e := newEngine()
	install(t, e, "p", "v1", `package p
violation contains {"msg": json.marshal(input.review.object.spec.containers[0])} if true`)
	answer := loadedAs(t, e, loadRequest{Batch: "b", Format: "list"}, page)
	equal(t, "page", []string{answer.Continue, answer.ResourceVersion}, []string{"next", "7"})
	found, faults := messages(judged(t, e, "p", ""))
	equal(t, "no defaults on live objects", found, []string{`0: {"image":"i","name":"c","ports":[{"containerPort":80}]}`})
	equal(t, "faults", faults, nil)
	for _, text := range []string{"", "junk", "[]", "{}", `{"kind": "Status"}`, `{"kind": "PodList"}`, `{"items": []}`, page[:50]} {
		if _, err := e.load(loadRequest{Batch: "c", Format: "list"}, []byte(text)); err == nil {
			t.Errorf("%q is accepted", text)
		}
	}
}

func TestLoadRefusesWhatTheParentGotWrong(t *testing.T) {
	e := newEngine()
	loaded(t, e, "")
	for part, request := range map[string]loadRequest{
		"loaded already":     {Batch: "b", Format: "files"},
		"unknown format":     {Batch: "c", Format: "tar"},
		"reaches past":       {Batch: "c", Format: "files", Parts: []Part{{Length: 1}}},
		"part 0 reaches":     {Batch: "c", Format: "files", Parts: []Part{{Length: -1}}},
		"no Kubernetes list": {Batch: "c", Format: "list"},
	} {
		_, err := e.load(request, nil)
		if err == nil {
			t.Fatalf("%+v is accepted", request)
		}
		contains(t, "error", err.Error(), part)
	}
}

func TestPartsKeepTheirNumbersAndLines(t *testing.T) {
	first, second := "a: b\n", "\napiVersion: v1\nkind: Pod\nmetadata: {name: a}\n---\nc: d\n"
	request := loadRequest{Batch: "b", Format: "files", Parts: []Part{{Length: len(first)}, {Length: len(second), Line: 11}}}
	answer := loadedAs(t, newEngine(), request, first+second)
	equal(t, "problems", problemsOf(answer), []string{"0:1: not a Kubernetes object: it has no kind", "1:16: not a Kubernetes object: it has no kind"})
	equal(t, "place", []int{answer.Documents[0].Part, answer.Documents[0].Line, answer.Documents[0].Offset}, []int{1, 11, 0})
}

func TestWorkloadsAreExpandedIntoThePodsTheyMake(t *testing.T) {
	template := `{"metadata": {"name": "ignored", "namespace": "ignored", "labels": {"app": "web"}, "annotations": {"a": "b"}}, "spec": {"containers": [{"name": "c", "image": "nginx"}]}}`
	kinds := map[string][]string{
		"spec.template":                  {"apps/v1 Deployment", "apps/v1 StatefulSet", "apps/v1 DaemonSet", "apps/v1 ReplicaSet", "v1 ReplicationController", "batch/v1 Job", "extensions/v1beta1 Deployment"},
		"spec.jobTemplate.spec.template": {"batch/v1 CronJob", "batch/v1beta1 CronJob"},
		"template":                       {"v1 PodTemplate"},
	}
	e := newEngine()
	install(t, e, "p", "v1", `package p
violation contains {"msg": c.image, "details": input.review.object} if some c in input.review.object.spec.containers`)
	for path, names := range kinds {
		keys := strings.Split(path, ".")
		body := template
		for i := len(keys) - 1; i >= 0; i-- {
			body = fmt.Sprintf("{%q: %s}", keys[i], body)
		}
		for _, name := range names {
			t.Run(name, func(t *testing.T) {
				apiVersion, kind, _ := strings.Cut(name, " ")
				text := fmt.Sprintf(`{"apiVersion": %q, "kind": %q, "metadata": {"name": "web", "namespace": "shop"}, %s`, apiVersion, kind, body[1:])
				answer := loaded(t, e, text)
				equal(t, "documents", len(answer.Documents), 2)
				pod := answer.Documents[1]
				equal(t, "parent", pod.Parent, new(int))
				equal(t, "template", pod.Template, path)
				equal(t, "record", []string{pod.APIVersion, pod.Kind, pod.Namespace, pod.Name, pod.GenerateName, pod.Labels["app"], pod.Containers[0].Image},
					[]string{"v1", "Pod", "shop", "", "web-", "web", "nginx"})
				verdict := judged(t, e, "p", "")
				equal(t, "hits", verdict.Hits, []hit{{Task: 0, Document: 1, Findings: []int{0}}})
				if path == "spec.template" && kind == "Job" {
					contains(t, "Pod", verdict.Findings[0].Details, `"annotations":{"a":"b"},"generateName":"web-","labels":{"app":"web"},"namespace":"shop"`)
				}
				if _, err := e.release(batchRequest{Batch: "b"}); err != nil {
					t.Fatal(err)
				}
			})
		}
	}
}

func TestNoOtherKindIsExpanded(t *testing.T) {
	for _, name := range []string{"example.com/v1 Deployment", "v1 Pod", "serving.knative.dev/v1 Service", "apps/v1 Job"} {
		apiVersion, kind, _ := strings.Cut(name, " ")
		answer := loaded(t, newEngine(), fmt.Sprintf("apiVersion: %s\nkind: %s\nmetadata: {name: a}\nspec: {template: {spec: {}}}\n", apiVersion, kind))
		equal(t, name, len(answer.Documents), 1)
	}
	answer := loadedAs(t, newEngine(), loadRequest{Batch: "b", Format: "list"},
		`{"kind": "DeploymentList", "apiVersion": "apps/v1", "items": [{"metadata": {"name": "a"}, "spec": {"template": {"spec": {}}}}]}`)
	equal(t, "live", len(answer.Documents), 1)
}

func TestATemplateOfAWrongTypeIsAProblemOfItsPod(t *testing.T) {
	for text, want := range map[string]string{
		"{}": "spec.template is null, not a Pod template", "{template: x}": "spec.template is a string, not a Pod template",
		"{template: {metadata: x, spec: {}}}": "spec.template.metadata is a string, not an object", "{template: {}}": "spec is null, not an object",
		"{template: {spec: []}}": "spec is a list, not an object", "[]": "spec.template is null, not a Pod template",
	} {
		answer := loaded(t, newEngine(), "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: a}\nspec: "+text+"\n")
		equal(t, text, answer.Documents[1].Problems, []string{want})
	}
}

func TestANamespaceIsSuppliedWhereTheKindHasOne(t *testing.T) {
	for text, want := range map[string]string{
		"apiVersion: v1\nkind: Pod\nmetadata: {name: a}":                                   "current",
		"apiVersion: v1\nkind: Pod\nmetadata: {name: a, namespace: \"\"}":                  "current",
		"apiVersion: v1\nkind: Pod\nmetadata: {name: a, namespace: own}":                   "own",
		"apiVersion: v1\nkind: Namespace\nmetadata: {name: a}":                             "",
		"apiVersion: example.com/v1\nkind: Thing\nmetadata: {name: a}":                     "",
		"apiVersion: networking.k8s.io/v1\nkind: Ingress\nmetadata: {name: a}":             "current",
		"apiVersion: rbac.authorization.k8s.io/v1\nkind: ClusterRole\nmetadata: {name: a}": "",
	} {
		answer := loadedAs(t, newEngine(), loadRequest{Batch: "b", Format: "files", Namespace: "current", Parts: []Part{{Length: len(text)}}}, text)
		equal(t, text, answer.Documents[0].Namespace, want)
	}
}

func TestDefaultsAreThoseOfTheServer(t *testing.T) {
	for name, one := range map[string]struct{ apiVersion, kind, spec, want string }{
		"a Service":                 {"v1", "Service", "{}", "type: ClusterIP"},
		"ports of a Service":        {"v1", "Service", "{type: NodePort, ports: [{port: 80}, {port: 81, targetPort: x, protocol: UDP}, x]}", "{type: NodePort, ports: [{port: 80, protocol: TCP, targetPort: 80}, {port: 81, targetPort: x, protocol: UDP}, x]}"},
		"another group's Service":   {"serving.knative.dev/v1", "Service", "{}", "{}"},
		"a Pod":                     {"v1", "Pod", "{}", "{restartPolicy: Always, dnsPolicy: ClusterFirst}"},
		"pull policies":             {"v1", "Pod", "{restartPolicy: Never, dnsPolicy: x, containers: [{image: a}, {image: 'a:latest'}, {image: 'a:1'}, {image: 'r:5/a'}, {image: 'a@sha256:x'}, {image: 'a:latest@sha256:x'}, {}]}", "{restartPolicy: Never, dnsPolicy: x, containers: [{image: a, imagePullPolicy: Always}, {image: 'a:latest', imagePullPolicy: Always}, {image: 'a:1', imagePullPolicy: IfNotPresent}, {image: 'r:5/a', imagePullPolicy: Always}, {image: 'a@sha256:x', imagePullPolicy: IfNotPresent}, {image: 'a:latest@sha256:x', imagePullPolicy: IfNotPresent}, {}]}"},
		"ports on the host network": {"v1", "Pod", "{restartPolicy: Never, dnsPolicy: x, hostNetwork: true, initContainers: [{ports: [{containerPort: 80}, {containerPort: 81, hostPort: 82, protocol: UDP}]}]}", "{restartPolicy: Never, dnsPolicy: x, hostNetwork: true, initContainers: [{ports: [{containerPort: 80, hostPort: 80, protocol: TCP}, {containerPort: 81, hostPort: 82, protocol: UDP}]}]}"},
		"requests follow limits":    {"v1", "Pod", "{restartPolicy: Never, dnsPolicy: x, resources: {limits: {cpu: 1}}, containers: [{resources: {limits: {cpu: 1, memory: 2}, requests: {cpu: 3}}}, {resources: {limits: {cpu: 1}, requests: x}}, {resources: {limits: {}}}]}", "{restartPolicy: Never, dnsPolicy: x, resources: {limits: {cpu: 1}, requests: {cpu: 1}}, containers: [{resources: {limits: {cpu: 1, memory: 2}, requests: {cpu: 3, memory: 2}}}, {resources: {limits: {cpu: 1}, requests: x}}, {resources: {limits: {}}}]}"},
		"nothing for a wrong type":  {"v1", "Pod", "[]", "[]"},
	} {
		t.Run(name, func(t *testing.T) {
			object := map[string]any{"spec": fromYAML(t, one.spec)}
			applyDefaults(one.apiVersion, one.kind, object)
			equal(t, "spec", object["spec"], fromYAML(t, one.want))
		})
	}
}

func fromYAML(t *testing.T, text string) any {
	t.Helper()
	converted, err := yaml.YAMLToJSON([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return native(t, string(converted))
}

// A policy may read a field and not the one that its default comes from.
func TestDefaultsDoNotDependOnWhatPoliciesRead(t *testing.T) {
	spec := `{"hostNetwork": true, "resources": {"limits": {"cpu": "1"}}, "containers": [{"name": "a", "image": "b", "resources": {"limits": {"cpu": "1"}}, "ports": [{"containerPort": 80}]}], "ports": [{"port": 80}]}`
	for _, one := range []struct{ kind, read string }{
		{"Pod", "spec.containers[0].ports[0].hostPort"}, {"Pod", "spec.containers[0].resources.requests.cpu"}, {"Pod", "spec.resources.requests.cpu"},
		{"Pod", "spec.containers[0].imagePullPolicy"}, {"Pod", "spec.containers[0].ports[0].protocol"}, {"Service", "spec.ports[0].targetPort"},
	} {
		e := newEngine()
		install(t, e, "p", "v1", fmt.Sprintf(`package p
violation contains {"msg": "defaulted"} if input.review.object.%s`, one.read))
		loaded(t, e, fmt.Sprintf(`{"apiVersion": "v1", "kind": %q, "metadata": {"name": "a"}, "spec": %s}`, one.kind, spec))
		found, _ := messages(judged(t, e, "p", ""))
		equal(t, one.read, found, []string{"0: defaulted"})
	}
}

func TestWhatIsParsedDoesNotChangeWithTheFrame(t *testing.T) {
	e := newEngine()
	install(t, e, "p", "v1", `package p
violation contains {"msg": json.marshal(input.review.object.metadata)} if true`)
	for _, text := range []string{"apiVersion: v1\nkind: Thing\nmetadata: {name: first, labels: {a: b}}\n", `{"apiVersion": "v1", "kind": "Thing", "metadata": {"name": "first", "labels": {"a": "b"}}}`} {
		body := []byte(text)
		if _, err := e.load(loadRequest{Batch: "b", Format: "files", Parts: []Part{{Length: len(body)}}}, body); err != nil {
			t.Fatal(err)
		}
		for i := range body {
			body[i] = 'x'
		}
		found, _ := messages(judged(t, e, "p", ""))
		equal(t, "finding", found, []string{`0: {"labels":{"a":"b"},"name":"first"}`})
		if _, err := e.release(batchRequest{Batch: "b"}); err != nil {
			t.Fatal(err)
		}
	}
}

func TestRecordsHaveTheNamesThatTheParentReads(t *testing.T) {
	text, err := json.Marshal(Document{Parent: new(int), Containers: []Container{{}}, Owner: &Owner{}, Problems: []string{""}, Labels: map[string]string{"": ""}, GenerateName: "x", UID: "x", Item: "x", JSON: true, Template: "x"})
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "record", string(text), `{"apiVersion":"","kind":"","namespace":"","name":"","generateName":"x","uid":"x","labels":{"":""},"owner":{"apiVersion":"","kind":"","name":""},"containers":[{"name":"","type":"","image":""}],"part":0,"offset":0,"length":0,"line":0,"item":"x","json":true,"parent":0,"template":"x","problems":[""]}`)
}
