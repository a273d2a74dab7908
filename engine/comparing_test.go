package main

import (
	"fmt"
	"strings"
	"testing"
	"time"
)

// created is a review of a new Pod, updated one of a Pod that was so before.
func created(pod string) string {
	return `{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","request":{"uid":"1","operation":"CREATE",` +
		`"kind":{"group":"","version":"v1","kind":"Pod"},"namespace":"shop","name":"web","object":` + pod + `}}`
}

func updated(pod string) string {
	return strings.ReplaceAll(privilegedReview, "OBJECT", pod)
}

const (
	privilegedPod   = `{"apiVersion":"v1","kind":"Pod","metadata":{"name":"web","namespace":"shop"},"spec":{"containers":[{"name":"a","image":"i","securityContext":{"privileged":true}}]}}`
	unprivilegedPod = `{"apiVersion":"v1","kind":"Pod","metadata":{"name":"web","namespace":"shop"},"spec":{"containers":[{"name":"a","image":"i","securityContext":{"privileged":false}}]}}`
)

func compared1(t *testing.T, e *Engine, body string) admitAnswer {
	t.Helper()
	answer, err := e.admit(admitRequest{Set: "s", BudgetMS: 5000, Compare: true}, Frame{Body: []byte(body), begun: time.Now()})
	if err != nil {
		t.Fatal(err)
	}
	return answer.(admitAnswer)
}

// wronglyPlanned is an engine whose policy has the plan of other Rego.
func wronglyPlanned(t *testing.T) *Engine {
	t.Helper()
	evaluatedBy(t, byPlan)
	e := newEngine()
	install(t, e, "p", "v1", privilegedRego)
	e.policies["p"].program = compiled(t, "v1", `package wrong
violation contains {"msg": "wrong"} if input.review.object.spec.containers[_].securityContext.privileged == false`).program
	register1(t, e, `[{"policy":"p","kinds":["/Pod"],"before":true}]`)
	return e
}

func judgedAs(answer admitAnswer) string {
	found, faults := messages(answer.key.judgeAnswer)
	return fmt.Sprint(found, faults)
}

func TestTopdownCountsWhereAPlanFindsSomethingElse(t *testing.T) {
	for pod, want := range map[string][2]string{
		privilegedPod:   {"[] []", "[0: privileged] []"},
		unprivilegedPod: {"[0: wrong] []", "[] []"},
	} {
		e := wronglyPlanned(t)
		equal(t, "not compared", judgedAs(admitted(t, e, created(pod))), want[0])
		equal(t, "distrusted", e.policies["p"].distrusted.Load(), false)
		answer := compared1(t, e, created(pod))
		equal(t, "compared", judgedAs(answer), want[1])
		equal(t, "disagreements", len(answer.Disagreements), 1)
		contains(t, "the message", answer.Disagreements[0].Message, "the plan of p, or what is remembered of it, finds [")
		contains(t, "the message", answer.Disagreements[0].Message, ", topdown [")
		equal(t, "afterwards", judgedAs(admitted(t, e, created(pod))), want[1])
		equal(t, "told once", len(compared1(t, e, created(pod)).Disagreements), 0)
		install(t, e, "p", "v1", privilegedRego)
		equal(t, "compiled again", e.policies["p"].distrusted.Load(), false)
	}
}

func TestWhatThereWasBeforeIsJudgedWhereOnlyTopdownFindsSomething(t *testing.T) {
	answer := compared1(t, wronglyPlanned(t), updated(privilegedPod))
	equal(t, "disagreements", len(answer.Disagreements), 1)
	equal(t, "found", judgedAs(answer), "[0: privileged 1: privileged] []")
}

func TestWhatIsRememberedWronglyIsADisagreement(t *testing.T) {
	for _, by := range []string{byPlan, byTopdown} {
		evaluatedBy(t, by)
		e := newEngine()
		install(t, e, "p", "v1", privilegedRego)
		register1(t, e, `[{"policy":"p","kinds":["/Pod"]}]`)
		admitted(t, e, created(privilegedPod))
		for _, known := range e.taskSets["s"].jobs[0].memo.outcomes {
			known.findings = nil
		}
		equal(t, "remembered", judgedAs(admitted(t, e, created(privilegedPod))), "[] []")
		answer := compared1(t, e, created(privilegedPod))
		equal(t, "disagreements", len(answer.Disagreements), 1)
		equal(t, "found", judgedAs(answer), "[0: privileged] []")
		equal(t, "afterwards", judgedAs(admitted(t, e, created(privilegedPod))), "[0: privileged] []")
	}
}

func TestWhatCannotBeComparedIsNoDisagreement(t *testing.T) {
	evaluatedBy(t, byPlan)
	for rules, enough := range map[string]int{
		// What ends after enough of it, in whatever order.
		`violation contains {"msg": sprintf("%d", [x])} if some x in numbers.range(1, 50)`: 3,
		// What finds something else each time.
		`violation contains {"msg": sprintf("%d", [rand.intn("a", 1000000)])} if true`: 0,
		// What fails.
		`violation contains {"msg": "x"} if { some x in [0]; 1 / x == 1 }`: 0,
	} {
		e := newEngine()
		install(t, e, "p", "v1", "package p\n"+rules)
		register1(t, e, fmt.Sprintf(`[{"policy":"p","kinds":["/Pod"],"enough":%d}]`, enough))
		equal(t, rules, compared1(t, e, created(privilegedPod)).Disagreements, nil)
	}
}

func TestAComparisonThatTakesLongIsGivenUpAndCountsForNothing(t *testing.T) {
	evaluatedBy(t, byPlan)
	e := newEngine()
	// The plan answers at once; topdown, which is given another rule here, does not.
	install(t, e, "p", "v1", eachItem+never)
	slow := e.policies["p"]
	slow.program = compiled(t, "v1", "package quick\nviolation contains {\"msg\": \"quick\"} if true").program
	register1(t, e, `[{"policy":"p","kinds":["/Pod"]}]`)
	begun := time.Now()
	answer := compared1(t, e, created(privilegedPod))
	if took := time.Since(begun); took > 10*comparingTime {
		t.Errorf("it took %s", took)
	}
	equal(t, "disagreements", answer.Disagreements, nil)
	equal(t, "found", judgedAs(answer), "[0: quick] []")
	equal(t, "lately slow", slow.trips.recent(), false)
}
