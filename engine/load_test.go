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

// wrongs are the messages of a document's problems, which begin with their paths.
func wrongs(d *Document) []string {
	var out []string
	for _, one := range d.Problems {
		if !strings.HasPrefix(one.Message, one.Path+" is ") {
			out = append(out, one.Path)
		}
		out = append(out, one.Message)
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
		"a label":                 {`{"metadata": {"name": "a", "labels": {"a": true}}}`, "metadata.labels.a is a boolean, not a string"},
		"owners":                  {`{"metadata": {"name": "a", "ownerReferences": {}}}`, "metadata.ownerReferences is an object, not a list"},
		"an owner":                {`{"metadata": {"name": "a", "ownerReferences": [null]}}`, "metadata.ownerReferences[0] is null, not an object"},
		"spec":                    {`{"metadata": {"name": "a"}, "spec": []}`, "spec is a list, not an object"},
		"containers":              {`{"metadata": {"name": "a"}, "spec": {"containers": {}}}`, "spec.containers is an object, not a list"},
		"a container":             {`{"metadata": {"name": "a"}, "spec": {"containers": ["x"]}}`, "spec.containers[0] is a string, not an object"},
		"a label with a slash":    {`{"metadata": {"name": "a", "labels": {"a.b/c": 1}}}`, "metadata.labels['a.b/c'] is a number, not a string"},
		"annotations":             {`{"metadata": {"name": "a", "annotations": ["x"]}}`, "metadata.annotations is a list, not an object"},
		"volumes":                 {`{"metadata": {"name": "a"}, "spec": {"volumes": {"name": "v"}}}`, "spec.volumes is an object, not a list"},
		"a volume":                {`{"metadata": {"name": "a"}, "spec": {"volumes": ["v"]}}`, "spec.volumes[0] is a string, not an object"},
		"an affinity":             {`{"metadata": {"name": "a"}, "spec": {"affinity": []}}`, "spec.affinity is a list, not an object"},
		"ports":                   {`{"metadata": {"name": "a"}, "spec": {"containers": [{"name": "c", "ports": {"containerPort": 80}}]}}`, "spec.containers[0].ports is an object, not a list"},
		"variables":               {`{"metadata": {"name": "a"}, "spec": {"initContainers": [{}, {"name": "c", "env": {"A": "b"}}]}}`, "spec.initContainers[1].env is an object, not a list"},
		"the value of a variable": {`{"metadata": {"name": "a"}, "spec": {"containers": [{"name": "c", "env": [{"name": "A", "value": 1}]}]}}`, "spec.containers[0].env[0].value is a number, not a string"},
		"an argument":             {`{"metadata": {"name": "a"}, "spec": {"containers": [{"name": "c", "args": ["a", 1]}]}}`, "spec.containers[0].args[1] is a number, not a string"},
		"a security context":      {`{"metadata": {"name": "a"}, "spec": {"containers": [{"name": "c", "securityContext": true}]}}`, "spec.containers[0].securityContext is a boolean, not an object"},
		"the name of a container": {`{"metadata": {"name": "a"}, "spec": {"initContainers": [{"name": 1, "image": "i"}]}}`, "spec.initContainers[0].name is a number, not a string"},
		"a name absent":           {`{"metadata": {}}`, "metadata.name is missing"},
		"no metadata":             {`{}`, "metadata.name is missing"},
	} {
		t.Run(name, func(t *testing.T) {
			answer := loaded(t, newEngine(), `{"apiVersion": "v1", "kind": "Pod", `+one.text[1:])
			equal(t, "problems", wrongs(answer.Documents[0]), []string{one.want})
		})
	}
}

// The first three are what a patch of a kustomization often holds.
func TestAPodLacksContainersWhereTheAPIServerRequiresThem(t *testing.T) {
	const required = "%s is missing: a Pod has one container at least"
	for spec, wants := range map[string][]string{
		"null":                                                     {"spec.containers", required},
		"{hostNetwork: true}":                                      {"spec.containers", required},
		"{containers: [{name: c}]}":                                {"spec.containers[0].image", "%s is missing"},
		"{containers: []}":                                         {"spec.containers", required},
		"{containers: null}":                                       {"spec.containers", required},
		"{initContainers: [{name: c, image: i}]}":                  {"spec.containers", required},
		"{containers: [{name: c, image: ''}]}":                     {"spec.containers[0].image", "%s is empty"},
		"{containers: [{name: c, image: 42}]}":                     {"spec.containers[0].image", "%s is a number, not a string"},
		"{containers: [{image: i}]}":                               {"spec.containers[0].name", "%s is missing"},
		"{containers: [{name: c, image: i}, {name: c, image: j}]}": {"spec.containers[1].name", "%s is the name of another container, too"},
		"{containers: [{name: c, image: i}], initContainers: [{name: c, image: j}]}": {"spec.initContainers[0].name", "%s is the name of another container, too"},
	} {
		for form, path := range map[string]string{
			"apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec: %s\n":                                                      "",
			"apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: a}\nspec: {template: {spec: %s}}\n":                      "spec.template.",
			"apiVersion: batch/v1\nkind: CronJob\nmetadata: {name: a}\nspec: {jobTemplate: {spec: {template: {spec: %s}}}}\n": "spec.jobTemplate.spec.template.",
		} {
			field, message := wants[0], wants[1]
			if spec == "null" && path != "" {
				field, message = "spec", "%s is null, not an object"
			}
			text := fmt.Sprintf(form, spec)
			documents := loaded(t, newEngine(), text).Documents
			equal(t, text, wrongs(documents[len(documents)-1]), []string{fmt.Sprintf(message, path+field)})
		}
	}
	// What fills in a custom workload is not known.
	for _, text := range []string{
		"apiVersion: serving.knative.dev/v1\nkind: Service\nmetadata: {name: a}\nspec: {template: {spec: {containers: [{image: i}]}}}\n",
		"apiVersion: argoproj.io/v1alpha1\nkind: Rollout\nmetadata: {name: a}\nspec: {template: {spec: {containers: [{name: c}]}}}\n",
	} {
		documents := loaded(t, newEngine(), text).Documents
		equal(t, text, wrongs(documents[len(documents)-1]), nil)
	}
}

func TestAnErrorOfATemplateIsToldOfItsPodAloneAtItsPath(t *testing.T) {
	for text, want := range map[string]string{
		"{metadata: {labels: {ver: 1.1}}, spec: {}}":           "spec.template.metadata.labels.ver is a number, not a string",
		"{spec: {containers: {name: a}}}":                      "spec.template.spec.containers is an object, not a list",
		"{spec: {containers: [{name: a, env: [{value: 1}]}]}}": "spec.template.spec.containers[0].env[0].value is a number, not a string",
	} {
		answer := loaded(t, newEngine(), "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: a}\nspec: {template: "+text+"}\n")
		equal(t, text, wrongs(answer.Documents[0]), nil)
		equal(t, text, wrongs(answer.Documents[1]), []string{want})
	}
}

func TestNoRuleIsRunOnADocumentOfAnotherShape(t *testing.T) {
	e := newEngine()
	install(t, e, "p", "v1", everyPart)
	loaded(t, e, "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\nspec: {containers: {name: c}}\n---\napiVersion: v1\nkind: Pod\nmetadata: {name: b, labels: {a: 1}}\n")
	found, faults := messages(judgedAsLoaded(t, e, "p", ""))
	equal(t, "faults", faults, nil)
	equal(t, "findings", len(found), 1)
	contains(t, "finding", found[0], "1: ")
}

func TestNullInAMapOfTextsIsStoredAsTheEmptyText(t *testing.T) {
	e := newEngine()
	install(t, e, "p", "v1", `package p
violation contains {"msg": sprintf("%v %v", [m.labels.a, m.annotations.b])} if m := input.review.object.metadata`)
	answer := loaded(t, e, "apiVersion: v1\nkind: Pod\nmetadata: {name: a, labels: {a: null}, annotations: {b: null}}\nspec: {containers: [{name: c, image: i}]}\n---\n"+
		"apiVersion: batch/v1\nkind: Job\nmetadata: {name: a}\nspec: {template: {metadata: {labels: {a: ~}, annotations: {b: }}, spec: {containers: [{name: c, image: i}]}}}\n")
	equal(t, "problems", len(answer.Documents[0].Problems)+len(answer.Documents[2].Problems), 0)
	equal(t, "label", answer.Documents[0].Labels, map[string]string{"a": ""})
	found, _ := messages(judged(t, e, "p", ""))
	equal(t, "findings", found, []string{"0:  ", "2:  "})
}

func TestNullIsAbsent(t *testing.T) {
	answer := loaded(t, newEngine(), `{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a", "labels": null, "ownerReferences": null}, "spec": {"initContainers": null, "containers": [{"name": "c", "image": "i"}]}}`)
	equal(t, "problems", answer.Documents[0].Problems, nil)
}

func TestAGeneratedNameIsANameToCome(t *testing.T) {
	answer := loaded(t, newEngine(), "apiVersion: v1\nkind: Pod\nmetadata: {generateName: web-}\nspec: {containers: [{name: c, image: i}]}\n")
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
		"an item that is null": {`{"apiVersion": "v1", "kind": "List", "items": [
null]}`, "0:2: not a Kubernetes object: it is no mapping"},
		"items of no list":        {"apiVersion: v1\nkind: List\nitems: {a: b}\n", "0:1: items is no list"},
		"a List without items":    {"apiVersion: v1\nkind: List\nlist: []\n", "0:1: a List without items"},
		"a PodList of nothing":    {"apiVersion: v1\nkind: PodList\n", "0:1: a PodList without items"},
		"duplicate items":         {`{"apiVersion": "v1", "kind": "List", "items": [], "\u0069tems": []}`, "0:1: invalid JSON: duplicate object member name"},
		"an item of YAML":         {"apiVersion: v1\nkind: List\nitems:\n- metadata:\n    name: b\n", "0:4: not a Kubernetes object: it has no kind"},
		"a Helm template":         {"{{- if .Values.on }}\nkind: Pod\n{{- end }}\n", "0:1: a Helm template"},
		"a Helm value":            {"kind: Pod\nimage: \"{{ .a }}\"\nb: {{ .Values.b }}\n", "0:3: a Helm template"},
		"a key that is a list":    {"a: b\nc:\n  ? [d]\n  : e\n", "0:3: invalid YAML: a list stands where a key is due"},
		"a key that is a mapping": {"a: b\nc: {{d: e}: f}\n", "0:2: invalid YAML: a mapping stands where a key is due"},
		"a key that is null":      {"a: b\n~: e\n", "0:2: invalid YAML: null stands where a key is due"},
		"keys that become alike":  {"1: b\n\"1\": e\n", "0:2: invalid YAML: key \"1\" already set in map"},
		"a number JSON lacks":     {"a: .inf\n", "0:1: invalid YAML: +Inf is no number of JSON"},
		"duplicate keys":          {"\n{\n\"apiVersion\": \"v1\", \"kind\": \"Pod\",\n\"kind\": \"Pod\"}", "0:4: invalid JSON: "},
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
	for _, text := range []string{"~\n", "null\n---\nnull\n", "--- # nothing\n", `{"apiVersion": "v1", "kind": "List", "items": null}`} {
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
		"a list":               {"{\"apiVersion\": \"v1\", \"kind\": \"List\", \"items\": [\n" + a + ",\n\n" + b + "]}", []string{"2 Pod a ", "4 Service b "}},
		"a typed list":         {"{\"kind\": \"PodList\", \"apiVersion\": \"v1\", \"items\": [{\"metadata\": {\"name\": \"a\"}},\n{\"metadata\": {\"name\": \"b\"}}]}", []string{"1 Pod a ", "2 Pod b "}},
		"items first":          {"{\"items\": [{\"metadata\": {\"name\": \"a\"}}], \"kind\": \"PodList\", \"apiVersion\": \"v1\"}", []string{"1 Pod a "}},
		"lists in a list":      {"{\"apiVersion\": \"v1\", \"kind\": \"List\", \"items\": [" + a + ",\n{\"apiVersion\": \"v1\", \"kind\": \"List\", \"items\": [\n" + b + "]}]}", []string{"1 Pod a ", "3 Service b "}},
		"a YAML list":          {"apiVersion: v1\nkind: List\nitems:\n- " + a + "\n- apiVersion: v1\n  kind: List\n  items: [" + b + "]\n", []string{"1 Pod a items[0].", "1 Service b items[1].items[0]."}},
		"an escaped key":       {"{\"apiVersion\": \"v1\", \"\\u006bind\": \"List\", \"\\u0069tems\": [\n" + a + "]}", []string{"2 Pod a "}},
		"an object with items": {"{\"apiVersion\": \"v1\", \"kind\": \"ConfigMap\", \"metadata\": {\"name\": \"m\"}, \"items\": [\n" + a + "]}", []string{"1 ConfigMap m ", "2 Pod a "}},
		"YAML with items":      {"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: m}\nitems:\n- " + a + "\n", []string{"1 ConfigMap m ", "1 Pod a items[0]."}},
		"items within an item": {"{\"apiVersion\": \"v1\", \"kind\": \"List\", \"items\": [{\"apiVersion\": \"v1\", \"kind\": \"Secret\", \"metadata\": {\"name\": \"s\"}, \"items\": [" + a + "]}]}", []string{"1 Secret s ", "1 Pod a "}},
		"an empty list":        {`{"apiVersion": "v1", "kind": "PodList", "items": []}`, []string{}},
		"a word like List":     {`{"apiVersion": "example.com/v1", "kind": "AllowList", "metadata": {"name": "a"}}`, []string{"1 AllowList a "}},
	} {
		t.Run(name, func(t *testing.T) {
			answer := loaded(t, newEngine(), one.text)
			equal(t, "problems", problemsOf(answer), []string{})
			got := []string{}
			for _, document := range answer.Documents {
				got = append(got, fmt.Sprintf("%d %s %s %s", document.Line, document.Kind, document.Name, document.Item))
				text := one.text[document.Offset : document.Offset+document.Length]
				if document.Item == "" && !strings.Contains(text, document.Name) {
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
	for _, text := range []string{"", "junk", "[]", `[1]`, `["a", 2]`, "null", "1", "{}", `{"kind": "Status"}`, `{"kind": "PodList"}`, `{"items": []}`, page[:50]} {
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
	e := newEngine()
	install(t, e, "p", "v1", `package p
violation contains {"msg": c.image, "details": input.review.object.metadata} if some c in input.review.object.spec.containers`)
	for workload, want := range map[string][]string{
		"apps/v1 Deployment":            {"spec.template", "web-xxxxxxxxxx-xxxxx", "web-xxxxxxxxxx-", "pod-template-hash"},
		"extensions/v1beta1 Deployment": {"spec.template", "web-xxxxxxxxxx-xxxxx", "web-xxxxxxxxxx-", "pod-template-hash"},
		"apps/v1 StatefulSet":           {"spec.template", "web-0", "web-", "statefulset.kubernetes.io/pod-name"},
		"apps/v1 DaemonSet":             {"spec.template", "web-xxxxx", "web-", "pod-template-generation"},
		"apps/v1 ReplicaSet":            {"spec.template", "web-xxxxx", "web-", "app"},
		"v1 ReplicationController":      {"spec.template", "web-xxxxx", "web-", "app"},
		"batch/v1 Job":                  {"spec.template", "web-xxxxx", "web-", "batch.kubernetes.io/job-name"},
		"batch/v1 CronJob":              {"spec.jobTemplate.spec.template", "web-00000000-xxxxx", "web-00000000-", "job-name"},
		"batch/v1beta1 CronJob":         {"spec.jobTemplate.spec.template", "web-00000000-xxxxx", "web-00000000-", "job-name"},
		"v1 PodTemplate":                {"template", "web-xxxxx", "web-", "app"},
	} {
		t.Run(workload, func(t *testing.T) {
			path, name, base, label := want[0], want[1], want[2], want[3]
			keys := strings.Split(path, ".")
			body := template
			for i := len(keys) - 1; i >= 0; i-- {
				body = fmt.Sprintf("{%q: %s}", keys[i], body)
			}
			apiVersion, kind, _ := strings.Cut(workload, " ")
			text := fmt.Sprintf(`{"apiVersion": %q, "kind": %q, "metadata": {"name": "web", "namespace": "shop", "uid": "u"}, %s`, apiVersion, kind, body[1:])
			answer := loaded(t, e, text)
			equal(t, "documents", len(answer.Documents), 2)
			pod := answer.Documents[1]
			equal(t, "parent", pod.Parent, new(int))
			equal(t, "template", pod.Template, path)
			equal(t, "record", []string{pod.APIVersion, pod.Kind, pod.Namespace, pod.Name, pod.GenerateName, pod.Labels["app"], pod.Containers[0].Image, pod.UID},
				[]string{"v1", "Pod", "shop", name, base, "web", "nginx", ""})
			equal(t, "owner of the record", pod.Owner, nil)
			verdict := judged(t, e, "p", "")
			equal(t, "hits", verdict.Hits, []hit{{Task: 0, Document: 1, Findings: []int{0}}})
			metadata := native(t, verdict.Findings[0].Details).(map[string]any)
			equal(t, "the Pod's name", metadata["name"], any(name))
			equal(t, "annotations", metadata["annotations"], any(map[string]any{"a": "b"}))
			equal(t, "owner", metadata["ownerReferences"], any([]any{map[string]any{
				"apiVersion": apiVersion, "kind": kind, "name": "web", "uid": "u", "controller": true, "blockOwnerDeletion": true,
			}}))
			if objectIn(metadata, "labels")[label] == nil || metadata["uid"] == nil {
				t.Errorf("no label %s, or no uid: %v", label, metadata)
			}
			if _, err := e.release(batchRequest{Batch: "b"}); err != nil {
				t.Fatal(err)
			}
		})
	}
}

func TestNoOtherKindIsExpanded(t *testing.T) {
	for _, name := range []string{"v1 Pod", "v1 ConfigMap", "kyverno.io/v1 ClusterPolicy", "networking.k8s.io/v1 Ingress"} {
		apiVersion, kind, _ := strings.Cut(name, " ")
		answer := loaded(t, newEngine(), fmt.Sprintf("apiVersion: %s\nkind: %s\nmetadata: {name: a}\nspec: {template: {spec: {containers: [{name: a}]}}}\n", apiVersion, kind))
		equal(t, name, len(answer.Documents), 1)
	}
	answer := loadedAs(t, newEngine(), loadRequest{Batch: "b", Format: "list"},
		`{"kind": "DeploymentList", "apiVersion": "apps/v1", "items": [{"metadata": {"name": "a"}, "spec": {"template": {"spec": {}}}}]}`)
	equal(t, "live", len(answer.Documents), 1)
}

// Custom workloads: objects of kinds that nobody knows are searched for Pod templates.

func TestAPodTemplateIsFoundByItsStructure(t *testing.T) {
	for name, one := range map[string]struct {
		text string
		want []string
	}{
		"a Rollout":        {`{"apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout", "metadata": {"name": "a"}, "spec": {"template": {"spec": {"containers": [{"name": "c"}]}}}}`, []string{"spec.template"}},
		"a nameless one":   {`{"apiVersion": "serving.knative.dev/v1", "kind": "Service", "metadata": {"name": "a"}, "spec": {"template": {"spec": {"containers": [{"image": "c"}]}}}}`, []string{"spec.template"}},
		"another's name":   {`{"apiVersion": "apps.example.com/v1", "kind": "Deployment", "metadata": {"name": "a"}, "spec": {"template": {"spec": {"containers": [{"image": "c"}]}}}}`, []string{"spec.template"}},
		"several in lists": {`{"apiVersion": "x/v1", "kind": "Fleet", "metadata": {"name": "a"}, "spec": {"pools": [{"template": {"spec": {"containers": [{"name": "c"}]}}}, {}, {"pod": {"metadata": {}, "spec": {"containers": [{"image": "c"}]}}}]}}`, []string{"spec.pools[0].template", "spec.pools[2].pod"}},
		"below odd keys":   {`{"apiVersion": "x/v1", "kind": "Fleet", "metadata": {"name": "a"}, "spec": {"a.b/c": {"spec": {"containers": [{"name": "c"}]}}}}`, []string{"spec['a.b/c']"}},
		"the object":       {`{"apiVersion": "x/v1", "kind": "Sidecars", "metadata": {"name": "a"}, "spec": {"containers": [{"name": "c"}]}}`, []string{""}},
		"escaped":          {`{"apiVersion": "x/v1", "kind": "Fleet", "metadata": {"name": "a"}, "spec": {"t": {"spec": {"cont\u0061iners": [{"name": "c"}]}}}}`, []string{"spec.t"}},
		"no containers":    {`{"apiVersion": "x/v1", "kind": "Ports", "metadata": {"name": "a"}, "spec": {"t": {"spec": {"containers": []}}, "u": {"spec": {"containers": ["a"]}}, "v": {"spec": {"containers": [{"port": 1}]}}, "containers": 2}}`, nil},
	} {
		for _, format := range []string{"files", "review"} {
			t.Run(name+" in "+format, func(t *testing.T) {
				e := newEngine()
				install(t, e, "p", "v1", `package p
violation contains {"msg": sprintf("%v of %v", [c, input.review.object.metadata.ownerReferences[0].kind])} if some c, _ in input.review.object.spec.containers`)
				text := one.text
				if format == "review" {
					text = fmt.Sprintf(reviewed, "x", "Fleet", "a", "current", text, "null")
				}
				answer := loadedAs(t, e, loadRequest{Batch: "b", Format: format, Namespace: "current", Parts: []Part{{Length: len(text)}}}, text)
				equal(t, "problems", problemsOf(answer), []string{})
				var got []string
				for _, pod := range answer.Documents[1:] {
					got = append(got, pod.Template)
					equal(t, "namespace", pod.Namespace, "current")
					equal(t, "parent", pod.Parent, new(int))
				}
				equal(t, "templates", got, one.want)
				if len(one.want) > 0 {
					equal(t, "namespace of the workload", answer.Documents[0].Namespace, "current")
				}
			})
		}
	}
	text := `{"apiVersion": "x/v1", "kind": "Fleet", "metadata": {"name": "a"}, "spec": {"t": {"spec": {"containers": [{"name": "c"}]}}}}`
	answer := loadedAs(t, newEngine(), loadRequest{Batch: "b", Format: "files", NoCustomWorkloads: true, Parts: []Part{{Length: len(text)}}}, text)
	equal(t, "turned off", len(answer.Documents), 1)
}

func TestATemplateOfAWrongTypeIsAProblemOfItsPod(t *testing.T) {
	for text, want := range map[string]string{
		"{}": "spec.template is null, not a Pod template", "{template: x}": "spec.template is a string, not a Pod template",
		"{template: {metadata: x, spec: {}}}": "spec.template.metadata is a string, not an object", "{template: {}}": "spec.template.spec is null, not an object",
		"{template: {spec: []}}": "spec.template.spec is a list, not an object", "[]": "spec is a list, not an object",
	} {
		answer := loaded(t, newEngine(), "apiVersion: apps/v1\nkind: Deployment\nmetadata: {name: a}\nspec: "+text+"\n")
		equal(t, text, wrongs(answer.Documents[1]), []string{want})
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
		"pull policies":             {"v1", "Pod", "{restartPolicy: Never, dnsPolicy: x, containers: [{image: a}, {image: 'a:latest'}, {image: 'a:1'}, {image: 'r:5/a'}, {image: 'a@sha256:x'}, {image: 'a:latest@sha256:x'}, {}]}", "{restartPolicy: Never, dnsPolicy: x, containers: [{image: a, imagePullPolicy: Always}, {image: 'a:latest', imagePullPolicy: Always}, {image: 'a:1', imagePullPolicy: IfNotPresent}, {image: 'r:5/a', imagePullPolicy: Always}, {image: 'a@sha256:x', imagePullPolicy: IfNotPresent}, {image: 'a:latest@sha256:x', imagePullPolicy: Always}, {}]}"},
		"ports on the host network": {"v1", "Pod", "{restartPolicy: Never, dnsPolicy: x, hostNetwork: true, initContainers: [{ports: [{containerPort: 80}, {containerPort: 81, hostPort: 82, protocol: UDP}]}]}", "{restartPolicy: Never, dnsPolicy: x, hostNetwork: true, initContainers: [{ports: [{containerPort: 80, hostPort: 80, protocol: TCP}, {containerPort: 81, hostPort: 82, protocol: UDP}]}]}"},
		"requests follow limits":    {"v1", "Pod", "{restartPolicy: Never, dnsPolicy: x, resources: {limits: {cpu: 1}}, containers: [{resources: {limits: {cpu: 1, memory: 2}, requests: {cpu: 3}}}, {resources: {limits: {cpu: 1}, requests: x}}, {resources: {limits: {}}}]}", "{restartPolicy: Never, dnsPolicy: x, resources: {limits: {cpu: 1}, requests: {cpu: '3'}}, containers: [{resources: {limits: {cpu: 1, memory: 2}, requests: {cpu: 3, memory: 2}}}, {resources: {limits: {cpu: 1}, requests: x}}, {resources: {limits: {}}}]}"},
		"a Pod's requests are its containers'": {"v1", "Pod",
			"{restartPolicy: Never, dnsPolicy: x, resources: {limits: {cpu: 4, memory: 1Gi}}, containers: [{resources: {requests: {cpu: 500m}}}, {resources: {requests: {cpu: 0.25, example.com/gpu: 1}}}], initContainers: [{resources: {requests: {cpu: 100m}}, restartPolicy: Always}, {resources: {requests: {cpu: 800m}}}]}",
			"{restartPolicy: Never, dnsPolicy: x, resources: {limits: {cpu: 4, memory: 1Gi}, requests: {cpu: 900m, memory: 1Gi}}, containers: [{resources: {requests: {cpu: 500m}}}, {resources: {requests: {cpu: 0.25, example.com/gpu: 1}}}], initContainers: [{resources: {requests: {cpu: 100m}}, restartPolicy: Always}, {resources: {requests: {cpu: 800m}}}]}"},
		"sources of volumes": {"v1", "Pod",
			"{restartPolicy: Never, dnsPolicy: x, volumes: [{name: a}, {rbd: {image: i}}, {image: {reference: 'a:1'}}, {hostPath: {path: /}}]}",
			"{restartPolicy: Never, dnsPolicy: x, volumes: [{name: a, emptyDir: {}}, {rbd: {image: i, pool: rbd, user: admin, keyring: /etc/ceph/keyring}}, {image: {reference: 'a:1', pullPolicy: IfNotPresent}}, {hostPath: {path: /, type: ''}}]}"},
		"nothing for a wrong type": {"v1", "Pod", "[]", "[]"},
	} {
		t.Run(name, func(t *testing.T) {
			object := map[string]any{"spec": fromYAML(t, one.spec)}
			applyDefaults(one.apiVersion, one.kind, object, everything())
			equal(t, "spec", within(object["spec"], fromYAML(t, one.want)), fromYAML(t, one.want))
		})
	}
}

// within is what of a value the other has, too.
func within(value, other any) any {
	switch other := other.(type) {
	case map[string]any:
		object, ok := value.(map[string]any)
		if !ok {
			return value
		}
		out := map[string]any{}
		for key := range other {
			if _, ok := object[key]; ok {
				out[key] = within(object[key], other[key])
			}
		}
		return out
	case []any:
		list, ok := value.([]any)
		if !ok || len(list) != len(other) {
			return value
		}
		out := make([]any, len(list))
		for i := range list {
			out[i] = within(list[i], other[i])
		}
		return out
	}
	return value
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
		equal(t, "finding", found, []string{`0: {"labels":{"a":"b"},"name":"first","uid":"802f40e9-837a-5d4f-8d19-baa5b1c7417e"}`})
		if _, err := e.release(batchRequest{Batch: "b"}); err != nil {
			t.Fatal(err)
		}
	}
}

func TestRecordsHaveTheNamesThatTheParentReads(t *testing.T) {
	text, err := json.Marshal(Document{Parent: new(int), Containers: []Container{{}}, Owner: &Owner{}, Problems: []Wrong{{}}, Labels: map[string]string{"": ""}, GenerateName: "x", UID: "x", Item: "x", JSON: true, Template: "x"})
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "record", string(text), `{"apiVersion":"","kind":"","namespace":"","name":"","generateName":"x","uid":"x","labels":{"":""},"owner":{"apiVersion":"","kind":"","name":""},"containers":[{"name":"","type":"","image":""}],"part":0,"offset":0,"length":0,"line":0,"item":"x","json":true,"parent":0,"template":"x","problems":[{"path":"","message":""}]}`)
}

// What kubectl would apply of an object with items are the items: their Pods are found once.
func TestItemsOfACustomKindAreNoTemplatesOfIt(t *testing.T) {
	answer := loaded(t, newEngine(), `{"apiVersion": "x/v1", "kind": "Fleet", "metadata": {"name": "a"}, "items": [{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": {"containers": [{"name": "c"}]}}]}`)
	var got []string
	for _, document := range answer.Documents {
		got = append(got, document.Kind+" "+document.Name)
	}
	equal(t, "documents", got, []string{"Fleet a", "Pod p"})
}

func TestAListThatIsAPartSaysThatMoreFollow(t *testing.T) {
	const pods = `"items": [{"metadata": {"name": "a"}, "spec": {"containers": [{"name": "c", "image": "i"}]}}]`
	for metadata, want := range map[string]string{
		`{"continue": "x"}`:                          "this list is a part: more objects follow (metadata.continue)",
		`{"continue": "x", "remainingItemCount": 4}`: "this list is a part: 4 more objects follow (metadata.remainingItemCount)",
		`{"resourceVersion": "1"}`:                   "",
		`{"continue": "", "remainingItemCount": 0}`:  "",
	} {
		text := `{"apiVersion": "v1", "kind": "PodList", "metadata": ` + metadata + ", " + pods + "}"
		var wants []string
		if want != "" {
			wants = []string{want}
		}
		for _, form := range []string{text, "# as YAML\n" + text} {
			answer := loaded(t, newEngine(), form)
			var told []string
			for _, problem := range answer.Problems {
				told = append(told, problem.Message)
			}
			equal(t, form, told, wants)
			equal(t, form, len(answer.Documents), 1)
		}
		cut, err := split(splitRequest{Target: 1}, []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		equal(t, "cut", len(cut.(map[string]any)["problems"].([]Problem)), len(wants))
	}
}

func TestWhatStandsForObjectsThatAreNotThereIsAProblem(t *testing.T) {
	for text, want := range map[string]string{
		`{"apiVersion": "v1", "kind": "Status", "status": "Failure", "message": "pods is forbidden"}`:        "a Status, an API server's answer that it could not do what it was asked: pods is forbidden",
		`{"apiVersion": "meta.k8s.io/v1", "kind": "Table", "rows": []}`:                                      "a Table, a table of objects, without their fields: ask for JSON or YAML",
		`{"apiVersion": "meta.k8s.io/v1", "kind": "PartialObjectMetadataList", "items": [{"metadata": {}}]}`: "a PartialObjectMetadataList, the metadata of objects, without their other fields",
	} {
		answer := loaded(t, newEngine(), text)
		if len(answer.Problems) != 1 || len(answer.Documents) != 0 {
			t.Fatalf("%s: %+v", text, answer)
		}
		equal(t, text, answer.Problems[0].Message, want)
	}
}

// What no API server gives: nothing that was not judged may look compliant.
func TestALivePodThatLacksContainersIsUnfit(t *testing.T) {
	for spec, path := range map[string]string{
		`null`: "spec.containers", `{}`: "spec.containers", `{"containers":null}`: "spec.containers", `{"containers":[]}`: "spec.containers",
		`{"initContainers":[{"name":"a","image":"b"}]}`: "spec.containers", `{"containers":[null]}`: "spec.containers[0]", `"x"`: "spec", `[]`: "spec",
		`{"containers":{}}`: "spec.containers", `{"containers":"x"}`: "spec.containers", `{"containers":[{"name":"a"}],"initContainers":{}}`: "spec.initContainers",
		`{"containers":[{"name":"a"}],"initContainers":"x"}`: "spec.initContainers", `{"containers":[{"name":"a"}],"ephemeralContainers":1}`: "spec.ephemeralContainers",
	} {
		metadata := `"metadata":{"name":"a","namespace":"b"},`
		pod := `{"apiVersion":"v1","kind":"Pod",` + metadata + `"spec":` + spec + `}`
		deployment := `{"apiVersion":"apps/v1","kind":"Deployment",` + metadata + `"spec":{"template":{"spec":` + spec + `}}}`
		for name, one := range map[string]struct{ format, text, path string }{
			"a typed list":        {"list", `{"apiVersion":"v1","kind":"PodList","metadata":{},"items":[{` + metadata + `"spec":` + spec + `}]}`, path},
			"a list":              {"list", `{"apiVersion":"v1","kind":"List","metadata":{},"items":[` + pod + `]}`, path},
			"a review":            {"review", reviewOf("", "v1", "Pod", pod), path},
			"a review's template": {"review", reviewOf("apps", "v1", "Deployment", deployment), "spec.template." + path},
		} {
			answer := loadedAs(t, newEngine(), loadRequest{Batch: "b", Format: one.format}, one.text)
			unfit := answer.Documents[len(answer.Documents)-1].Problems
			if spec == "null" && one.path != path {
				one.path = "spec.template.spec"
			}
			if len(unfit) != 1 || unfit[0].Path != one.path {
				t.Errorf("%s, spec %s: %+v", name, spec, unfit)
			}
		}
	}
	answer := loadedAs(t, newEngine(), loadRequest{Batch: "b", Format: "list"}, `{"apiVersion":"v1","kind":"PodList","metadata":{},"items":[null,{"metadata":{"name":"a"}}]}`)
	if len(answer.Problems) != 1 || len(answer.Documents) != 1 {
		t.Errorf("%+v", answer)
	}
}

func reviewOf(group, version, kind, object string) string {
	return fmt.Sprintf(`{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","request":{"uid":"u","operation":"CREATE","name":"a","namespace":"b",`+
		`"kind":{"group":%q,"version":%q,"kind":%q},"object":%s}}`, group, version, kind, object)
}
