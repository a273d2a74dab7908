package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
)

// task is one policy with one set of parameters over some documents.
type task struct {
	Policy     string          `json:"policy"`
	Parameters json.RawMessage `json:"parameters"`
	Documents  []int           `json:"documents"`
}

type judgeRequest struct {
	Batch      string `json:"batch"`
	DeadlineMS int    `json:"deadlineMs"` // for one evaluation
	Tasks      []task `json:"tasks"`
	Release    bool   `json:"release"` // the batch afterwards, whatever comes of it
}

// Finding is a violation in the form of Gatekeeper's contract.
type Finding struct {
	Msg     string `json:"msg"`
	Details string `json:"details"` // JSON text: the parent decodes it only where it is needed
}

// judgeAnswer lists only what was found: a document that no entry names
// complies with the task. Findings stand once, however many documents have
// them: replicas of one Deployment break the same rules in the same words.
type judgeAnswer struct {
	Findings []Finding `json:"findings"`
	Hits     []hit     `json:"hits"`
	Faults   []fault   `json:"faults"`
	Count    int       `json:"evaluations"`
}

// hit: task, document, findings (indices).
type hit struct {
	Task     int   `json:"t"`
	Document int   `json:"d"`
	Findings []int `json:"f"`
}

type fault struct {
	Task     int    `json:"t"`
	Document int    `json:"d"`
	Message  string `json:"m"`
}

// job is a task made ready: its policy looked up, its parameters parsed.
type job struct {
	policy     *Policy
	parameters ast.Value
	deadline   time.Duration
	memo       *Memo
}

func (e *Engine) job(t task, deadlineMS int) (job, error) {
	e.mu.Lock()
	policy, ok := e.policies[t.Policy]
	e.mu.Unlock()
	if !ok {
		return job{}, fmt.Errorf("unknown policy %q", t.Policy)
	}
	if deadlineMS <= 0 {
		return job{}, errors.New("deadlineMs must be positive")
	}
	set, err := policy.with(string(t.Parameters))
	if err != nil {
		return job{}, fmt.Errorf("parameters: %w", err)
	}
	return job{policy: policy, parameters: set.value, deadline: time.Duration(deadlineMS) * time.Millisecond, memo: set.memo}, nil
}

// serves refuses a policy that reads what was not kept when the batch was
// loaded: it would find nothing there, and that would look like a pass.
func (b *Batch) serves(policy *Policy) error {
	if policy.coveredBy.Load() == b.reads {
		return nil
	}
	if !b.reads.covers(policy.reads) {
		return &codedError{code: "Outdated", message: fmt.Sprintf("policy %q was compiled after the batch was loaded, and reads more of its documents", policy.id)}
	}
	policy.coveredBy.Store(b.reads)
	return nil
}

func (j job) input(review ast.Value) *ast.Term {
	return ast.NewTerm(ast.LazyObject(map[string]any{"review": review, "parameters": j.parameters}))
}

// run evaluates, and tries an evaluation that was stopped for memory again
// alone, so that only the policy that is at fault gets the error.
func (e *Engine) run(j job, review ast.Value, data *snapshot) *outcome {
	e.guard.alone.RLock()
	out := j.policy.evaluate(e.guard, j.input(review), data, j.deadline)
	e.guard.alone.RUnlock()
	if !out.starved {
		return out
	}
	e.guard.alone.Lock()
	defer e.guard.alone.Unlock()
	// What the stopped evaluations left behind must not count against this one.
	debug.FreeOSMemory()
	out = j.policy.evaluate(e.guard, j.input(review), data, j.deadline)
	if out.starved {
		j.policy.trips.add()
	}
	return out
}

// judgeOne judges a document by each of the jobs, from memory where it can.
func (e *Engine) judgeOne(document *Document, jobs []job, tasks []int, data *snapshot) []*outcome {
	outcomes := make([]*outcome, len(tasks))
	var review ast.Value
	var key []byte
	for i, t := range tasks {
		j := jobs[t]
		if j.memo != nil {
			key = j.policy.sight.key(key[:0], document)
			if outcomes[i] = j.memo.get(key); outcomes[i] != nil {
				continue
			}
		}
		if review == nil {
			review = ast.LazyObject(document.review(document.object))
		}
		outcomes[i] = e.run(j, review, data)
		if j.memo != nil && len(outcomes[i].faults) == 0 {
			e.remembered.Add(j.memo.put(key, outcomes[i]))
		}
	}
	return outcomes
}

func (e *Engine) judge(r judgeRequest) (any, error) {
	batch, err := e.batch(r.Batch)
	if err != nil {
		return nil, err
	}
	if r.Release {
		defer func() { _, _ = e.release(batchRequest{Batch: r.Batch}) }()
	}
	jobs := make([]job, len(r.Tasks))
	tasksOf := make([][]int, len(batch.documents))
	needsInventory := false
	for t, one := range r.Tasks {
		if jobs[t], err = e.job(one, r.DeadlineMS); err != nil {
			return nil, err
		}
		if err := batch.serves(jobs[t].policy); err != nil {
			return nil, err
		}
		needsInventory = needsInventory || jobs[t].policy.useInventory
		for _, d := range one.Documents {
			if d < 0 || d >= len(batch.documents) {
				return nil, fmt.Errorf("batch %q has no document %d", r.Batch, d)
			}
			tasksOf[d] = append(tasksOf[d], t)
		}
	}
	return e.judgeAll(batch, jobs, tasksOf, needsInventory)
}

// judgeAll judges each document by its tasks.
func (e *Engine) judgeAll(batch *Batch, jobs []job, tasksOf [][]int, needsInventory bool) (judgeAnswer, error) {
	data, err := e.inventory.snapshot(needsInventory)
	if err != nil {
		return judgeAnswer{}, err
	}
	defer data.close()

	found := make([][]*outcome, len(batch.documents))
	e.parallel(len(batch.documents), func(d int) {
		found[d] = e.judgeOne(batch.documents[d], jobs, tasksOf[d], data)
	})

	e.forgetIfFull()

	answer := judgeAnswer{Findings: []Finding{}, Hits: []hit{}, Faults: []fault{}}
	table := findingTable{index: map[Finding]int{}, numbers: map[*outcome][]int{}}
	for d, outcomes := range found {
		for i, out := range outcomes {
			answer.Count++
			t := tasksOf[d][i]
			numbers := table.add(out)
			if len(numbers) > 0 {
				answer.Hits = append(answer.Hits, hit{Task: t, Document: d, Findings: numbers})
			}
			for _, message := range out.faults {
				answer.Faults = append(answer.Faults, fault{Task: t, Document: d, Message: message})
			}
		}
	}
	answer.Findings = append(answer.Findings, table.findings...)
	return answer, nil
}

// findingTable gives equal findings one number.
type findingTable struct {
	findings []Finding
	index    map[Finding]int
	numbers  map[*outcome][]int // of outcomes that came from memory
}

func (table *findingTable) add(out *outcome) []int {
	if len(out.findings) == 0 {
		return nil
	}
	if numbers, known := table.numbers[out]; known {
		return numbers
	}
	numbers := make([]int, len(out.findings))
	for i, one := range out.findings {
		number, known := table.index[one]
		if !known {
			number = len(table.findings)
			table.index[one] = number
			table.findings = append(table.findings, one)
		}
		numbers[i] = number
	}
	table.numbers[out] = numbers
	return numbers
}

// Details beyond these bounds are a policy's mistake (a whole document, or the
// result of a runaway comprehension) and would only drown the report.
const (
	maxDetails      = 256 << 10 // bytes of JSON
	maxDetailsDepth = 64
)

func findingOf(violation ast.Value) (Finding, error) {
	object, ok := violation.(ast.Object)
	if !ok {
		return Finding{}, fmt.Errorf("a violation is %s, not an object with msg", ast.ValueName(violation))
	}
	msg := object.Get(ast.InternedTerm("msg"))
	if msg == nil {
		return Finding{}, errors.New("a violation has no msg")
	}
	text, ok := msg.Value.(ast.String)
	if !ok {
		return Finding{}, fmt.Errorf("the msg of a violation is %s, not a string", ast.ValueName(msg.Value))
	}
	out := Finding{Msg: string(text), Details: "{}"}
	details := object.Get(ast.InternedTerm("details"))
	if details == nil {
		return out, nil
	}
	native, err := ast.JSONWithOpt(details.Value, ast.JSONOpt{SortSets: true})
	if err != nil {
		return Finding{}, fmt.Errorf("the details of a violation: %w", err)
	}
	if depth(native, maxDetailsDepth) > maxDetailsDepth {
		return Finding{}, fmt.Errorf("the details of a violation are nested more than %d deep (its msg: %s)", maxDetailsDepth, out.Msg)
	}
	encoded, err := json.Marshal(native)
	if err != nil {
		return Finding{}, fmt.Errorf("the details of a violation: %w", err)
	}
	if len(encoded) > maxDetails {
		return Finding{}, fmt.Errorf("the details of a violation have %d bytes, more than %d (its msg: %s)", len(encoded), maxDetails, out.Msg)
	}
	out.Details = string(encoded)
	return out, nil
}

// depth counts nesting, and stops counting one level past the bound.
func depth(value any, bound int) int {
	if bound < 0 {
		return 1
	}
	deepest := 0
	switch value := value.(type) {
	case []any:
		for _, entry := range value {
			deepest = max(deepest, depth(entry, bound-1))
		}
	case map[string]any:
		for _, entry := range value {
			deepest = max(deepest, depth(entry, bound-1))
		}
	default:
		return 0
	}
	return deepest + 1
}

type isolateRequest struct {
	Batch      string `json:"batch"`
	DeadlineMS int    `json:"deadlineMs"`
	Task       task   `json:"task"`
}

type isolated struct {
	Document   int         `json:"d"`
	Without    []Finding   `json:"without"`    // on a copy of the Pod without any container
	Containers [][]Finding `json:"containers"` // on copies that hold one container each
	Faults     []string    `json:"faults"`
}

// isolate judges copies of each Pod that hold one container each, and one that
// holds none. It is for templates whose violations name no container: what
// remains in a copy belongs to that container, what remains without any
// belongs to the Pod.
func (e *Engine) isolate(r isolateRequest) (any, error) {
	batch, err := e.batch(r.Batch)
	if err != nil {
		return nil, err
	}
	one, err := e.job(r.Task, r.DeadlineMS)
	if err != nil {
		return nil, err
	}
	if err := batch.serves(one.policy); err != nil {
		return nil, err
	}
	data, err := e.inventory.snapshot(one.policy.useInventory)
	if err != nil {
		return nil, err
	}
	defer data.close()
	for _, d := range r.Task.Documents {
		if d < 0 || d >= len(batch.documents) {
			return nil, fmt.Errorf("batch %q has no document %d", r.Batch, d)
		}
	}
	out := make([]isolated, len(r.Task.Documents))
	e.parallel(len(out), func(i int) {
		d := r.Task.Documents[i]
		document := batch.documents[d]
		result := isolated{Document: d, Without: []Finding{}, Containers: [][]Finding{}, Faults: []string{}}
		judgeCopy := func(keep *Container) []Finding {
			out := e.run(one, ast.LazyObject(document.review(document.only(keep))), data)
			result.Faults = append(result.Faults, out.faults...)
			return append([]Finding{}, out.findings...)
		}
		result.Without = judgeCopy(nil)
		for c := range document.Containers {
			result.Containers = append(result.Containers, judgeCopy(&document.Containers[c]))
		}
		slices.Sort(result.Faults)
		result.Faults = slices.Compact(result.Faults)
		out[i] = result
	})
	return map[string]any{"documents": out}, nil
}

// only is a copy of the Pod that keeps one container, or none.
func (d *Document) only(keep *Container) map[string]any {
	object := cloneShallow(d.object)
	spec, _ := object["spec"].(map[string]any)
	spec = cloneShallow(spec)
	for _, field := range containerFields {
		list, ok := spec[field].([]any)
		if !ok {
			continue
		}
		if keep != nil && keep.Type == field {
			spec[field] = []any{list[keep.index]}
		} else {
			spec[field] = []any{}
		}
	}
	object["spec"] = spec
	return object
}

func cloneShallow(object map[string]any) map[string]any {
	copied := make(map[string]any, len(object))
	for key, value := range object {
		copied[key] = value
	}
	return copied
}
