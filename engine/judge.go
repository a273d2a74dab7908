package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"sync"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
)

// task is one policy with one set of parameters over some documents.
type task struct {
	Policy     string          `json:"policy"`
	Parameters json.RawMessage `json:"parameters"`
	Documents  []int           `json:"documents"`
	Like       *int            `json:"like"` // an earlier task that has the same documents
}

type judgeRequest struct {
	Batch      string `json:"batch"`
	DeadlineMS int    `json:"deadlineMs"` // for one evaluation
	Tasks      []task `json:"tasks"`
	Release    bool   `json:"release"` // the batch afterwards, whatever comes of it
	Places     bool   `json:"places"`  // in files: where what was found is written
}

// Finding is a violation in the form of Gatekeeper's contract.
type Finding struct {
	Msg     string `json:"msg"`
	Details string `json:"details"` // JSON text: the parent decodes it only where it is needed
	path    string // that they name; empty for none
}

// judgeAnswer lists only what was found: a document that no entry names
// complies with the task. Findings stand once, however many documents have
// them: replicas of one Deployment break the same rules in the same words.
type judgeAnswer struct {
	Findings []Finding `json:"findings"`
	Hits     []hit     `json:"hits"`
	Faults   []fault   `json:"faults"`
	Count    int       `json:"evaluations"`
	places
}

// hit: task, document, findings (indices), and whether there may be more.
type hit struct {
	Task     int   `json:"t"`
	Document int   `json:"d"`
	Findings []int `json:"f"`
	Cut      bool  `json:"cut,omitempty"`
}

type fault struct {
	Task     int    `json:"t"`
	Document int    `json:"d"`
	Message  string `json:"m"`
}

// job is a task made ready: its policy looked up, its parameters parsed.
type job struct {
	policy     *Policy
	parameters *parameterSet
	deadline   time.Duration // for one evaluation
	memo       *Memo
	scan       bool // it shares the time that rules of scans may lose: see lost
	brief      bool // one that is not quick gives no outcome, and is put off
	early      bool // see patience, and so the next two
	anyway     bool
	enough     int
	aside      bool // by topdown, to compare: see patience
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
	return job{policy: policy, parameters: set, deadline: time.Duration(deadlineMS) * time.Millisecond, memo: set.memo}, nil
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

// run evaluates, and tries an evaluation that was stopped for memory again
// alone, so that only the policy that is at fault gets the error.
func (e *Engine) run(j job, of *subject, data *snapshot, left *budget) *outcome {
	evaluate := func(alone bool) *outcome {
		limits := patience{early: j.early, anyway: j.anyway, enough: j.enough, brief: j.brief, topdown: alone || j.aside, aside: j.aside}
		if limits.deadline = min(j.deadline, quick); !j.brief {
			if limits.deadline = left.deadline(j.deadline); limits.deadline == 0 {
				return &outcome{faults: []string{left.spent()}, late: true}
			}
			if j.scan {
				if limits.deadline = min(limits.deadline, e.lost.patience(&j.policy.trips, j.deadline)); limits.deadline == 0 {
					return &outcome{faults: []string{fmt.Sprintf("not evaluated: rules that took too long have taken %s together", e.lost.allowed(j.deadline))}}
				}
			}
		}
		limits.partial = limits.deadline < j.deadline
		if j.scan || j.aside {
			// Whoever is stopped early because of others does not end the process sooner.
			limits.extra = max(0, j.deadline-limits.deadline)
		}
		began := time.Now()
		out := j.policy.evaluate(e.guard, of, j.parameters, data, limits)
		switch {
		case !j.scan:
		case !out.late:
			j.policy.trips.ended(j.brief)
		case !j.brief:
			e.lost.add(time.Since(began), limits.deadline)
		}
		return out
	}
	e.guard.alone.RLock()
	out := evaluate(false)
	e.guard.alone.RUnlock()
	if !out.starved || j.aside {
		return out
	}
	e.guard.alone.Lock()
	defer e.guard.alone.Unlock()
	// What the stopped evaluations left behind must not count against this one.
	e.dropExpressions()
	debug.FreeOSMemory()
	out = evaluate(true)
	if out.starved && len(out.findings) == 0 {
		j.policy.trips.add(of.fields, j.anyway)
	}
	return out
}

// dropExpressions lets go of the regular expressions and globs that are kept, of
// which rules may have made large ones. No evaluation is under way.
func (e *Engine) dropExpressions() {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, policy := range e.policies {
		policy.values = newValueCache()
	}
}

// budget is the time for all evaluations of a document, of the copies of a Pod,
// or of a review. Without an end it begins with the first of them: to wait for
// others costs nothing.
type budget struct {
	what   string // in words, what it is for
	length time.Duration
	once   sync.Once
	until  time.Time
}

// deadline is that of the next evaluation: its own, or what is left; 0 for nothing left.
func (b *budget) deadline(own time.Duration) time.Duration {
	b.once.Do(func() {
		if b.until.IsZero() {
			b.until = time.Now().Add(b.length)
		}
	})
	return max(0, min(own, time.Until(b.until)))
}

// endsAfter has the budget end so many milliseconds after a moment.
func (b *budget) endsAfter(begun time.Time, milliseconds int) {
	b.length = time.Duration(milliseconds) * time.Millisecond
	b.until = begun.Add(b.length)
}

// spent says that nothing is left.
func (b *budget) spent() string {
	return fmt.Sprintf("not evaluated: %s took longer than %s", b.what, b.length.Round(time.Millisecond))
}

// objectShare is how many times as long as one evaluation all of one object may
// take: with fifty assignments a hostile object would else take fifty times as long.
const objectShare = 2

// judgeQuickly judges a document by those of the jobs whose policies are quick
// about it, and were so lately. The outcomes of the others are nil.
func (e *Engine) judgeQuickly(document *Document, jobs []job, tasks []int, data *snapshot) []*outcome {
	outcomes := make([]*outcome, len(tasks))
	asking := &inquiry{document: document}
	for i, t := range tasks {
		if !jobs[t].policy.trips.recent() {
			brief := jobs[t]
			brief.brief = true
			outcomes[i] = e.judgeBy(brief, asking, data, nil)
		}
	}
	return outcomes
}

// judgeRest judges a document by the jobs that have no outcome yet. What is left
// when the time for it is over, are faults.
func (e *Engine) judgeRest(document *Document, jobs []job, tasks []int, outcomes []*outcome, data *snapshot, left *budget) {
	asking := &inquiry{document: document}
	for i, t := range tasks {
		if outcomes[i] == nil {
			outcomes[i] = e.judgeBy(jobs[t], asking, data, left)
		}
	}
}

// inquiry is a document and what several evaluations of it have in common.
type inquiry struct {
	document *Document
	review   *subject
	key      []byte
}

// judgeBy judges a document by a job, from memory where it can.
func (e *Engine) judgeBy(j job, of *inquiry, data *snapshot, left *budget) *outcome {
	// No two requests are alike in their uid.
	remembered := j.memo != nil && !j.policy.distrusted.Load() &&
		(of.document.request == nil || j.policy.request == nil || j.policy.visible.request != nil)
	if remembered {
		var dropped int64
		if remembered, dropped = j.memo.pays(); dropped != 0 {
			e.remembered.Add(-dropped)
		}
	}
	if remembered {
		of.key = j.policy.visible.key(of.key[:0], of.document)
		if known := j.memo.get(of.key); known != nil {
			return known
		}
	}
	if of.review == nil {
		of.review = of.document.review(of.document.object)
	}
	out := e.toldApart(j, of.document, e.run(j, of.review, data, left), data, left, whole)
	if j.brief && out.late {
		return nil
	}
	if remembered && len(out.faults) == 0 && !out.cut {
		e.remembered.Add(j.memo.put(of.key, out))
	}
	return out
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
		if one.Like != nil {
			if *one.Like < 0 || *one.Like >= t {
				return nil, fmt.Errorf("task %d is like task %d, which does not come before it", t, *one.Like)
			}
			one.Documents = r.Tasks[*one.Like].Documents
			r.Tasks[t].Documents = one.Documents
		}
		if jobs[t], err = e.job(one, r.DeadlineMS); err != nil {
			return nil, err
		}
		jobs[t].scan = true
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
	answer, err := e.judgeAll(batch, jobs, tasksOf, needsInventory)
	if err == nil && r.Places && batch.parts != nil {
		answer.places = e.placesOf(batch, answer)
	}
	return answer, err
}

// judgeAll judges each document by its tasks, each document within a time of its own.
// Policies that are not quick come after the others, so that they take no time from
// them, however many there are.
func (e *Engine) judgeAll(batch *Batch, jobs []job, tasksOf [][]int, needsInventory bool) (judgeAnswer, error) {
	return e.answered(tasksOf, needsInventory, func(data *snapshot) [][]*outcome {
		found := make([][]*outcome, len(batch.documents))
		e.parallel(len(batch.documents), func(d int) {
			if batch.documents[d].misshapen {
				return // a rule would say what its author never thought of
			}
			found[d] = e.judgeQuickly(batch.documents[d], jobs, tasksOf[d], data)
		})
		var rest []int
		for d, outcomes := range found {
			if slices.Contains(outcomes, nil) {
				rest = append(rest, d)
			}
		}
		e.parallel(len(rest), func(i int) {
			d := rest[i]
			e.judgeRest(batch.documents[d], jobs, tasksOf[d], found[d], data, budgetFor(jobs))
		})
		return found
	})
}

// answered is what was found of documents by their tasks. judge gives the
// outcomes in the same order, none for a document that is not judged.
func (e *Engine) answered(tasksOf [][]int, needsInventory bool, judge func(*snapshot) [][]*outcome) (judgeAnswer, error) {
	data, err := e.inventory.snapshot(needsInventory)
	if err != nil {
		return judgeAnswer{}, err
	}
	defer data.close()
	found := judge(data)
	e.forgetIfFull()

	answer := judgeAnswer{Findings: []Finding{}, Hits: []hit{}, Faults: []fault{}}
	table := findingTable{index: map[Finding]int{}, numbers: map[*outcome][]int{}}
	for d, outcomes := range found {
		for i, out := range outcomes {
			answer.Count++
			t := tasksOf[d][i]
			numbers := table.add(out)
			if len(numbers) > 0 {
				answer.Hits = append(answer.Hits, hit{Task: t, Document: d, Findings: numbers, Cut: out.cut})
			}
			for _, message := range out.faults {
				answer.Faults = append(answer.Faults, fault{Task: t, Document: d, Message: message})
			}
		}
	}
	answer.Findings = append(answer.Findings, table.findings...)
	return answer, nil
}

// budgetFor is the time for one document.
func budgetFor(jobs []job) *budget {
	longest := time.Duration(0)
	for i := range jobs {
		longest = max(longest, jobs[i].deadline)
	}
	return &budget{what: "all evaluations of the object together", length: objectShare * longest}
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
		if object.Get(ast.InternedTerm("message")) != nil {
			return Finding{}, errors.New("a violation has no msg: its message must be called msg")
		}
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
	if out.Details, err = encodeDetails(native, out.Msg); err != nil {
		return Finding{}, err
	}
	if said, ok := native.(map[string]any); ok {
		out.path, _ = said["path"].(string)
	}
	return out, nil
}

func encodeDetails(native any, msg string) (string, error) {
	if depth(native, maxDetailsDepth) > maxDetailsDepth {
		return "", fmt.Errorf("the details of a violation are nested more than %d deep (its msg: %s)", maxDetailsDepth, msg)
	}
	encoded, err := json.Marshal(native)
	if err != nil {
		return "", fmt.Errorf("the details of a violation: %w", err)
	}
	if len(encoded) > maxDetails {
		return "", fmt.Errorf("the details of a violation have %d bytes, more than %d (its msg: %s)", len(encoded), maxDetails, msg)
	}
	return string(encoded), nil
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
	BudgetMS   int    `json:"budgetMs"` // for all of it, from when the request came; 0 for none
	Task       task   `json:"task"`
	begun      time.Time
}

type isolated struct {
	Document   int         `json:"d"`
	Containers [][]Finding `json:"containers"` // what belongs to each; the rest belongs to the Pod
	Faults     []string    `json:"faults"`     // of copies
}

// isolate tells of violations that name no container to which they belong. It
// adds none: each is one that the rule returned for the whole Pod.
func (e *Engine) isolate(r isolateRequest) (any, error) {
	batch, err := e.batch(r.Batch)
	if err != nil {
		return nil, err
	}
	one, err := e.job(r.Task, r.DeadlineMS)
	if err != nil {
		return nil, err
	}
	one.scan = r.BudgetMS == 0
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
		left := budgetFor([]job{one})
		left.what = "the copies of the Pod together"
		if r.BudgetMS > 0 {
			left.endsAfter(r.begun, r.BudgetMS)
		}
		out[i] = e.apportion(batch.documents[d], one, data, left)
		out[i].Document = d
	})
	return map[string]any{"documents": out}, nil
}
