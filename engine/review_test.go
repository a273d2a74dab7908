package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

const reviewed = `{"kind": "AdmissionReview", "apiVersion": "admission.k8s.io/v1", "request": {"uid": "u", "kind": {"group": %q, "version": "v1", "kind": %q},
	"resource": {"group": "", "version": "v1", "resource": "things"}, "name": %q, "namespace": %q, "operation": "UPDATE", "userInfo": {"username": "eve"}, "object": %s, "oldObject": %s}}`

func loadReview(t testing.TB, e *Engine, text string) loadAnswer {
	t.Helper()
	return loadedAs(t, e, loadRequest{Batch: "b", Format: "review"}, text)
}

func refusal(t testing.TB, text string) string {
	t.Helper()
	_, err := newEngine().load(loadRequest{Batch: "b", Format: "review"}, []byte(text))
	var coded *codedError
	if !errors.As(err, &coded) || coded.code != "BadReview" {
		t.Fatalf("%s: %v is no BadReview", text, err)
	}
	return coded.message
}

func TestAReviewWithoutWhatItNeedsIsRefused(t *testing.T) {
	const head = `{"kind": "AdmissionReview", "apiVersion": "admission.k8s.io/v1"`
	for text, want := range map[string]string{
		``:                          "no AdmissionReview: ",
		`{`:                         "no AdmissionReview: ",
		`null`:                      "the body is null, not an object",
		`{}`:                        `its kind is ""`,
		`{"kind": 1}`:               "kind is a number, not a string",
		head + `}`:                  "has no request",
		head + `} x`:                "no AdmissionReview: ",
		head + `}{}`:                "something follows",
		head + `, "request": null}`: "has no request",
		head + `, "request": []}`:   "request is a list, not an object",
		head + `, "request": {}}`:   "has no uid",
		head + `, "request": {"uid": "u", "uid": "v"}}`:                                                                          "duplicate",
		head + `, "request": {"uid": "u", "kind": []}}`:                                                                          "request.kind is a list, not an object",
		head + `, "request": {"uid": "u", "userInfo": {"username": 1}}}`:                                                         "request.userInfo.username is a number",
		head + `, "request": {"uid": "u", "object": "x"}}`:                                                                       "request.object is a string, not an object",
		head + `, "request": {"uid": "u", "object": {}}}`:                                                                        "request.object: not a Kubernetes object: it has no kind",
		head + `, "request": {"uid": "u", "object": {"kind": "A", "apiVersion": "v1", "metadata": {"name": "a", "name": "b"}}}}`: "duplicate",
		head + `, "request": {"uid": "u", "object": ` + strings.Repeat(`{"a":`, 20000):                                           "depth",
		strings.Replace(head, "/v1", "/v2", 1) + `, "request": {"uid": "u"}}`:                                                    `the version "admission.k8s.io/v2"`,
		strings.Replace(head, "AdmissionReview", "Pod", 1) + `}`:                                                                 `its kind is "Pod"`,
	} {
		contains(t, "refusal", refusal(t, text), want)
	}
}

func TestAnObjectThatLiesElsewhereThanItsRequestIsAProblem(t *testing.T) {
	object := `{"apiVersion": "v1", "kind": "Thing", "metadata": {"name": "own", "namespace": "mine"}}`
	document := loadReview(t, newEngine(), fmt.Sprintf(reviewed, "", "Thing", "asked", "shop", object, "null")).Documents[0]
	equal(t, "problems", wrongs(document), []string{"metadata.namespace is not the namespace of the request"})
}

func TestADocumentGetsNameAndNamespaceOfItsRequest(t *testing.T) {
	for name, one := range map[string]struct{ kind, object, namespace, name string }{
		"its own":        {"Thing", `{"apiVersion": "v1", "kind": "Thing", "metadata": {"name": "own", "namespace": "shop"}}`, "shop", "own"},
		"the request's":  {"Thing", `{"apiVersion": "v1", "kind": "Thing", "metadata": {"generateName": "own-"}}`, "shop", "asked"},
		"no metadata":    {"PodExecOptions", `{"apiVersion": "v1", "kind": "PodExecOptions"}`, "shop", "asked"},
		"kind of itself": {"Thing", `{"metadata": {"name": "own"}}`, "shop", "own"},
		"a namespace":    {"Namespace", `{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}}`, "", "shop"},
	} {
		t.Run(name, func(t *testing.T) {
			answer := loadReview(t, newEngine(), fmt.Sprintf(reviewed, "", one.kind, "asked", "shop", one.object, "null"))
			document := answer.Documents[0]
			equal(t, "identity", []string{document.APIVersion, document.Kind, document.Namespace, document.Name}, []string{"v1", one.kind, one.namespace, one.name})
			equal(t, "problems", document.Problems, nil)
		})
	}
}

func TestAKindThatEndsInListIsOneObject(t *testing.T) {
	list := `{"apiVersion": "acl.example/v1", "kind": "AllowList", "metadata": {"name": "a"}, "items": [{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "b"}}]}`
	answer := loadReview(t, newEngine(), fmt.Sprintf(reviewed, "acl.example", "AllowList", "a", "", list, list))
	equal(t, "documents", len(answer.Documents), 2)
	equal(t, "kinds", []string{answer.Documents[0].Kind, answer.Documents[1].Kind}, []string{"AllowList", "AllowList"})
	equal(t, "old", []bool{answer.Documents[0].Old, answer.Documents[1].Old}, []bool{false, true})
}

func TestTheDefaultsOfPodsAreAppliedToTemplatesAlone(t *testing.T) {
	e := newEngine()
	install(t, e, "p", "v1", `package p
violation contains {"msg": p} if { some p in [sprintf("%v", [input.review.object.spec.containers[_].ports[_].hostPort])] }`)
	spec := `{"hostNetwork": true, "containers": [{"name": "a", "ports": [{"containerPort": 80}]}]}`
	loadReview(t, e, fmt.Sprintf(reviewed, "apps", "Deployment", "a", "n", `{"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "a"}, "spec": {"template": {"spec": `+spec+`}}}`, "null"))
	found, _ := messages(judged(t, e, "p", ""))
	equal(t, "of a Deployment", found, []string{"1: 80"})
	e = newEngine()
	install(t, e, "p", "v1", `package p
violation contains {"msg": p} if { some p in [sprintf("%v", [input.review.object.spec.containers[_].ports[_].hostPort])] }`)
	loadReview(t, e, fmt.Sprintf(reviewed, "", "Pod", "a", "n", `{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}, "spec": `+spec+`}`, "null"))
	found, _ = messages(judged(t, e, "p", ""))
	equal(t, "of a Pod, which the server has defaulted", found, nil)
}

func TestJudgingLetsABatchGoWhateverComesOfIt(t *testing.T) {
	e := newEngine()
	install(t, e, "p", "v1", "package p\nviolation contains {\"msg\": \"x\"} if input.review.object.spec.a")
	for _, tasks := range [][]task{{{Policy: "p", Documents: []int{0}}}, {{Policy: "p", Documents: []int{7}}}, {{Policy: "unknown"}}, nil} {
		loadReview(t, e, fmt.Sprintf(reviewed, "", "Thing", "a", "", `{"metadata": {"name": "a"}}`, "null"))
		_, _ = e.judge(judgeRequest{Batch: "b", DeadlineMS: 1000, Tasks: tasks, Release: true})
		equal(t, "batches", len(e.batches), 0)
	}
}

func TestCodesOfErrorsReachTheClient(t *testing.T) {
	answers := conversation(t, `{"id":1,"op":"load","format":"review","batch":"b"}`, "{}", `{"id":2,"op":"release","batch":"x"}`, "")
	equal(t, "code", answers["1"]["code"], any("BadReview"))
	equal(t, "without a code", answers["2"]["code"], nil)
}

func TestABatchFromBeforeAPolicyThatReadsMoreIsOutdated(t *testing.T) {
	e := newEngine()
	install(t, e, "p", "v1", "package p\nviolation contains {\"msg\": \"x\"} if input.review.object.spec.a")
	loadReview(t, e, fmt.Sprintf(reviewed, "", "Thing", "a", "", `{"metadata": {"name": "a"}, "spec": {"a": 1, "b": 1}}`, "null"))
	equal(t, "before", len(judged(t, e, "p", "").Hits), 1)
	install(t, e, "p", "v1", "package p\nviolation contains {\"msg\": \"x\"} if input.review.object.spec.b")
	_, err := e.judge(judgeRequest{Batch: "b", DeadlineMS: 1000, Tasks: []task{{Policy: "p", Documents: []int{0}}}})
	var coded *codedError
	if !errors.As(err, &coded) || coded.code != "Outdated" {
		t.Error(err)
	}
}

func TestAFailedCompileLeavesTheLastVersionAndASuccessfulOneForgetsIt(t *testing.T) {
	e := newEngine()
	rule := func(field string) string {
		return "package p\nviolation contains {\"msg\": \"" + field + "\"} if input.review.object.spec." + field
	}
	install(t, e, "p", "v1", rule("a"))
	load := func() {
		delete(e.batches, "b")
		loadReview(t, e, fmt.Sprintf(reviewed, "", "Thing", "x", "", `{"metadata": {"name": "x"}, "spec": {"a": 1, "b": 1}}`, "null"))
	}
	load()
	judged(t, e, "p", "")
	for _, bad := range []string{"package p\nviolation contains x if {", "package p", "package p\nviolation contains {\"msg\": nothing(1)} if true"} {
		answer, err := e.compile(compileRequest{Policy: "p", Modules: []module{{Name: "p.rego", Source: bad, Version: "v1"}}})
		if err != nil || len(answer.(compileAnswer).Faults) == 0 {
			t.Fatal(answer, err)
		}
		found, _ := messages(judged(t, e, "p", ""))
		equal(t, "found", found, []string{"0: a"})
	}
	install(t, e, "p", "v1", rule("b"))
	load()
	found, _ := messages(judged(t, e, "p", ""))
	equal(t, "found", found, []string{"0: b"})
}

func TestPoliciesAreReplacedWhileReviewsAreJudged(t *testing.T) {
	e := newEngine()
	rule := func(version int) string {
		return fmt.Sprintf("package p\nviolation contains {\"msg\": \"v%d\"} if input.review.object.spec.f%d", version, version%3)
	}
	install(t, e, "p", "v1", rule(0))
	var together sync.WaitGroup
	together.Go(func() {
		for version := range 60 {
			install(t, e, "p", "v1", rule(version))
			_, _ = e.compile(compileRequest{Policy: "p", Modules: []module{{Name: "p.rego", Source: "nonsense", Version: "v1"}}})
		}
	})
	text := []byte(fmt.Sprintf(reviewed, "", "Thing", "a", "", `{"metadata": {"name": "a"}, "spec": {"f0": 1, "f1": 1, "f2": 1}}`, "null"))
	for worker := range 3 {
		together.Go(func() {
			for i := range 300 {
				id := fmt.Sprint(worker, "-", i)
				if _, err := e.load(loadRequest{Batch: id, Format: "review"}, text); err != nil {
					t.Error(err)
					return
				}
				answer, err := e.judge(judgeRequest{Batch: id, DeadlineMS: 5000, Release: true, Tasks: []task{{Policy: "p", Documents: []int{0}}, {Policy: "p", Documents: []int{0}}}})
				var coded *codedError
				if errors.As(err, &coded) && coded.code == "Outdated" {
					continue
				}
				if err != nil || len(answer.(judgeAnswer).Hits) != 2 {
					t.Errorf("%+v %v", answer, err)
				}
			}
		})
	}
	together.Wait()
	equal(t, "batches", len(e.batches), 0)
}

// podReview is a review of a Pod as clusters have them, of about 5 KB.
func podReview(name, image string) string {
	var managed strings.Builder
	for i := range 40 {
		fmt.Fprintf(&managed, `"f:field%d":{".":{},"f:a":{},"f:b":{}},`, i)
	}
	container := func(n string) string {
		return fmt.Sprintf(`{"name":%q,"image":%q,"args":["--a=1","--b=2"],"env":[{"name":"A","value":"1"},{"name":"B","valueFrom":{"fieldRef":{"fieldPath":"metadata.name"}}}],`+
			`"ports":[{"containerPort":8080,"protocol":"TCP","name":"http"}],"resources":{"limits":{"cpu":"500m","memory":"256Mi"},"requests":{"cpu":"100m","memory":"128Mi"}},`+
			`"livenessProbe":{"httpGet":{"path":"/healthz","port":8080},"periodSeconds":10},"securityContext":{"privileged":false,"capabilities":{"drop":["ALL"]}},`+
			`"volumeMounts":[{"name":"kube-api-access","mountPath":"/var/run/secrets","readOnly":true}],"terminationMessagePath":"/dev/termination-log","imagePullPolicy":"IfNotPresent"}`, n, image)
	}
	pod := fmt.Sprintf(`{"kind":"Pod","apiVersion":"v1","metadata":{"name":%q,"namespace":"shop","uid":"0","labels":{"app":"web","team":"a","pod-template-hash":"7d"},`+
		`"ownerReferences":[{"apiVersion":"apps/v1","kind":"ReplicaSet","name":"web-7d","uid":"1","controller":true}],"managedFields":[{"manager":"m","fieldsV1":{%s"f:last":{}}}]},`+
		`"spec":{"volumes":[{"name":"kube-api-access","projected":{"sources":[{"serviceAccountToken":{"expirationSeconds":3607,"path":"token"}}]}}],"containers":[%s,%s],`+
		`"restartPolicy":"Always","dnsPolicy":"ClusterFirst","serviceAccountName":"default","nodeName":"n1"},"status":{"phase":"Pending","qosClass":"Burstable"}}`,
		name, managed.String(), container("web"), container("sidecar"))
	return fmt.Sprintf(reviewed, "", "Pod", name, "shop", pod, "null")
}

// bundled is an engine with the product's own policies, and a task of each
// (under the race detector, of one in raceStep).
func bundled(t testing.TB) (*Engine, []task) {
	t.Helper()
	e := newEngine()
	var tasks []task
	for _, one := range definitions(t) {
		answer, err := e.compile(compileRequest{Policy: one.name, Modules: one.modules})
		if err != nil || len(answer.(compileAnswer).Faults) > 0 {
			t.Fatal(answer, err)
		}
		tasks = append(tasks, task{Policy: one.name, Parameters: json.RawMessage(one.parameters[0]), Documents: []int{0}})
	}
	return e, tasks
}

func answerReview(t testing.TB, e *Engine, header []byte, text string) {
	t.Helper()
	if _, err := e.handle("load", Frame{Header: []byte(`{"id": 1, "op": "load", "batch": "b", "format": "review"}`), Body: []byte(text)}); err != nil {
		t.Fatal(err)
	}
	if _, err := e.handle("judge", Frame{Header: header}); err != nil {
		t.Fatal(err)
	}
}

// What one review costs, by whether its Pod looks like one that was judged before.
func BenchmarkReview(b *testing.B) {
	for _, known := range []bool{true, false} {
		b.Run(map[bool]string{true: "known", false: "new"}[known], func(b *testing.B) {
			e, tasks := bundled(b)
			texts := make([]string, 1000)
			for i := range texts {
				texts[i] = podReview("web", fmt.Sprint("registry.example/web:", i))
			}
			header, err := json.Marshal(judgeRequest{Batch: "b", DeadlineMS: 2000, Tasks: tasks, Release: true})
			if err != nil {
				b.Fatal(err)
			}
			b.ReportMetric(float64(len(texts[0])), "bytes")
			for i := 0; b.Loop(); i++ {
				if i%len(texts) == 0 {
					for _, policy := range e.policies {
						policy.forget()
					}
				}
				text := texts[0]
				if !known {
					text = texts[i%len(texts)]
				}
				answerReview(b, e, header, text)
			}
		})
	}
}

func TestAnEngineThatAnswersManyReviewsStaysAsLargeAsItWas(t *testing.T) {
	if testing.Short() {
		t.Skip("takes seconds")
	}
	evaluatedBy(t, byPlan) // as an engine does that is not tested
	e, tasks := bundled(t)
	e.rememberable = 4 << 20 / raceStep
	heap := func() uint64 {
		var now runtime.MemStats
		runtime.GC()
		runtime.GC()
		runtime.ReadMemStats(&now)
		return now.HeapAlloc
	}
	var early uint64
	var own []json.RawMessage
	for _, one := range tasks {
		own = append(own, one.Parameters)
	}
	const rounds = 2_400
	for i := range rounds {
		if i == rounds/3 {
			early = heap()
		}
		if i%400 == 0 {
			// Parameters change, too, now and then.
			for t, one := range own {
				given := strings.TrimSuffix(strings.TrimSuffix(string(one), "}"), "{")
				tasks[t].Parameters = json.RawMessage(fmt.Sprintf(`{"x":%d`, i) + strings.Replace(given, "{", ",", 1) + "}")
			}
		}
		header, err := json.Marshal(judgeRequest{Batch: "b", DeadlineMS: 2000, Tasks: tasks, Release: true})
		if err != nil {
			t.Fatal(err)
		}
		answerReview(t, e, header, podReview("web", fmt.Sprint("web:", i)))
	}
	if late := heap(); late > early+early/2+(8<<20) {
		t.Errorf("%d KiB after a third of the reviews, %d KiB after all", early>>10, late>>10)
	}
	equal(t, "batches", len(e.batches), 0)
}

// An API server writes the kind before the objects, and they are decoded with the
// review; where it stands behind them they are decoded once that is read. Both ways
// find the same, of rules that read the request, too.
func TestAReviewIsReadTheSameWhereverItsKindStands(t *testing.T) {
	e := newEngine()
	install(t, e, "p", "v1", privilegedRego)
	install(t, e, "r", "v1", `package rule
violation contains {"msg": sprintf("%v %v", [input.review.userInfo.groups, input.review.oldObject.spec])} if input.review.operation == "UPDATE"`)
	register1(t, e, `[{"policy":"p","kinds":["*/*"],"before":true},{"policy":"r","kinds":["*/*"]}]`)
	pod := `{"apiVersion": "v1" , "kind":"Pod","metadata":{"name":"a"},"spec":{"containers":[{"name":"a","image":"i","securityContext":{"privileged":true}}]}}`
	const kind = `"kind": {"group": "", "version": "v1", "kind": "Pod"}`
	for name, object := range map[string]string{
		"a Pod":                     pod,
		"its kind last":             `{"metadata":{"name":"a"},"spec":{"containers":[{"name":"a","image":"i","securityContext":{"privileged":true}}]},"kind":"Pod","apiVersion":"v1"}`,
		"without kind":              `{"metadata":{"name":"a"},"spec":{"containers":[{"name":"a","image":"i","securityContext":{"privileged":true}}]}}`,
		"another kind":              strings.Replace(pod, `"Pod"`, `"Deployment"`, 1),
		"another version":           strings.Replace(pod, `"v1"`, `"apps/v1"`, 1),
		"a kind that is no text":    strings.Replace(pod, `"kind":"Pod"`, `"kind":1`, 1),
		"null":                      "null",
		"a field twice":             strings.Replace(pod, `"image":"i"`, `"image":"i","image":"j"`, 1),
		"a field twice, not read":   strings.Replace(pod, `"image":"i"`, `"image":"i","tty":true,"tty":false`, 1),
		"a list where an object is": `{"apiVersion":"v1","kind":"Pod","metadata":{"name":"a"},"spec":[{"containers":[]}]}`,
		"containers that are none":  strings.Replace(pod, `"containers":[`, `"containers":[null,`, 1),
		"a text":                    `"Pod"`,
		"nothing":                   `{}`,
	} {
		request := `"uid":"u","operation":"UPDATE","userInfo":{"username":"eve","groups":["a","b"],"extra":{"groups":1}},"object":` + object + `,"oldObject" : ` + pod
		var found []string
		for _, fields := range []string{kind + "," + request, request + "," + kind} {
			body := `{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1","request":{` + fields + `}}`
			answer, err := e.admit(admitRequest{Set: "s", BudgetMS: 5000}, Frame{Body: []byte(body), begun: time.Now()})
			if err != nil {
				found = append(found, err.Error())
				continue
			}
			key, err := answer.(admitAnswer).body()
			if err != nil {
				t.Fatal(err)
			}
			found = append(found, fmt.Sprint(answer.(admitAnswer).Request, answer.(admitAnswer).Names, string(key)))
		}
		equal(t, name, found[0], found[1])
		if name == "a Pod" {
			contains(t, name, found[0], "privileged")
			contains(t, name, found[0], "[\\\"a\\\", \\\"b\\\"]")
		}
	}
}

func TestAFieldOfARequestThatStandsTwiceIsRefusedHoweverManyThereAre(t *testing.T) {
	var fields strings.Builder
	for i := range 40 {
		fmt.Fprintf(&fields, `"field%d":%d,`, i, i)
	}
	for _, twice := range []string{"field1", "field30", "uid"} {
		body := `{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1","request":{"uid":"u",` + fields.String() + `"` + twice + `":1}}`
		contains(t, twice, refusal(t, body), fmt.Sprintf("duplicate field %q", twice))
	}
}
