package main

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/open-policy-agent/opa/v1/topdown"

	"aksp.dev/engine/plan"
)

// difference tells how what a policy's plan finds differs from what topdown
// finds; it is empty where it does not, or where the plan leaves it to topdown.
func difference(t testing.TB, policy *Policy, of *subject, parameters *parameterSet, data *snapshot) (text string, answered bool) {
	t.Helper()
	running := testGuard.begin(policy.id, testDeadline, graceTime)
	defer testGuard.end(running)
	q := question{of: of, parameters: parameters, data: data, cancel: running.cancel, at: time.Now()}
	planned, _ := policy.byItsPlan(q)
	if planned == nil {
		return "", false
	}
	want, cancelled := policy.byTopdown(q)
	if cancelled {
		t.Fatal("topdown took too long")
	}
	if one, other := ordered(planned), ordered(want); one != other {
		return fmt.Sprintf("the plan finds\n%s\nnot\n%s", one, other), true
	}
	return "", true
}

// ordered is an outcome, its findings in the order in which they were found.
func ordered(out *outcome) string {
	text, _ := json.Marshal([]any{out.findings, out.faults})
	return string(text)
}

// differential is a policy made ready to be held against topdown.
type differential struct {
	name       string
	policy     *Policy
	parameters []*parameterSet
	data       *snapshot
}

func differentials(t testing.TB) []differential {
	t.Helper()
	if evaluator == byTopdown {
		t.Skip("AKSP_ENGINE_EVALUATOR is topdown")
	}
	inventory := newInventory()
	e := newEngine()
	loaded(t, e, study{}.of(allDocuments(t, 0)))
	for _, d := range e.batches["b"].documents {
		if d.Parent == nil && d.Name != "" && amongKinds([]string{"networking.k8s.io/Ingress", "/Service", "/Namespace"}, groupOf(d.APIVersion), d.Kind) {
			inventory.put(d)
		}
	}
	data, err := inventory.snapshot(true)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(data.close)
	var out []differential
	for _, one := range append(corpus(t), definitions(t)...) {
		policy, faults := compilePolicy(compileRequest{Policy: one.name, Modules: one.modules})
		if len(faults) > 0 {
			t.Fatalf("%s: %+v", one.name, faults)
		}
		ready := differential{name: one.name, policy: policy, data: data}
		for _, text := range one.parameters {
			set, err := policy.with(text)
			if err != nil {
				t.Fatal(err)
			}
			ready.parameters = append(ready.parameters, set)
		}
		out = append(out, ready)
	}
	return out
}

func TestEveryPolicyOfTheCatalogueAndTheCorpusHasAPlan(t *testing.T) {
	for _, one := range differentials(t) {
		if one.name == "comprehensions" {
			contains(t, "why it has none", one.policy.unplanned, "OPA indexes the comprehension at testdata/policies/comprehensions.v1.rego:15")
		} else if one.policy.program == nil {
			t.Errorf("%s: %s", one.name, one.policy.unplanned)
		}
	}
}

// numberFrom is a variable of the environment, for long runs.
func numberFrom(t *testing.T, name string, usual int) int {
	t.Helper()
	text := os.Getenv(name)
	if text == "" {
		return usual
	}
	number, err := strconv.Atoi(text)
	if err != nil {
		t.Fatalf("%s: %v", name, err)
	}
	return number
}

// AKSP_ENGINE_DOCUMENTS is how many documents to try, AKSP_ENGINE_POLICIES by how
// many policies each, of which they take turns; by all without a word.
func TestPlansFindWhatTopdownFindsInTheSameOrder(t *testing.T) {
	number := numberFrom(t, "AKSP_ENGINE_DOCUMENTS", 300)
	seed := seedOfToday(t)
	policies, documents := differentials(t), wellKnown(t)
	each := min(len(policies), numberFrom(t, "AKSP_ENGINE_POLICIES", len(policies)))
	m := mutator{rand.New(rand.NewPCG(seed, 3))}
	tried, answered := 0, 0
	for n := range number {
		object := documents[m.IntN(len(documents))]
		for range m.IntN(4) {
			object = m.changed(object).(map[string]any)
		}
		of := documentOf(object).review(object)
		for turn := range each {
			one := policies[(n*each+turn)%len(policies)]
			parameters := one.parameters[m.IntN(len(one.parameters))]
			if m.IntN(4) == 0 {
				changed := m.changed(parameters.native)
				parameters = &parameterSet{native: changed, unusual: !plan.Usual(changed)}
			}
			tried++
			text, mine := difference(t, one.policy, of, parameters, one.data)
			if text != "" {
				shown, _ := json.Marshal(of.fields)
				given, _ := json.Marshal(parameters.native)
				t.Fatalf("seed %d: %s with %s of %s: %s", seed, one.name, given, shown, text)
			}
			if mine {
				answered++
			}
		}
	}
	t.Logf("seed %d: %d documents, %d evaluations, %d of them answered by plans", seed, number, tried, answered)
	if answered < tried*8/10 {
		t.Errorf("only %d of %d evaluations were answered by plans", answered, tried)
	}
}

// A built-in that crashes in a plan would leave its policy to topdown, several times slower, without a word.
func TestPlansAnswerOfPodsAsPeopleHaveThem(t *testing.T) {
	var policies []differential
	catalogue := definitions(t)
	for _, one := range differentials(t) {
		if slices.ContainsFunc(catalogue, func(of study) bool { return of.name == one.name }) {
			policies = append(policies, one)
		}
	}
	for _, pod := range unlikePods(5) {
		of := documentOf(pod).review(pod)
		for _, one := range policies {
			for _, parameters := range one.parameters {
				text, answered := difference(t, one.policy, of, parameters, one.data)
				if text != "" || !answered && one.policy.program != nil && !parameters.unusual {
					t.Fatalf("%s with %s: answered: %v. %s", one.name, fmt.Sprint(parameters.native), answered, text)
				}
			}
		}
	}
}

// wellKnown are the samples of the catalogue and the corpus' documents, decoded.
func wellKnown(t testing.TB) []map[string]any {
	t.Helper()
	var out []map[string]any
	for _, one := range allDocuments(t, 0) {
		out = append(out, native(t, one.text).(map[string]any))
	}
	return out
}

func TestNumbersThatOPAHasItsOwnWaysWithAreLeftToTopdown(t *testing.T) {
	for text, want := range map[string]bool{
		"0": true, "-1": true, "123456789012345678": true, "[{\"a\": [1]}]": true, "null": true,
		"1.0": false, "-0": false, "1e3": false, "1234567890123456789": false, "[{\"a\": [0.5]}]": false,
	} {
		equal(t, text, plan.Usual(native(t, text)), want)
	}
	policy := compiled(t, "v1", "package p\nshown(x) := json.marshal(x)\nviolation contains {\"msg\": shown(x)} if some x in input.review.object.list")
	out := evaluated(t, policy, native(t, `{"apiVersion": "v1", "kind": "Thing", "list": [1, 1.0]}`).(map[string]any), map[string]any{})
	equal(t, "found", summary(out), "finding 1 {}")
}

// evaluatedBy has a test's policies evaluated so.
func evaluatedBy(t *testing.T, by string) {
	t.Helper()
	before := evaluator
	evaluator = by
	t.Cleanup(func() { evaluator = before })
}

// allOfIt is a rule of which a plan makes all where topdown asks for one key.
const allOfIt = `package p
many := numbers.range(1, 10000)
rows[x] := value if {
	some x in many
	count([y | some y in many; sprintf("%d of %d", [y, x]) == ""]) == 0
	value := [sprintf("1 of %d", [x])]
}
violation contains {"msg": rows[2][0]} if true
`

// allKept is another, which fills the memory before its time is over.
const allKept = `package p
many := numbers.range(1, 10000)
rows[x] := value if {
	some x in many
	value := [sprintf("%d of %d", [y, x]) | some y in many]
}
violation contains {"msg": rows[2][0]} if true
`

func TestWhereThePlanHasNoAnswerTopdownsResultAndWordsCount(t *testing.T) {
	large := "texts := [sprintf(\"%d\", [x]) | some x in numbers.range(1, 3000)]\n"
	object := native(t, `{"apiVersion": "v1", "kind": "Thing", "list": [1, 2], "odd": [1.0], "names": ["a", "b"]}`).(map[string]any)
	usual := native(t, `{"apiVersion": "v1", "kind": "Thing", "list": [1, 2], "names": ["a", "b"]}`).(map[string]any)
	for rules, want := range map[string]string{
		// A conflict that nobody asked for, and one that somebody did.
		`f["a"] := n if some n in input.review.object.list` + "\n" + `f["b"] := 3` + "\n" + `violation contains {"msg": "b"} if f["b"] == 3`: "finding b {}",
		`f["a"] := n if some n in input.review.object.list` + "\n" + `violation contains {"msg": "a"} if f["a"] == 3`:                        "fault policy.rego:2: rule data.p.f.a produced conflicting values",
		`f := n if some n in input.review.object.list` + "\n" + `violation contains {"msg": "a"} if f == 3`:                                  "fault policy.rego:2: rule data.p.f produced conflicting values",
		`f(_) := n if some n in input.review.object.list` + "\n" + `violation contains {"msg": "a"} if f(1) == 3`:                            "fault policy.rego:2: function data.p.f produced conflicting values",
		`violation contains {"msg": "x"} if 1 / (count(input.review.object.list) - 2) == 1`:                                                  "fault policy.rego:2: div: divide by zero",
		`violation contains {"msg": x} if some x in ["a", 1]`:                                                                                "fault the msg of a violation is number, not a string\nfinding a {}",
		`violation contains x if some x in [{"msg": "a"}, "b"]`:                                                                              "fault a violation is string, not an object with msg\nfinding a {}",
		`violation contains {"msg": "x", "details": {"a": concat("", [x | some _ in numbers.range(1, 3000); x := "0123456789012345678901234567890123456789012345678901234567890123456789012345678901234567890123456789"])}} if true`: "fault the details of a violation have 300008 bytes, more than 262144 (its msg: x)",
		`violation := [1] if true`: "fault violation is array, not a set",
		`violation contains {"msg": sprintf("%v", [x])} if some x in input.review.object.odd`:                                                            "",
		large + `violation contains {"msg": "x"} if count(object.union_n([{"a": texts, "b": texts, "c": texts} | some _ in numbers.range(1, 30)])) == 3`: "finding x {}",
	} {
		policy := compiled(t, "v1", "package p\n"+rules)
		for _, of := range []map[string]any{usual, object} {
			evaluatedBy(t, byTopdown)
			alone := summary(evaluated(t, policy, of, map[string]any{}))
			evaluatedBy(t, byPlan)
			equal(t, rules, summary(evaluated(t, policy, of, map[string]any{})), alone)
			if !strings.Contains(alone, want) {
				t.Errorf("%s: %q, not %q", rules, alone, want)
			}
		}
		if policy.program == nil {
			t.Errorf("%s: %s", rules, policy.unplanned)
		}
	}
}

func TestWhatThePlanIsTooSlowForTopdownAnswersInTheTimeThatIsLeft(t *testing.T) {
	evaluatedBy(t, byPlan)
	policy := compiled(t, "v1", allOfIt)
	thing := map[string]any{"apiVersion": "v1", "kind": "Thing"}
	equal(t, "found", summary(evaluated(t, policy, thing, map[string]any{})), "finding 1 of 2 {}")
	late := policy.planLate.Load()
	if late == 0 {
		t.Error("the plan was not late")
	}
	// From now on by topdown at once, for a while.
	begun := time.Now()
	equal(t, "found again", summary(evaluated(t, policy, thing, map[string]any{})), "finding 1 of 2 {}")
	if took := time.Since(begun); took > testDeadline/planShare || policy.planLate.Load() != late {
		t.Errorf("it took %s", took)
	}
	policy.planLate.Store(time.Now().Add(-2 * tripsExpire).UnixNano())
	evaluated(t, policy, thing, map[string]any{})
	if policy.planLate.Load() <= late {
		t.Error("the plan has no other chance")
	}
}

func TestATimeOutIsNotPaidTwice(t *testing.T) {
	for _, by := range []string{byPlan, byBoth} {
		evaluatedBy(t, by)
		policy := compiled(t, "v1", eachItem+never)
		begun := time.Now()
		out := foundBy(t, policy, 30, patience{deadline: 2 * time.Second, early: true})
		if took := time.Since(begun); took > 3500*time.Millisecond {
			t.Errorf("%s: it took %s", by, took)
		}
		equal(t, "faults", out.faults, []string{"the evaluation took longer than 2s"})
		equal(t, "findings", len(out.findings), 30)
		equal(t, "trips", len(policy.trips.seen), 0)
	}
}

func TestWhatThePlanHasNoMemoryForTopdownAnswers(t *testing.T) {
	evaluatedBy(t, byPlan)
	runtime.GC()
	var now runtime.MemStats
	runtime.ReadMemStats(&now)
	t.Setenv("AKSP_ENGINE_EVALUATION_MEMORY", fmt.Sprint(now.HeapAlloc+64<<20))
	e := newEngine()
	install(t, e, "all", "v1", allKept)
	loaded(t, e, thing)
	found, faults := messages(judgedWithin(t, e, "all", 60_000, 0))
	equal(t, "found", found, []string{"0: 1 of 2"})
	equal(t, "faults", faults, nil)
	equal(t, "the plan was late", e.policies["all"].planLate.Load(), 0)
}

func TestExpressionsThatFillTheMemoryAreLetGoOf(t *testing.T) {
	for _, by := range []string{byPlan, byTopdown} {
		evaluatedBy(t, by)
		runtime.GC()
		var now runtime.MemStats
		runtime.ReadMemStats(&now)
		t.Setenv("AKSP_ENGINE_EVALUATION_MEMORY", fmt.Sprint(now.HeapAlloc+64<<20))
		e := newEngine()
		// 2,000 expressions of 2,000 instructions.
		install(t, e, "many", "v1", `package p
violation contains {"msg": "x"} if count([x | some x in numbers.range(1, 2000); regex.match(sprintf("^(%d{500}){2}$", [x]), "")]) == 0`)
		install(t, e, "good", "v1", "package q\nviolation contains {\"msg\": \"good\"} if true")
		loaded(t, e, thing)
		_, faults := messages(judgedWithin(t, e, "many", 60_000, 0))
		if want := map[string]int{byPlan: 0, byTopdown: 1}[by]; len(faults) != want {
			t.Errorf("%s: %v", by, faults)
		}
		e.policies["good"].visible = nil
		for range 3 {
			found, faults := messages(judgedWithin(t, e, "good", 60_000, 0))
			equal(t, "found", found, []string{"0: good"})
			equal(t, "faults", faults, nil)
		}
	}
}

func FuzzPlansFindWhatTopdownFinds(f *testing.F) {
	if evaluator == byTopdown {
		f.Skip("AKSP_ENGINE_EVALUATOR is topdown")
	}
	for n := range uint64(4) {
		f.Add(n, n)
	}
	policies, documents := differentials(f), wellKnown(f)
	f.Fuzz(func(t *testing.T, seed, other uint64) {
		m := mutator{rand.New(rand.NewPCG(seed, other))}
		object := documents[m.IntN(len(documents))]
		for range 1 + m.IntN(4) {
			object = m.changed(object).(map[string]any)
		}
		of := documentOf(object).review(object)
		for _, one := range policies {
			parameters := one.parameters[m.IntN(len(one.parameters))]
			if text, _ := difference(t, one.policy, of, parameters, one.data); text != "" {
				shown, _ := json.Marshal(of.fields)
				t.Fatalf("%s of %s: %s", one.name, shown, text)
			}
		}
		// And a policy that nobody wrote.
		w := &writer{Rand: m.Rand}
		source := w.policy()
		policy, faults := compilePolicy(compileRequest{Policy: "p", Modules: []module{{Name: "p.rego", Source: source, Version: "v1"}}})
		if len(faults) > 0 {
			return
		}
		for range 10 {
			object := w.document()
			if text, _ := difference(t, policy, documentOf(object).review(object), &parameterSet{native: map[string]any{}}, policies[0].data); text != "" {
				shown, _ := json.Marshal(object)
				t.Fatalf("%s\nof %s: %s", source, shown, text)
			}
		}
	})
}

// unlikePods are Pods of about 3.5 KB of which no two have like containers.
func unlikePods(number int) []map[string]any {
	r := rand.New(rand.NewPCG(1, 1))
	pods := make([]map[string]any, number)
	for i := range pods {
		var containers []any
		for c := range 1 + r.IntN(3) {
			containers = append(containers, map[string]any{
				"name": fmt.Sprintf("c%d-%d", i, c), "image": fmt.Sprintf("registry%d.example.com/team%d/app%d:%d.%d", r.IntN(3), r.IntN(40), i, r.IntN(9), r.IntN(9)),
				"args":  []any{"--port", fmt.Sprint(r.IntN(60000)), "--name", fmt.Sprint(i)},
				"ports": []any{map[string]any{"containerPort": json.Number(fmt.Sprint(1000 + r.IntN(60000))), "protocol": "TCP"}, map[string]any{"containerPort": json.Number("8080")}},
				"resources": map[string]any{
					"limits":   map[string]any{"cpu": fmt.Sprintf("%dm", 100+r.IntN(4000)), "memory": fmt.Sprintf("%dMi", 64+r.IntN(4000))},
					"requests": map[string]any{"cpu": "100m", "memory": "64Mi"},
				},
				"securityContext": map[string]any{"privileged": r.IntN(10) == 0, "runAsUser": json.Number(fmt.Sprint(r.IntN(3000)))},
				"env":             []any{map[string]any{"name": "A", "value": fmt.Sprint(r.IntN(1000))}, map[string]any{"name": "B", "value": "b"}},
				"volumeMounts":    []any{map[string]any{"name": "data", "mountPath": "/data"}},
			})
		}
		pods[i] = map[string]any{
			"apiVersion": "v1", "kind": "Pod",
			"metadata": map[string]any{"name": fmt.Sprintf("pod%d", i), "namespace": fmt.Sprintf("ns%d", r.IntN(50)), "labels": map[string]any{"app": fmt.Sprint("app", i), "tier": "web", "hash": fmt.Sprint(r.Uint64())}},
			"spec":     map[string]any{"containers": containers, "nodeName": fmt.Sprint("node", r.IntN(100)), "volumes": []any{map[string]any{"name": "data", "emptyDir": map[string]any{}}}},
		}
	}
	return pods
}

// BenchmarkEvaluators tells the time for a Pod unlike any before, from the decoded Pod to the findings.
func BenchmarkEvaluators(b *testing.B) {
	pods := unlikePods(1500)
	for _, one := range differentials(b) {
		if !strings.HasSuffix(one.policy.id, "allowed-images") && !strings.Contains("allowed-container-ports required-labels no-privileged resource-limits", one.policy.id) {
			continue
		}
		for name, evaluate := range map[string]func(question) (*outcome, bool){byPlan: one.policy.byItsPlan, byTopdown: one.policy.byTopdown} {
			b.Run(one.name+"/"+name, func(b *testing.B) {
				subjects := make([]*subject, len(pods))
				for i, pod := range pods {
					subjects[i] = documentOf(pod).review(pod)
				}
				b.ReportAllocs()
				i := 0
				for b.Loop() {
					q := question{of: subjects[i%len(subjects)], parameters: one.parameters[0], data: one.data, cancel: topdown.NewCancel(), at: time.Now()}
					if out, _ := evaluate(q); out == nil {
						b.Fatal("no answer")
					}
					i++
				}
			})
		}
	}
}
