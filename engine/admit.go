package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"
)

// taskSet is a set of tasks that reviews are judged by, kept until it is
// dropped: a review names it, and need not repeat parameters.
type taskSet struct {
	jobs     []job
	policies []string
	kinds    [][]string // of each task, as "group/kind"; either may be *
	before   []bool     // whether it refuses, and so judges what was there before, too
	template []bool     // whether it judges the Pod of the template that was there before, too
}

type registerRequest struct {
	Set        string           `json:"set"`
	Tasks      []registeredTask `json:"tasks"`
	DeadlineMS int              `json:"deadlineMs"` // for one evaluation
	Drop       bool             `json:"drop"`       // the set is not needed any more
}

type registeredTask struct {
	task
	Kinds    []string `json:"kinds"`
	Before   bool     `json:"before"`
	Template bool     `json:"beforeTemplate"`
	Enough   int      `json:"enough"` // violations after which more need not be looked for; 0 for all
}

// register keeps a set of tasks, or drops one.
func (e *Engine) register(r registerRequest) (any, error) {
	if r.Drop {
		e.mu.Lock()
		delete(e.taskSets, r.Set)
		e.mu.Unlock()
		return struct{}{}, nil
	}
	kept := &taskSet{}
	for _, one := range r.Tasks {
		made, err := e.job(one.task, r.DeadlineMS)
		if err != nil {
			return nil, err
		}
		made.early, made.enough = true, one.Enough
		kept.jobs = append(kept.jobs, made)
		kept.policies = append(kept.policies, one.Policy)
		kept.kinds = append(kept.kinds, one.Kinds)
		kept.before = append(kept.before, one.Before)
		kept.template = append(kept.template, one.Template)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.taskSets[r.Set] = kept
	return struct{}{}, nil
}

// about tells whether a task is about a document's kind.
func (s *taskSet) about(task int, d *Document) bool {
	group := groupOf(d.APIVersion)
	for _, kind := range s.kinds[task] {
		if kind == group+"/"+d.Kind {
			return true
		}
	}
	for _, wild := range []string{"*/" + d.Kind, group + "/*", "*/*"} {
		if slices.Contains(s.kinds[task], wild) {
			return true
		}
	}
	return false
}

// judgesBefore tells whether a task judges a document of what was there before.
func (s *taskSet) judgesBefore(task int, d *Document) bool {
	if d.Parent != nil {
		return s.template[task]
	}
	return s.before[task]
}

type admitRequest struct {
	Set      string `json:"set"`
	Skip     []int  `json:"skip"`     // tasks that are not to be asked
	BudgetMS int    `json:"budgetMs"` // for all of it, from when the request came
	Compare  bool   `json:"compare"`  // hold what is found against topdown
}

// admitAnswer is in two parts: who asks for which object, and what follows from
// it. The second is the same text for all objects that are alike in it, so that
// the client can know by it what it has decided before.
type admitAnswer struct {
	Request       Request        `json:"request"`
	Names         []identity     `json:"names"` // of each document
	Disagreements []disagreement `json:"disagreements,omitempty"`
	key           cacheKey
}

// identity is what tells a document from others that are alike.
type identity struct {
	Name         string `json:"name"`
	GenerateName string `json:"generateName,omitempty"`
	UID          string `json:"uid,omitempty"`
	OwnerUID     string `json:"ownerUid,omitempty"`
}

// cacheKey is what reviews have in common from which the same follows: the client
// remembers its decision by these bytes.
type cacheKey struct {
	Operation string             `json:"operation"`
	Documents []cacheKeyDocument `json:"documents"`
	judgeAnswer
}

// cacheKeyDocument is a document's record without its identity and its place.
type cacheKeyDocument struct {
	APIVersion string            `json:"apiVersion"`
	Kind       string            `json:"kind"`
	Namespace  string            `json:"namespace"`
	Labels     map[string]string `json:"labels,omitempty"`
	Owner      *Owner            `json:"owner,omitempty"`
	Containers []Container       `json:"containers,omitempty"`
	Parent     *int              `json:"parent,omitempty"`
	Template   string            `json:"template,omitempty"`
	Old        bool              `json:"old,omitempty"`
	Problems   []Wrong           `json:"problems,omitempty"`
}

// body is the second part of the answer.
func (a admitAnswer) body() ([]byte, error) { return json.Marshal(a.key) }

// apart divides what is known of a document.
func apart(d *Document) (identity, cacheKeyDocument) {
	who := identity{Name: d.Name, GenerateName: d.GenerateName, UID: d.UID}
	owner := d.Owner
	if owner != nil {
		who.OwnerUID = owner.UID
		owner = &Owner{APIVersion: owner.APIVersion, Kind: owner.Kind, Name: owner.Name}
	}
	return who, cacheKeyDocument{
		APIVersion: d.APIVersion, Kind: d.Kind, Namespace: d.Namespace, Labels: d.Labels, Owner: owner, Containers: d.Containers,
		Parent: d.Parent, Template: d.Template, Old: d.Old, Problems: d.Problems,
	}
}

// admit loads a review, judges it by a set of tasks and lets it go, in one
// request. Which of the tasks select the object is the client's to tell: it
// leaves out what a task found that does not.
func (e *Engine) admit(r admitRequest, frame Frame) (any, error) {
	answer, err := e.admitOnce(r, frame)
	var coded *codedError
	if errors.As(err, &coded) && coded.code == "Outdated" {
		// A policy was compiled in between: what it reads is read now.
		return e.admitOnce(r, frame)
	}
	return answer, err
}

func (e *Engine) admitOnce(r admitRequest, frame Frame) (any, error) {
	if r.BudgetMS <= 0 {
		return nil, errors.New("budgetMs must be positive")
	}
	e.mu.Lock()
	set, ok := e.taskSets[r.Set]
	e.mu.Unlock()
	if !ok {
		return nil, fmt.Errorf("unknown set %q", r.Set)
	}
	body := frame.Body
	reader := e.reader(loadRequest{Format: "review"})
	found, err := reader.readAsked(body)
	if err != nil {
		return nil, err
	}
	reader.request = &found.Request
	documents, err := reader.reviewed(body, found)
	if err != nil {
		return nil, err
	}
	batch := &Batch{reads: reader.trees.policies, documents: documents}
	if reader.templates {
		batch.documents = reader.withTemplates(documents)
	}
	jobs, large := set.jobs, len(body) > largeReview
	if found.HasOldObject || large {
		jobs = slices.Clone(jobs)
	}
	for t := range jobs {
		if found.HasOldObject && set.before[t] && !(large && set.unchanged(t, batch)) {
			// What there is now is compared with what there was: both must be known whole.
			jobs[t].enough = 0
		}
		if large {
			// What is found in it must not depend on what somebody else asked for lately. There are few, one after
			// the other, and each ends in time: a rule may take most of it, since the others are judged beside it.
			jobs[t].anyway = true
			jobs[t].deadline = max(jobs[t].deadline, time.Duration(r.BudgetMS)*time.Millisecond*3/4)
		}
	}
	tasksOf := make([][]int, len(batch.documents))
	pairsOf := make([][]pair, len(jobs))
	needsInventory := false
	for t := range jobs {
		if slices.Contains(r.Skip, t) {
			continue
		}
		for d, document := range batch.documents {
			if !set.about(t, document) || document.Old && !set.judgesBefore(t, document) {
				continue
			}
			if err := batch.serves(jobs[t].policy); err != nil {
				return nil, err
			}
			needsInventory = needsInventory || jobs[t].policy.useInventory
			pairsOf[t] = append(pairsOf[t], pair{document: d, at: len(tasksOf[d])})
			tasksOf[d] = append(tasksOf[d], t)
		}
	}
	var pairs []pair
	for _, t := range set.order() {
		pairs = append(pairs, pairsOf[t]...)
	}
	left := &budget{what: "all that there was to do for the request"}
	left.endsAfter(frame.begun, r.BudgetMS)
	var differ []disagreement
	judged, err := e.answered(tasksOf, needsInventory, func(data *snapshot) [][]*outcome {
		outcomes := e.judgePairs(batch, jobs, tasksOf, pairs, data, left, large)
		if r.Compare {
			if differ = e.disagreements(batch, jobs, tasksOf, outcomes, data, left); len(differ) > 0 {
				return e.judgePairs(batch, jobs, tasksOf, pairs, data, left, large)
			}
		}
		return outcomes
	})
	if err != nil {
		return nil, err
	}
	answer := admitAnswer{
		Request:       found.Request,
		Names:         make([]identity, len(batch.documents)),
		Disagreements: differ,
		key: cacheKey{
			Operation: found.Operation, Documents: make([]cacheKeyDocument, len(batch.documents)), judgeAnswer: judged,
		},
	}
	for d, document := range batch.documents {
		answer.Names[d], answer.key.Documents[d] = apart(document)
	}
	return answer, nil
}

// unchanged tells whether a task finds the same, in the same containers, in what
// there is now and in what there was before: then some of it tells all.
func (s *taskSet) unchanged(task int, batch *Batch) bool {
	for d, document := range batch.documents {
		if !document.Old || !s.about(task, document) || !s.judgesBefore(task, document) {
			continue
		}
		now := batch.now(d)
		if now < 0 || !s.jobs[task].policy.alike(document, batch.documents[now]) ||
			!slices.Equal(document.Containers, batch.documents[now].Containers) {
			return false
		}
	}
	return true
}

// now is the document of what there is now that stands where one of what there
// was before stands; -1 where they do not go together.
func (b *Batch) now(d int) int {
	if half := len(b.documents) / 2; len(b.documents) == 2*half && d >= half && b.documents[half].Old && !b.documents[half-1].Old {
		return d - half
	}
	return -1
}

// alike tells whether a policy sees the same in two documents, and so finds the
// same in them while nothing else changes.
func (p *Policy) alike(a, b *Document) bool {
	if !p.pure || p.request != nil && (a.request != nil || b.request != nil) {
		return false
	}
	return a.APIVersion == b.APIVersion && a.Kind == b.Kind && a.Namespace == b.Namespace && a.Template == b.Template &&
		a.storedName() == b.storedName() && a.misshapen == b.misshapen && p.reads.same(a.object, b.object) &&
		(a.plain == nil) == (b.plain == nil) && p.reads.same(a.plain, b.plain) &&
		slices.EqualFunc(a.added, b.added, func(one, other addition) bool { return one.what == other.what })
}

// order is that in which tasks are asked: first those that refuse, since by
// them it is decided; last those whose policies ran into their deadline lately,
// so that they take no time from the others.
func (s *taskSet) order() []int {
	var ranks [4][]int
	for t := range s.jobs {
		rank := 0
		if !s.before[t] {
			rank++
		}
		if s.jobs[t].policy.trips.recent() {
			rank += 2
		}
		ranks[rank] = append(ranks[rank], t)
	}
	return slices.Concat(ranks[:]...)
}

// pair is a document and one of its tasks, by its place among them.
type pair struct{ document, at int }

// largeReview is a size in bytes from which on the tasks of a review are worth
// waking other goroutines for.
const largeReview = 128 << 10

// judgePairs judges the documents of a review by their tasks, within a time for all.
// Those of a small review take no evaluation slot: they would wait behind the
// evaluations of large ones. What there was before is judged by those tasks alone
// that find something in what there is now: only then is it compared. Where a policy
// sees the same in both, what it found is what it would find.
func (e *Engine) judgePairs(
	batch *Batch, jobs []job, tasksOf [][]int, pairs []pair, data *snapshot, left *budget, large bool,
) [][]*outcome {
	outcomes := make([][]*outcome, len(batch.documents))
	documents := make([]inquiry, len(batch.documents))
	for d, document := range batch.documents {
		if documents[d].document = document; !document.misshapen {
			outcomes[d] = make([]*outcome, len(tasksOf[d]))
		}
	}
	// The pairs of a task follow each other, those of what there was before last.
	var byTask [][]pair
	last := -1
	for _, one := range pairs {
		if outcomes[one.document] == nil {
			continue
		}
		if t := tasksOf[one.document][one.at]; t != last {
			byTask, last = append(byTask, nil), t
		}
		byTask[len(byTask)-1] = append(byTask[len(byTask)-1], one)
	}
	judge := func(pairs []pair, of func(d int) *inquiry) {
		finds := false
		found := map[int]*outcome{}
		for _, one := range pairs {
			out, document, j := &outcome{}, batch.documents[one.document], jobs[tasksOf[one.document][one.at]]
			now := found[batch.now(one.document)]
			switch {
			case document.Old && !finds:
			case now != nil && j.policy.alike(document, batch.documents[batch.now(one.document)]):
				// What kept it from finding all is told of what there is now.
				out = &outcome{findings: now.findings, cut: now.cut}
			default:
				out = e.judgeBy(j, of(one.document), data, left)
				finds = finds || len(out.findings) > 0
			}
			found[one.document], outcomes[one.document][one.at] = out, out
		}
	}
	if large {
		reviews := make([]func() *subject, len(batch.documents))
		for d, document := range batch.documents {
			reviews[d] = sync.OnceValue(func() *subject { return document.review(document.object) })
		}
		e.parallel(len(byTask), func(i int) {
			judge(byTask[i], func(d int) *inquiry { return &inquiry{document: batch.documents[d], review: reviews[d]()} })
		})
		return outcomes
	}
	for _, pairs := range byTask {
		judge(pairs, func(d int) *inquiry { return &documents[d] })
	}
	return outcomes
}
