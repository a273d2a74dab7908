package main

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
)

const thing = `{"apiVersion": "v1", "kind": "Thing", "metadata": {"name": "a"}, "spec": {"list": ["x", "y"], "zero": 0}}`

func verdict(t *testing.T, version, source string) (found, faults []string, answer judgeAnswer) {
	t.Helper()
	e := newEngine()
	install(t, e, "p", version, source)
	loaded(t, e, thing)
	answer = judged(t, e, "p", `{"n": 3}`)
	found, faults = messages(answer)
	return found, faults, answer
}

func TestViolationsOfBothVersionsOfRegoAreFound(t *testing.T) {
	for version, source := range map[string]string{
		"v1": `package p
violation contains {"msg": sprintf("%s of %d", [x, input.parameters.n]), "details": {"at": i}} if some i, x in input.review.object.spec.list`,
		"v0": `package p
violation[{"msg": msg, "details": {"at": i}}] { x := input.review.object.spec.list[i]; msg := sprintf("%s of %d", [x, input.parameters.n]) }`,
	} {
		found, faults, answer := verdict(t, version, source)
		equal(t, version, found, []string{"0: x of 3", "0: y of 3"})
		equal(t, "details", answer.Findings[1].Details, `{"at":1}`)
		equal(t, "faults", faults, nil)
		equal(t, "evaluations", answer.Count, 1)
	}
}

// noRequestShown is what gator 3.23.1 shows of a request that there is not.
const noRequestShown = `"oldObject":null,"operation":"","options":null,"resource":{"group":"","resource":"","version":""},"uid":"","userInfo":{}`

func TestTheReviewIsGatekeepers(t *testing.T) {
	e := newEngine()
	install(t, e, "p", "v1", `package p
violation contains {"msg": json.marshal(object.remove(input.review, ["object"]))} if true`)
	loaded(t, e, `{"apiVersion": "apps/v1", "kind": "Thing", "metadata": {"name": "a", "namespace": "b"}}{"apiVersion": "v1", "kind": "Thing", "metadata": {"generateName": "a"}}`)
	found, _ := messages(judged(t, e, "p", ""))
	equal(t, "reviews", found, []string{
		`0: {"kind":{"group":"apps","kind":"Thing","version":"v1"},"name":"a","namespace":"b",` + noRequestShown + `}`,
		`1: {"kind":{"group":"","kind":"Thing","version":"v1"},"name":"axxxxx",` + noRequestShown + `}`,
	})
}

func TestEqualFindingsStandOnceInAnAnswer(t *testing.T) {
	e := newEngine()
	install(t, e, "p", "v1", `package p
violation contains {"msg": x} if some x in input.review.object.spec.list`)
	loaded(t, e, thing+thing+thing)
	answer := judged(t, e, "p", "")
	equal(t, "findings", len(answer.Findings), 2)
	equal(t, "hits", answer.Hits, []hit{{Findings: []int{0, 1}}, {Document: 1, Findings: []int{0, 1}}, {Document: 2, Findings: []int{0, 1}}})
}

func TestViolationsThatBreakTheContractAreFaults(t *testing.T) {
	big := fmt.Sprintf(`concat("", [x | some _ in numbers.range(1, %d); x := "%s"])`, maxDetails>>6, strings.Repeat("x", 1<<6))
	for name, one := range map[string]struct{ rule, found, fault string }{
		"no msg":            {`violation contains {"details": 1} if true`, "", "a violation has no msg"},
		"message for msg":   {`violation contains {"message": "x"} if true`, "", "a violation has no msg: its message must be called msg"},
		"a msg of no text":  {`violation contains {"msg": 1} if true`, "", "the msg of a violation is number, not a string"},
		"no object":         {`violation contains "x" if true`, "", "a violation is string, not an object with msg"},
		"no set":            {`violation := {"msg": "x"}`, "", "violation is object, not a set"},
		"details too large": {`violation contains {"msg": "x", "details": ` + big + `} if true`, "", fmt.Sprintf("the details of a violation have %d bytes, more than %d (its msg: x)", maxDetails+2, maxDetails)},
		"details too deep":  {`violation contains {"msg": "x", "details": ` + strings.Repeat("[", maxDetailsDepth+1) + strings.Repeat("]", maxDetailsDepth+1) + `} if true`, "", "the details of a violation are nested more than 64 deep (its msg: x)"},
		"details just deep": {`violation contains {"msg": "x", "details": ` + strings.Repeat("[", maxDetailsDepth) + strings.Repeat("]", maxDetailsDepth) + `} if true`, "0: x", ""},
		"details of a set":  {`violation contains {"msg": "x", "details": {2, 1}} if true`, "0: x", ""},
		"one of two":        {"violation contains {\"msg\": \"x\"} if true\nviolation contains {\"x\": \"y\"} if true", "0: x", "a violation has no msg"},
		"a complete set":    {`violation := {{"msg": "x"}}`, "0: x", ""},
		"undefined":         {`violation := {{"msg": "x"}} if false`, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			found, faults, _ := verdict(t, "v1", "package p\n"+one.rule)
			equal(t, "found", strings.Join(found, "; "), one.found)
			equal(t, "faults", strings.TrimPrefix(strings.Join(faults, "; "), "0: "), one.fault)
		})
	}
}

func TestABuiltinThatFailsIsAFaultAndTheOtherViolationsStay(t *testing.T) {
	found, faults, _ := verdict(t, "v1", `package p
violation contains {"msg": "divided"} if 1 / input.review.object.spec.zero == 1
violation contains {"msg": "stays"} if true
violation contains {"msg": "number"} if to_number("x") == 1`)
	equal(t, "found", found, []string{"0: stays"})
	equal(t, "faults", faults, []string{"0: p.rego:2: div: divide by zero", `0: p.rego:4: to_number: strconv.ParseFloat: parsing "x": invalid syntax`})
}

func TestARuleThatContradictsItselfIsAFault(t *testing.T) {
	_, faults, _ := verdict(t, "v1", "package p\nviolation contains {\"msg\": r} if true\nr := \"a\" if true\nr := \"b\" if true")
	equal(t, "faults", len(faults), 1)
	contains(t, "fault", faults[0], "produced conflicting values")
}

func TestJudgeRefusesWhatTheParentGotWrong(t *testing.T) {
	e := newEngine()
	install(t, e, "p", "v1", `package p
violation contains {"msg": "x"} if true`)
	loaded(t, e, thing)
	for part, one := range map[string]judgeRequest{
		"unknown batch":        {Batch: "x"},
		"unknown policy":       {Batch: "b", DeadlineMS: 1, Tasks: []task{{Policy: "x"}}},
		"deadlineMs must":      {Batch: "b", Tasks: []task{{Policy: "p"}}},
		"has no document 1":    {Batch: "b", DeadlineMS: 1, Tasks: []task{{Policy: "p", Documents: []int{1}}}},
		"has no document -1":   {Batch: "b", DeadlineMS: 1, Tasks: []task{{Policy: "p", Documents: []int{-1}}}},
		"parameters: jsontext": {Batch: "b", DeadlineMS: 1, Tasks: []task{{Policy: "p", Parameters: json.RawMessage(`{"a": 1, "a": 2}`)}}},
	} {
		_, err := e.judge(one)
		if err == nil {
			t.Fatalf("no error: %s", part)
		}
		contains(t, "error", err.Error(), part)
		if len(one.Tasks) > 0 {
			_, err = e.isolate(isolateRequest{Batch: one.Batch, DeadlineMS: one.DeadlineMS, Task: one.Tasks[0]})
			if err == nil {
				t.Fatalf("isolate, no error: %s", part)
			}
			contains(t, "error of isolate", err.Error(), part)
		}
	}
}

// What a later policy reads was not kept, and what is not there breaks no rule.
func TestABatchIsNotJudgedByAPolicyThatReadsMoreThanItHas(t *testing.T) {
	e := newEngine()
	install(t, e, "early", "v1", "package early\nviolation contains {\"msg\": \"x\"} if input.review.object.spec.list")
	loaded(t, e, thing)
	install(t, e, "late", "v1", "package late\nviolation contains {\"msg\": \"x\"} if input.review.object.spec.zero == 0")
	install(t, e, "same", "v1", "package same\nviolation contains {\"msg\": \"x\"} if input.review.object.spec.list[0] == \"x\"")
	_, err := e.judge(judgeRequest{Batch: "b", DeadlineMS: 1000, Tasks: []task{{Policy: "late", Documents: []int{0}}}})
	if err == nil {
		t.Fatal("no error")
	}
	contains(t, "error", err.Error(), `policy "late" was compiled after the batch was loaded`)
	found, _ := messages(judged(t, e, "same", ""))
	equal(t, "found", found, []string{"0: x"})
}

func TestReferentialRulesSeeTheInventory(t *testing.T) {
	e := newEngine()
	install(t, e, "p", "v1", `package p
violation contains {"msg": path} if {
	some namespace, api, kind, name
	data.inventory.namespace[namespace][api][kind][name].spec.host == input.review.object.spec.host
	path := concat("/", [namespace, api, kind, name])
}
violation contains {"msg": name} if data.inventory.cluster["v1"].Node[name].metadata.name`)
	text := `{"apiVersion": "x/v1", "kind": "Thing", "metadata": {"name": "a", "namespace": "n"}, "spec": {"host": "h"}}
{"apiVersion": "x/v1", "kind": "Thing", "metadata": {"name": "b", "namespace": "m"}, "spec": {"host": "h"}}
{"apiVersion": "v1", "kind": "Node", "metadata": {"name": "c"}}
{"apiVersion": "x/v1", "kind": "Other", "metadata": {"name": "d", "namespace": "n"}, "spec": {"host": "h"}}`
	loadedAs(t, e, loadRequest{Batch: "b", Format: "files", WholeKinds: []string{"x/Thing", "/Node"}, Parts: []Part{{Length: len(text)}}}, text)
	empty, _ := messages(judged(t, e, "p", ""))
	equal(t, "before", empty, nil)
	added, err := e.addToInventory(inventoryRequest{Batch: "b", Kinds: []string{"x/Thing", "/Node"}})
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "added", added, any(map[string]any{"added": 3}))
	found, faults := messages(judged(t, e, "p", ""))
	equal(t, "faults", faults, nil)
	equal(t, "found", found, []string{
		"0: c", "0: m/x/v1/Thing/b", "0: n/x/v1/Thing/a", "1: c", "1: m/x/v1/Thing/b", "1: n/x/v1/Thing/a", "2: c", "3: c", "3: m/x/v1/Thing/b", "3: n/x/v1/Thing/a",
	})
}

func TestPodsOfTemplatesAreNotInTheInventory(t *testing.T) {
	e := newEngine()
	text := `{"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "a", "namespace": "n"}, "spec": {"template": {"spec": {"containers": []}}}}`
	loaded(t, e, text)
	added, err := e.addToInventory(inventoryRequest{Batch: "b", Kinds: []string{"/Pod"}})
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "added", added, any(map[string]any{"added": 0}))
}

func TestIsolateTellsWhichContainerAViolationBelongsTo(t *testing.T) {
	e := newEngine()
	install(t, e, "p", "v1", `package p
violation contains {"msg": sprintf("image %s", [c.image])} if { some field in ["containers", "initContainers"]; some c in input.review.object.spec[field]; c.image != "ok" }
violation contains {"msg": "host"} if input.review.object.spec.hostNetwork
violation contains {"msg": "number"} if to_number(input.review.object.spec.containers[_].name) > 0`)
	loaded(t, e, `{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}, "spec": {"hostNetwork": true,
		"containers": [{"name": "1", "image": "bad"}, {"name": "two", "image": "ok"}], "initContainers": [{"name": "i", "image": "worse"}]}}
		{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "b"}, "spec": null}{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "c"}, "spec": {"containers": [1, {"name": "x", "image": "bad"}]}}`)
	result, err := e.isolate(isolateRequest{Batch: "b", DeadlineMS: 1000, Task: task{Policy: "p", Documents: []int{0, 1, 2}}})
	if err != nil {
		t.Fatal(err)
	}
	documents := result.(map[string]any)["documents"].([]isolated)
	finding := func(msg string) Finding { return Finding{Msg: msg, Details: "{}"} }
	equal(t, "first", documents[0], isolated{
		Document:   0,
		Containers: [][]Finding{{finding("image bad"), finding("number")}, {}, {finding("image worse")}},
		Faults:     []string{`p.rego:4: to_number: strconv.ParseFloat: parsing "two": invalid syntax`},
	})
	equal(t, "second", documents[1], isolated{Document: 1, Containers: [][]Finding{}, Faults: []string{}})
	equal(t, "third", len(documents[2].Containers), 1)
	// The document itself is as it was.
	found, _ := messages(judged(t, e, "p", ""))
	equal(t, "found", found[:4], []string{"0: host", "0: image bad", "0: image worse", "0: number"})
}

func TestRequestsThatRunTogetherGetTheAnswersOfRequestsOnTheirOwn(t *testing.T) {
	e := newEngine()
	var text strings.Builder
	for i := range 60 {
		fmt.Fprintf(&text, `{"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "p%d"}, "spec": {"template": {"spec": {"containers": [{"name": "a", "image": "i%d"}, {"name": "b", "image": "i"}]}}}}`, i, i%7)
	}
	for _, id := range []string{"p", "q", "r"} {
		install(t, e, id, "v1", fmt.Sprintf(`package %s
violation contains {"msg": c.image, "details": {"all": input.review.object.spec}} if some c in input.review.object.spec.containers
violation contains {"msg": "expanded"} if some c in input.review.object.spec.template.spec.containers`, id))
	}
	loaded(t, e, text.String())
	want := judged(t, e, "p", `{"x": 1}`)
	var together sync.WaitGroup
	for i := range 12 {
		id := []string{"p", "q", "r"}[i%3]
		together.Go(func() {
			if i == 5 {
				install(t, e, "new", "v1", "package new\nviolation contains {\"msg\": \"x\"} if input.review.object.metadata")
			}
			equal(t, "answer", judged(t, e, id, fmt.Sprintf(`{"x": %d}`, i)), want)
			if _, err := e.isolate(isolateRequest{Batch: "b", DeadlineMS: 5000, Task: task{Policy: id, Documents: []int{1, 3, 5}}}); err != nil {
				t.Error(err)
			}
			if _, err := e.addToInventory(inventoryRequest{Batch: "b", Kinds: []string{"apps/Deployment"}}); err != nil {
				t.Error(err)
			}
			if _, err := e.load(loadRequest{Batch: fmt.Sprint(i), Format: "files", Parts: []Part{{Length: text.Len()}}}, []byte(text.String())); err != nil {
				t.Error(err)
			}
		})
	}
	together.Wait()
}

func TestTasksLikeAnEarlierOneJudgeItsDocuments(t *testing.T) {
	e := newEngine()
	install(t, e, "p", "v1", `package p
violation contains {"msg": x} if some x in input.review.object.spec.list`)
	loaded(t, e, thing+thing+thing)
	first, second, later := 0, 1, 3
	ask := func(tasks ...task) (judgeAnswer, error) {
		for i := range tasks {
			tasks[i].Policy = "p"
		}
		answer, err := e.judge(judgeRequest{Batch: "b", DeadlineMS: 2000, Tasks: tasks})
		if err != nil {
			return judgeAnswer{}, err
		}
		return answer.(judgeAnswer), nil
	}
	answer, err := ask(task{Documents: []int{0, 2}}, task{Like: &first}, task{Documents: []int{1}}, task{Like: &second})
	equal(t, "error", err, nil)
	var judged [][2]int
	for _, one := range answer.Hits {
		judged = append(judged, [2]int{one.Task, one.Document})
	}
	slices.SortFunc(judged, func(a, b [2]int) int { return slices.Compare(a[:], b[:]) })
	equal(t, "judged", judged, [][2]int{{0, 0}, {0, 2}, {1, 0}, {1, 2}, {2, 1}, {3, 0}, {3, 2}})
	for _, wrong := range []*int{&second, &later} {
		if _, err := ask(task{Documents: []int{0}}, task{Like: wrong}); err == nil {
			t.Errorf("task 1 is like task %d", *wrong)
		}
	}
}
