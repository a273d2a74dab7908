package main

import (
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

const endless = `package p
violation contains {"msg": "x"} if {
	some i in numbers.range(1, 100000)
	some j in numbers.range(1, 100000)
	i * j == -1
}`

func judgedWithin(t *testing.T, e *Engine, policy string, milliseconds int, documents ...int) judgeAnswer {
	t.Helper()
	answer, err := e.judge(judgeRequest{Batch: "b", DeadlineMS: milliseconds, Tasks: []task{{Policy: policy, Documents: documents}}})
	if err != nil {
		t.Fatal(err)
	}
	return answer.(judgeAnswer)
}

func TestAnEndlessLoopEndsAtItsDeadlineAndIsNotTriedForEver(t *testing.T) {
	t.Setenv("AKSP_ENGINE_EVALUATION_MEMORY", fmt.Sprint(8<<30))
	e := newEngine()
	install(t, e, "endless", "v1", endless)
	install(t, e, "good", "v1", "package q\nviolation contains {\"msg\": \"good\"} if true")
	loaded(t, e, strings.Repeat(thing, 20))
	began := time.Now()
	var faults []string
	for d := range 6 {
		_, more := messages(judgedWithin(t, e, "endless", 100, d))
		faults = append(faults, strings.TrimLeft(more[0], "0123456789: "))
	}
	late, never := "the evaluation took longer than 100ms", "not evaluated: the policy ran into its deadline 3 times with objects that are no larger"
	equal(t, "faults", faults, []string{late, late, late, never, never, never})
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("it took %s", took)
	}
	found, _ := messages(judgedWithin(t, e, "good", 1000, 0))
	equal(t, "another policy", found, []string{"0: good"})
	// After a while it gets another chance.
	for i := range e.policies["endless"].trips.seen {
		e.policies["endless"].trips.seen[i].at = time.Now().Add(-2 * tripsExpire)
	}
	_, faults = messages(judgedWithin(t, e, "endless", 50, 0))
	equal(t, "again", faults, []string{"0: the evaluation took longer than 50ms"})
}

func TestHowLongWhatWasStoppedMayGoOnIsSetByTheEnvironment(t *testing.T) {
	for text, want := range map[string]time.Duration{"": graceTime, "0": graceTime, "x": graceTime, "250": 250 * time.Millisecond} {
		t.Setenv("AKSP_ENGINE_EVALUATION_GRACE", text)
		if is := startGuard().grace; is != want {
			t.Errorf("%q: %s, not %s", text, is, want)
		}
	}
}

func TestAHugeSetHitsTheMemoryGuardAndOnlyItsOwnPolicyIsAtFault(t *testing.T) {
	var now runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&now)
	limit := now.HeapAlloc>>20 + 48
	t.Setenv("AKSP_ENGINE_EVALUATION_MEMORY", fmt.Sprint(limit<<20))
	e := newEngine()
	install(t, e, "huge", "v1", `package p
violation contains {"msg": "x"} if count({x | some i in numbers.range(1, 100000); x := sprintf("%04000d", [i])}) > 0`)
	install(t, e, "slow", "v1", `package q
violation contains {"msg": "slow"} if count([i | some i in numbers.range(1, 20000); i % 7 == 8]) == 0`)
	loaded(t, e, strings.Repeat(thing, 4))
	// Without memory of outcomes, so that each is evaluated beside the huge one.
	e.policies["slow"].visible = nil
	var together sync.WaitGroup
	together.Go(func() {
		_, faults := messages(judgedWithin(t, e, "huge", 60000, 0))
		equal(t, "faults", faults, []string{fmt.Sprintf("0: the evaluation needed more than %d MiB of memory", limit)})
	})
	for range 3 {
		together.Go(func() {
			found, faults := messages(judgedWithin(t, e, "slow", 60000, 1, 2, 3))
			equal(t, "found", found, []string{"1: slow", "2: slow", "3: slow"})
			equal(t, "faults of another policy", faults, nil)
		})
	}
	together.Wait()
	equal(t, "trips", len(e.policies["huge"].trips.seen), 1)
	equal(t, "trips of another policy", len(e.policies["slow"].trips.seen), 0)
}

func TestEvaluationsLeaveNothingRunning(t *testing.T) {
	e := newEngine()
	install(t, e, "endless", "v1", endless)
	install(t, e, "good", "v1", "package q\nviolation contains {\"msg\": \"good\"} if true")
	loaded(t, e, strings.Repeat(thing, 50))
	judged(t, e, "good", "")
	before := runtime.NumGoroutine()
	for range 20 {
		judged(t, e, "good", "")
	}
	judgedWithin(t, e, "endless", 50, 0)
	for deadline := time.Now().Add(testDeadline); runtime.NumGoroutine() > before && time.Now().Before(deadline); {
		time.Sleep(5 * time.Millisecond)
	}
	if after := runtime.NumGoroutine(); after > before {
		t.Errorf("%d goroutines became %d", before, after)
	}
	e.guard.mu.Lock()
	defer e.guard.mu.Unlock()
	equal(t, "evaluations under way", len(e.guard.running), 0)
}

func TestACrashOfAnEvaluationIsAFault(t *testing.T) {
	policy := compiled(t, "v1", "package p\nviolation contains {\"msg\": \"x\"} if data.inventory.cluster")
	out := policy.evaluate(testGuard, &subject{}, &parameterSet{}, &snapshot{unusual: true}, patience{deadline: testDeadline})
	equal(t, "faults", len(out.faults), 1)
	contains(t, "fault", out.faults[0], "the evaluation crashed: ")
	testGuard.mu.Lock()
	defer testGuard.mu.Unlock()
	equal(t, "evaluations under way", len(testGuard.running), 0)
}

func TestAPanicInARequestIsItsError(t *testing.T) {
	e := newEngine()
	e.policies["p"] = nil
	e.batches["b"] = &Batch{reads: everything()}
	if _, err := e.handle("judge", Frame{Header: []byte(`{"batch": "b", "deadlineMs": 1, "tasks": [{"policy": "p"}]}`)}); err == nil || !strings.Contains(err.Error(), "engine bug in judge") {
		t.Error(err)
	}
}

// pairs compares each item with each other one.
const pairs = `package p
violation contains {"msg": "found"} if {
	count([1 | some i in input.review.object.spec.items; some j in input.review.object.spec.items; i == j]) >= 0
	input.review.object.spec.items[0] == 0
}`

func thingOf(items int) string {
	list := strings.TrimSuffix(strings.Repeat("0,", items), ",")
	return fmt.Sprintf("---\n{apiVersion: example.com/v1, kind: Thing, metadata: {name: t%d}, spec: {items: [%s]}}\n", items, list)
}

func TestAPolicyThatRanOutOfTimeWithLargeObjectsStillJudgesSmallOnes(t *testing.T) {
	e := newEngine()
	install(t, e, "pairs", "v1", pairs)
	var texts strings.Builder
	for n := range 4 {
		texts.WriteString(thingOf(20000 + n))
	}
	texts.WriteString(thingOf(3))
	loaded(t, e, texts.String())
	for d := range 3 {
		_, faults := messages(judgedWithin(t, e, "pairs", 100, d))
		equal(t, "faults", faults, []string{fmt.Sprintf("%d: the evaluation took longer than 100ms", d)})
	}
	_, faults := messages(judgedWithin(t, e, "pairs", 100, 3))
	equal(t, "a fourth large one", faults, []string{"3: not evaluated: the policy ran into its deadline 3 times with objects that are no larger"})
	found, faults := messages(judgedWithin(t, e, "pairs", 5000, 4))
	equal(t, "faults of a small one", faults, nil)
	equal(t, "a small one", found, []string{"4: found"})
}

func TestOneObjectHasNoMoreTimeForAllPoliciesThanForTwo(t *testing.T) {
	e := newEngine()
	var tasks []task
	for n := range 8 {
		name := fmt.Sprintf("endless%d", n)
		install(t, e, name, "v1", endless)
		tasks = append(tasks, task{Policy: name, Documents: []int{0}})
	}
	install(t, e, "good", "v1", "package q\nviolation contains {\"msg\": \"good\"} if true")
	loaded(t, e, thing+thing)
	judgedAll := func(d int) ([]string, []string) {
		for i := range tasks {
			tasks[i].Documents = []int{d}
		}
		answer, err := e.judge(judgeRequest{Batch: "b", DeadlineMS: 200, Tasks: append(tasks, task{Policy: "good", Documents: []int{d}})})
		if err != nil {
			t.Fatal(err)
		}
		return messages(answer.(judgeAnswer))
	}
	began := time.Now()
	_, faults := judgedAll(0)
	if took := time.Since(began); took > 1200*time.Millisecond {
		t.Errorf("it took %s", took)
	}
	contains(t, "the last fault", faults[len(faults)-1], "all evaluations of the object together took longer than 400ms")
	// What ran out of time comes last from now on.
	for range 3 {
		judgedAll(1)
	}
	found, _ := judgedAll(1)
	equal(t, "found beside endless policies", found, []string{"1: good"})
}

// However many rules do not end, they take no verdict from the others, and of the
// time little more together than one does.
func TestManyEndlessRulesTakeNoMoreTimeTogetherThanTheyAreAllowed(t *testing.T) {
	const rules, objects = 30, 12
	e := newEngine()
	e.lost.limit = 400 * time.Millisecond
	var tasks []task
	documents := make([]int, objects)
	for d := range documents {
		documents[d] = d
	}
	for n := range rules {
		name, body := fmt.Sprintf("endless%d", n), endless
		if n%2 == 1 {
			// It ends for the first object, as if it were an honest one.
			body = strings.Replace(endless, "if {", "if {\n input.review.object.metadata.name != \"t0\"", 1)
		}
		install(t, e, name, "v1", body)
		tasks = append(tasks, task{Policy: name, Documents: documents})
	}
	install(t, e, "good", "v1", "package q\nviolation contains {\"msg\": input.review.object.metadata.name} if true")
	tasks = append(tasks, task{Policy: "good", Documents: documents})
	var texts strings.Builder
	for d := range documents {
		texts.WriteString(strings.Replace(thingOf(1), "name: t1", fmt.Sprintf("name: t%d", d), 1))
	}
	loaded(t, e, texts.String())
	answer, err := e.judge(judgeRequest{Batch: "b", DeadlineMS: 200, Tasks: tasks})
	if err != nil {
		t.Fatal(err)
	}
	found, faults := messages(answer.(judgeAnswer))
	want := []string{}
	for d := range documents {
		want = append(want, fmt.Sprintf("%d: t%d", d, d))
	}
	slices.Sort(found)
	slices.Sort(want)
	equal(t, "found by the honest rule", found, want)
	equal(t, "faults", len(faults), rules*objects-rules/2)
	late := 0
	for _, fault := range faults {
		if strings.Contains(fault, "the evaluation took longer than") {
			late++
			continue
		}
		if !strings.Contains(fault, "not evaluated: rules that took too long have taken 400ms together") {
			contains(t, "fault", fault, "not evaluated: all evaluations of the object together took longer than 400ms")
		}
	}
	// All that is spent is spent by evaluations that were stopped: those that the time is enough for, the last ones of
	// as many rules as there is time for, what was under way then, and a moment on each core for those that were quick.
	if most := int(lastChances/lastChance) + (6+rules/2)*runtime.GOMAXPROCS(0); late > most {
		t.Errorf("%d evaluations went on until they were stopped, more than %d", late, most)
	}
	e.lost.mu.Lock()
	defer e.lost.mu.Unlock()
	equal(t, "evaluations that lost time", len(e.lost.seen), late)
}

func TestLastChancesAreBoundedButForWhoHasEndedByItself(t *testing.T) {
	l := &lost{limit: lostTime}
	endless, slow, usual := &trips{}, &trips{}, &trips{}
	slow.ended(false)
	usual.ended(true)
	equal(t, "at first", l.patience(endless, time.Second), time.Second)
	l.add(lostTime, time.Second)
	for range int(lastChances / lastChance) {
		equal(t, "a last chance", l.patience(endless, time.Second), lastChance)
		l.add(lastChance, lastChance)
	}
	equal(t, "after the last ones", l.patience(endless, time.Second), 0)
	equal(t, "of one that ends", l.patience(slow, time.Second), lastChance)
	equal(t, "of one that is quick", l.patience(usual, time.Second), quick)
}

func TestWhatCameLateIsLateAlsoWhenItIsToldApart(t *testing.T) {
	e := newEngine()
	install(t, e, "p", "v1", `package p
violation contains {"msg": one.name} if some one in input.review.object.spec.volumes`)
	loaded(t, e, `{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}, "spec": {"containers": [{"name": "a", "image": "a"}]}}`)
	j, err := e.job(task{Policy: "p"}, 5000)
	if err != nil {
		t.Fatal(err)
	}
	data, err := e.inventory.snapshot(false)
	if err != nil {
		t.Fatal(err)
	}
	defer data.close()
	late := &outcome{findings: []Finding{{Msg: "kube-api-access-xxxxx", Details: "{}"}}, late: true}
	told := e.toldApart(j, e.batches["b"].documents[0], late, data, &budget{length: time.Minute}, whole)
	contains(t, "the finding", told.findings[0].Msg, "about what the API server adds")
	equal(t, "late", told.late, true)
}
