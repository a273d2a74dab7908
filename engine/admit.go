package main

import (
	"errors"
	"fmt"
	"slices"
)

// standing is a set of tasks that reviews are judged by, kept until it is
// dropped: a review names it, and need not repeat parameters.
type standing struct {
	jobs     []job
	policies []string
	kinds    [][]string // of each task, as "group/kind"; either may be *
	before   []bool     // whether it judges what was there before, too
}

type standRequest struct {
	Set   string `json:"set"`
	Tasks []struct {
		task
		Kinds  []string `json:"kinds"`
		Before bool     `json:"before"`
	} `json:"tasks"`
	DeadlineMS int  `json:"deadlineMs"` // for one evaluation
	Drop       bool `json:"drop"`       // the set is not needed any more
}

// stand keeps a set of tasks, or drops one.
func (e *Engine) stand(r standRequest) (any, error) {
	if r.Drop {
		e.mu.Lock()
		delete(e.standing, r.Set)
		e.mu.Unlock()
		return struct{}{}, nil
	}
	kept := &standing{}
	for _, one := range r.Tasks {
		made, err := e.job(one.task, r.DeadlineMS)
		if err != nil {
			return nil, err
		}
		kept.jobs = append(kept.jobs, made)
		kept.policies = append(kept.policies, one.Policy)
		kept.kinds = append(kept.kinds, one.Kinds)
		kept.before = append(kept.before, one.Before)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.standing[r.Set] = kept
	return struct{}{}, nil
}

// about tells whether a task is about a document's kind.
func (s *standing) about(task int, d *Document) bool {
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

type admitRequest struct {
	Set  string `json:"set"`
	Skip []int  `json:"skip"` // tasks that are not to be asked
}

type admitAnswer struct {
	loadAnswer
	judgeAnswer
}

// admit loads a review, judges it by a set of tasks and lets it go, in one
// request. Which of the tasks select the object is the client's to tell: it
// leaves out what a task found that does not.
func (e *Engine) admit(r admitRequest, body []byte) (any, error) {
	answer, err := e.admitOnce(r, body)
	var coded *codedError
	if errors.As(err, &coded) && coded.code == "Outdated" {
		// A policy was compiled in between: what it reads is read now.
		return e.admitOnce(r, body)
	}
	return answer, err
}

func (e *Engine) admitOnce(r admitRequest, body []byte) (any, error) {
	e.mu.Lock()
	set, ok := e.standing[r.Set]
	e.mu.Unlock()
	if !ok {
		return nil, fmt.Errorf("unknown set %q", r.Set)
	}
	reader := e.reader(loadRequest{Format: "review"})
	found, err := readReview(body)
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
		batch.documents = withTemplates(documents)
	}
	tasksOf := make([][]int, len(batch.documents))
	needsInventory := false
	for t := range set.jobs {
		if slices.Contains(r.Skip, t) {
			continue
		}
		for d, document := range batch.documents {
			if !set.about(t, document) || document.Old && (!set.before[t] || document.Parent != nil) {
				continue
			}
			if err := batch.serves(set.jobs[t].policy); err != nil {
				return nil, err
			}
			needsInventory = needsInventory || set.jobs[t].policy.useInventory
			tasksOf[d] = append(tasksOf[d], t)
		}
	}
	judged, err := e.judgeAll(batch, set.jobs, tasksOf, needsInventory)
	if err != nil {
		return nil, err
	}
	return admitAnswer{
		loadAnswer:  loadAnswer{Documents: append([]*Document{}, batch.documents...), Problems: []Problem{}, Request: &found.Request},
		judgeAnswer: judged,
	}, nil
}
