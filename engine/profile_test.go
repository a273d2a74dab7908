package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// BenchmarkScan is a scan of Pods that all differ, page by page as a cluster
// lists them, by the Pod policies of bench/parameters.json. AKSP_ENGINE_LIST
// names the list, an object to a line (bench/generate.py); without it there are
// 1,500 made-up ones. README.md shows how to find out by it where the time goes.
func BenchmarkScan(b *testing.B) {
	e := newEngine()
	tasks := benchTasks(b, e)
	pages, pods := pagesOf(b)
	b.ReportAllocs()
	for b.Loop() {
		for _, page := range pages {
			if _, err := e.load(loadRequest{Batch: "b", Format: "list"}, page); err != nil {
				b.Fatal(err)
			}
			asked := judgeRequest{Batch: "b", DeadlineMS: 2000, Release: true}
			for _, one := range tasks {
				for d, document := range e.batches["b"].documents {
					if podPolicies[one.Policy] && document.Kind == "Pod" {
						one.Documents = append(one.Documents, d)
					}
				}
				asked.Tasks = append(asked.Tasks, one)
			}
			answer, err := e.judge(asked)
			if err == nil {
				err = writeFrame(&bytes.Buffer{}, map[string]any{"result": answer}, nil)
			}
			if err != nil || len(answer.(judgeAnswer).Faults) > 0 {
				b.Fatal(err, answer.(judgeAnswer).Faults)
			}
		}
		// Nothing of the last time may help.
		for _, policy := range e.policies {
			policy.forget()
		}
	}
	b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N*pods), "µs/Pod")
}

// benchTasks are the policies of bench/parameters.json, compiled and judged by their plans alone.
func benchTasks(b *testing.B, e *Engine) (tasks []task) {
	evaluator = byPlan
	b.Cleanup(func() { evaluator = byBoth })
	var given map[string]map[string]any
	if err := json.Unmarshal([]byte(read(b, "../bench/parameters.json")), &given); err != nil {
		b.Fatal(err)
	}
	for _, one := range definitions(b) {
		if given[one.name] == nil {
			continue
		}
		answer, err := e.compile(compileRequest{Policy: one.name, Modules: one.modules})
		if err != nil || len(answer.(compileAnswer).Faults) > 0 {
			b.Fatal(one.name, answer, err)
		}
		parameters := resolved(b, filepath.Join("../definitions", one.name), given[one.name])
		tasks = append(tasks, task{Policy: one.name, Parameters: json.RawMessage(parameters)})
	}
	return tasks
}

var podPolicies = map[string]bool{
	"allowed-images": true, "allowed-container-ports": true, "required-labels": true, "no-privileged": true, "resource-limits": true,
}

// pagesOf are the Pods in pages of 500.
func pagesOf(b *testing.B) (pages [][]byte, pods int) {
	var lines [][]byte
	if path := os.Getenv("AKSP_ENGINE_LIST"); path != "" {
		for _, line := range bytes.Split([]byte(read(b, path)), []byte("\n")) {
			if line = bytes.TrimSuffix(line, []byte(",")); bytes.Contains(line, []byte(`"kind":"Pod"`)) {
				lines = append(lines, line)
			}
		}
	} else {
		for _, pod := range unlikePods(1500) {
			line, err := json.Marshal(pod)
			if err != nil {
				b.Fatal(err)
			}
			lines = append(lines, line)
		}
	}
	for i := range lines {
		// Items of a PodList do not say what they are.
		for _, name := range []string{`"apiVersion":"v1",`, `"kind":"Pod",`} {
			lines[i] = bytes.Replace(lines[i], []byte(name), nil, 1)
		}
	}
	for start := 0; start < len(lines); start += 500 {
		page := []byte(`{"kind":"PodList","apiVersion":"v1","metadata":{"resourceVersion":"1"},"items":[`)
		page = append(page, bytes.Join(lines[start:min(start+500, len(lines))], []byte(","))...)
		pages = append(pages, append(page, "]}"...))
	}
	return pages, len(lines)
}

// BenchmarkAdmit is one review of a Pod by the Pod policies of bench/parameters.json,
// its answer written: of Pods that are alike, and of such as differ in each image.
// AKSP_ENGINE_REVIEWS names a file with a review to a line, to judge these.
func BenchmarkAdmit(b *testing.B) {
	e := newEngine()
	asked := registerRequest{Set: "s", DeadlineMS: 500}
	for _, one := range benchTasks(b, e) {
		if podPolicies[one.Policy] {
			asked.Tasks = append(asked.Tasks, registeredTask{task: one, Kinds: []string{"/Pod"}, Before: true, Enough: 1000})
		}
	}
	if _, err := e.register(asked); err != nil {
		b.Fatal(err)
	}
	reviews := reviewsOf(b)
	for _, unlike := range []bool{false, true} {
		b.Run(map[bool]string{false: "alike", true: "unlike"}[unlike], func(b *testing.B) {
			b.ReportAllocs()
			number := 0
			for b.Loop() {
				body := reviews[number%len(reviews)]
				if number++; unlike {
					body = bytes.ReplaceAll(body, []byte(`"image":"`), fmt.Appendf(nil, `"image":"i%d`, number))
				}
				header := []byte(`{"id":1,"op":"admit","set":"s","budgetMs":2000}`)
				answer, err := e.handle("admit", Frame{Header: header, Body: body, begun: time.Now()})
				if err != nil {
					b.Fatal(err)
				}
				text, err := answer.(admitAnswer).body()
				if err == nil {
					err = writeFrame(&bytes.Buffer{}, reply{ID: uint64(number), Result: answer}, text)
				}
				if err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// reviewsOf are AdmissionReviews of Pods that come.
func reviewsOf(b *testing.B) (reviews [][]byte) {
	if path := os.Getenv("AKSP_ENGINE_REVIEWS"); path != "" {
		return bytes.Split(bytes.TrimSpace([]byte(read(b, path))), []byte("\n"))
	}
	for i, pod := range unlikePods(200) {
		review, err := json.Marshal(map[string]any{
			"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview",
			"request": map[string]any{
				"uid": fmt.Sprint(i), "operation": "CREATE", "kind": map[string]any{"group": "", "version": "v1", "kind": "Pod"},
				"userInfo": map[string]any{"username": "someone"}, "object": pod,
			},
		})
		if err != nil {
			b.Fatal(err)
		}
		reviews = append(reviews, review)
	}
	return reviews
}
