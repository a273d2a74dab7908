package main

import (
	"fmt"
	"runtime"
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
	late, never := "the evaluation took longer than 100ms", "not evaluated: the policy ran into its deadline of 100ms 3 times"
	equal(t, "faults", faults, []string{late, late, late, never, never, never})
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("it took %s", took)
	}
	found, _ := messages(judgedWithin(t, e, "good", 1000, 0))
	equal(t, "another policy", found, []string{"0: good"})
	// After a while it gets another chance.
	for i := range e.policies["endless"].trips.times {
		e.policies["endless"].trips.times[i] = time.Now().Add(-2 * tripsExpire)
	}
	_, faults = messages(judgedWithin(t, e, "endless", 50, 0))
	equal(t, "again", faults, []string{"0: the evaluation took longer than 50ms"})
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
	e.policies["slow"].sight = nil
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
	equal(t, "trips", len(e.policies["huge"].trips.times), 1)
	equal(t, "trips of another policy", len(e.policies["slow"].trips.times), 0)
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
	out := policy.evaluate(testGuard, nil, &snapshot{}, testDeadline)
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
