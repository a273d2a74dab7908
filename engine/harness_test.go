package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"aksp.dev/engine/plan"
)

// Without a word, tests evaluate by both, so that a difference is a fault.
func init() {
	if os.Getenv("AKSP_ENGINE_EVALUATOR") == "" {
		evaluator = byBoth
	}
}

const testDeadline = 5 * time.Second

// compiled is a policy of one module, which must have no faults.
func compiled(t testing.TB, version, source string, libraries ...module) *Policy {
	t.Helper()
	modules := append([]module{{Name: "policy.rego", Source: source, Version: version}}, libraries...)
	policy, faults := compilePolicy(compileRequest{Policy: "policy", Modules: modules})
	if len(faults) > 0 {
		t.Fatalf("faults: %+v\n%s", faults, source)
	}
	return policy
}

// install compiles a policy into an engine, under an id.
func install(t testing.TB, e *Engine, id, version, source string) {
	t.Helper()
	answer, err := e.compile(compileRequest{Policy: id, Modules: []module{{Name: id + ".rego", Source: source, Version: version}}})
	if err != nil {
		t.Fatal(err)
	}
	if faults := answer.(compileAnswer).Faults; len(faults) > 0 {
		t.Fatalf("faults: %+v", faults)
	}
}

// loaded loads one file into an engine, as batch "b".
func loaded(t testing.TB, e *Engine, text string) loadAnswer {
	t.Helper()
	return loadedAs(t, e, loadRequest{Batch: "b", Format: "files", Parts: []Part{{Length: len(text)}}}, text)
}

func loadedAs(t testing.TB, e *Engine, r loadRequest, text string) loadAnswer {
	t.Helper()
	answer, err := e.load(r, []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return answer.(loadAnswer)
}

// judged judges all documents of batch "b" by one policy, of whatever shape they
// are: how rules are evaluated is tested with odd documents.
func judged(t testing.TB, e *Engine, policy, parameters string) judgeAnswer {
	t.Helper()
	e.mu.Lock()
	for _, document := range e.batches["b"].documents {
		// Tests judge one batch from several goroutines, so it is written only where there is something to change.
		if document.misshapen {
			document.misshapen = false
		}
	}
	e.mu.Unlock()
	return judgedAsLoaded(t, e, policy, parameters)
}

func judgedAsLoaded(t testing.TB, e *Engine, policy, parameters string) judgeAnswer {
	t.Helper()
	e.mu.Lock()
	documents := len(e.batches["b"].documents)
	e.mu.Unlock()
	one := task{Policy: policy, Parameters: json.RawMessage(parameters)}
	for d := range documents {
		one.Documents = append(one.Documents, d)
	}
	answer, err := e.judge(judgeRequest{Batch: "b", DeadlineMS: int(testDeadline.Milliseconds()), Tasks: []task{one}})
	if err != nil {
		t.Fatal(err)
	}
	return answer.(judgeAnswer)
}

// messages are what an answer found, as "document: msg", and its faults.
func messages(answer judgeAnswer) (found, faults []string) {
	for _, one := range answer.Hits {
		for _, number := range one.Findings {
			found = append(found, fmt.Sprintf("%d: %s", one.Document, answer.Findings[number].Msg))
		}
	}
	for _, one := range answer.Faults {
		faults = append(faults, fmt.Sprintf("%d: %s", one.Document, one.Message))
	}
	return found, faults
}

// evaluated is the outcome of a policy over a native object.
func evaluated(t testing.TB, policy *Policy, object map[string]any, parameters any) *outcome {
	t.Helper()
	data, err := newInventory().snapshot(false)
	if err != nil {
		t.Fatal(err)
	}
	defer data.close()
	document := documentOf(object)
	return policy.evaluate(testGuard, document.review(object), &parameterSet{native: parameters, unusual: !plan.Usual(parameters)}, data, patience{deadline: testDeadline})
}

// testGuard is one for all tests that need no limit of their own: with -race on a slow machine a built-in that nothing
// stops takes longer than it may elsewhere.
var testGuard = func() *Guard {
	guard := startGuard()
	guard.grace = time.Minute
	return guard
}()

func documentOf(object map[string]any) *Document {
	document := &Document{object: object}
	document.APIVersion, _ = object["apiVersion"].(string)
	document.Kind, _ = object["kind"].(string)
	document.describe()
	return document
}

func native(t testing.TB, text string) any {
	t.Helper()
	value, err := parseJSON([]byte(text), everything())
	if err != nil {
		t.Fatal(err)
	}
	return value
}

func equal[T any](t testing.TB, what string, got, want T) {
	t.Helper()
	one, _ := json.Marshal(got)
	other, _ := json.Marshal(want)
	if string(one) != string(other) {
		t.Errorf("%s:\n got %s\nwant %s", what, one, other)
	}
}

func contains(t testing.TB, what, text, part string) {
	t.Helper()
	if !strings.Contains(text, part) {
		t.Errorf("%s is %q, without %q", what, text, part)
	}
}

// reading makes a settled tree of paths like spec.containers.*.image.
func reading(paths ...string) *Reads {
	reads := newReads()
	for _, path := range paths {
		reads.add(strings.Split(path, ".")...)
	}
	return reads.settle()
}

func read(t testing.TB, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func glob(t testing.TB, pattern string) []string {
	t.Helper()
	paths, err := filepath.Glob(pattern)
	if err != nil || len(paths) == 0 {
		t.Fatalf("no file matches %s", pattern)
	}
	slices.Sort(paths)
	return paths
}
