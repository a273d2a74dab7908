package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
)

// foundBy is what a policy finds in items of a document at admission.
func foundBy(t *testing.T, policy *Policy, items int, limits patience) *outcome {
	t.Helper()
	list := make([]any, items)
	for i := range list {
		list[i] = fmt.Sprint("item ", i)
	}
	object := map[string]any{"apiVersion": "example.com/v1", "kind": "Thing", "spec": map[string]any{"items": list}}
	data, err := newInventory().snapshot(false)
	if err != nil {
		t.Fatal(err)
	}
	defer data.close()
	return policy.evaluate(testGuard, documentOf(object).review(object), &parameterSet{native: map[string]any{}}, data, limits)
}

const eachItem = `package p
violation contains {"msg": msg} if some msg in input.review.object.spec.items
`

const never = `
violation contains {"msg": "never"} if {
	some a in numbers.range(1, 100000)
	some b in numbers.range(1, 100000)
	a * b == -1
}`

func TestWhatIsFoundByTheDeadlineCountsAtAdmissionAlone(t *testing.T) {
	policy := compiled(t, "v1", eachItem+never)
	for _, early := range []bool{true, false} {
		out := foundBy(t, policy, 3, patience{deadline: 50 * time.Millisecond, early: early})
		equal(t, "faults", out.faults, []string{"the evaluation took longer than 50ms"})
		if early && len(out.findings) != 3 || !early && len(out.findings) != 0 {
			t.Errorf("early %v: found %v", early, out.findings)
		}
	}
	equal(t, "trips", len(policy.trips.seen), 1)
}

func TestAnEvaluationEndsOnceItHasEnough(t *testing.T) {
	policy := compiled(t, "v1", eachItem+never)
	for items, want := range map[int]int{9: 0, 10: 10, 500: 10} {
		out := foundBy(t, policy, items, patience{deadline: 50 * time.Millisecond, early: true, enough: 10})
		if cut := want > 0; out.cut != cut || cut && (len(out.findings) != want || len(out.faults) > 0) {
			t.Errorf("%d items: cut %v, %d findings, faults %v", items, out.cut, len(out.findings), out.faults)
		}
	}
}

func TestEqualViolationsAreOneTowardsEnough(t *testing.T) {
	policy := compiled(t, "v1", "package p\nviolation contains {\"msg\": \"one\"} if some item in input.review.object.spec.items")
	out := foundBy(t, policy, 500, patience{deadline: testDeadline, early: true, enough: 2})
	equal(t, "findings", out.findings, []Finding{{Msg: "one", Details: "{}"}})
	equal(t, "cut", out.cut, false)
}

func TestViolationsOfARuleThatFailsDoNotCount(t *testing.T) {
	policy := compiled(t, "v1", eachItem+`
violation contains {"msg": two} if two := value(count(input.review.object.spec.items))
value(n) := "a" if n > 0
value(n) := "b" if n > 1`)
	out := foundBy(t, policy, 5, patience{deadline: testDeadline, early: true})
	equal(t, "findings", len(out.findings), 0)
	equal(t, "faults", len(out.faults), 1)
}

func TestOnlyRulesWhoseViolationsNoOtherRuleReadsTellThem(t *testing.T) {
	for source, want := range map[string]bool{
		eachItem: true,
		"package p\nviolation := {{\"msg\": \"x\"}}":                                                                                           false,
		eachItem + "\nviolation contains {\"msg\": \"with\"} if count(data.p.violation) > 3 with input as {}":                                  false,
		eachItem + "\nother if { some x in violation with input as {}; x }":                                                                    false,
		eachItem + "\nother if { some x; data.p[x] }":                                                                                          false,
		eachItem + "\nother if { some x; data[x] }":                                                                                            false,
		eachItem + "\nother if data.inventory.cluster":                                                                                         true,
		"package p\nviolation contains {\"msg\": sprintf(\"%d\", [count([1 | some x in [1]])]), \"details\": {\"a\": [y | some y in [1, 2]]}}": true,
	} {
		modules := []module{{Name: "policy.rego", Source: source, Version: "v1"}}
		policy, faults := compilePolicy(compileRequest{Policy: "p", Modules: modules})
		if len(faults) > 0 {
			if want {
				t.Errorf("%+v\n%s", faults, source)
			}
			continue // a rule may not read itself
		}
		if policy.tells != want {
			t.Errorf("tells: %v, want %v\n%s", policy.tells, want, source)
		}
		whole := foundBy(t, policy, 4, patience{deadline: testDeadline})
		early := foundBy(t, policy, 4, patience{deadline: testDeadline, early: true})
		equal(t, source, early.findings, whole.findings)
		equal(t, source, early.faults, whole.faults)
	}
}

func TestNoRegoCanNameWhatTellsViolations(t *testing.T) {
	source := "package p\nviolation contains {\"msg\": \"x\"} if " + foundBuiltin.Name + "({\"msg\": \"false\"})"
	_, faults := compilePolicy(compileRequest{Policy: "p", Modules: []module{{Name: "p.rego", Source: source, Version: "v1"}}})
	if len(faults) == 0 || !strings.Contains(faults[0].Message, "undefined function") {
		t.Errorf("faults: %+v", faults)
	}
	if _, known := ast.BuiltinMap[foundBuiltin.Name]; known {
		t.Error("it is registered")
	}
}

func TestBuiltInDefinitionsTellTheirViolations(t *testing.T) {
	for _, one := range definitions(t) {
		if policy := library(t, one.modules[0].Source); !policy.tells {
			t.Errorf("%s tells no violations as they are found", one.name)
		}
	}
}

func TestWhatIsFoundInALargeReviewDependsOnNoEarlierOne(t *testing.T) {
	e := newEngine()
	install(t, e, "p", "v1", strings.Replace(eachPrivileged, "package rule", "package p", 1)+strings.Replace(never, "if {", "if {\n\tcount(input.review.object.spec.containers) > 5000", 1))
	var request registerRequest
	if err := json.Unmarshal([]byte(`{"set":"s","deadlineMs":50,"tasks":[{"policy":"p","kinds":["/Pod"]}]}`), &request); err != nil {
		t.Fatal(err)
	}
	if _, err := e.register(request); err != nil {
		t.Fatal(err)
	}
	compliant := strings.ReplaceAll(manyPrivileged(6000, false), "true", "false")
	for range maxTrips + 1 {
		equal(t, "hits", len(admittedWithin(t, e, compliant, 5000).key.Hits), 0)
	}
	equal(t, "hits", len(admittedWithin(t, e, manyPrivileged(6000, false), 5000).key.Hits), 1)
}
