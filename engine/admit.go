package main

import (
	"encoding/json"
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

// admitAnswer is in two parts: who asks for which object, and what follows from
// it. The second is the same text for all objects that are alike in it, so that
// the client can know by it what it has decided before.
type admitAnswer struct {
	Request Request    `json:"request"`
	Names   []identity `json:"names"` // of each document
	matter  matter
}

// identity is what tells a document from others that are alike.
type identity struct {
	Name         string `json:"name"`
	GenerateName string `json:"generateName,omitempty"`
	UID          string `json:"uid,omitempty"`
	OwnerUID     string `json:"ownerUid,omitempty"`
}

type matter struct {
	Operation string     `json:"operation"`
	Deleting  bool       `json:"deleting"`
	Documents []likeness `json:"documents"`
	judgeAnswer
}

// likeness is a document's record without its identity and its place.
type likeness struct {
	APIVersion string            `json:"apiVersion"`
	Kind       string            `json:"kind"`
	Namespace  string            `json:"namespace"`
	Labels     map[string]string `json:"labels,omitempty"`
	Owner      *Owner            `json:"owner,omitempty"`
	Containers []Container       `json:"containers,omitempty"`
	Parent     *int              `json:"parent,omitempty"`
	Template   string            `json:"template,omitempty"`
	Old        bool              `json:"old,omitempty"`
	Problems   []string          `json:"problems,omitempty"`
}

// body is the second part of the answer.
func (a admitAnswer) body() ([]byte, error) { return json.Marshal(a.matter) }

// apart divides what is known of a document.
func apart(d *Document) (identity, likeness) {
	who := identity{Name: d.Name, GenerateName: d.GenerateName, UID: d.UID}
	owner := d.Owner
	if owner != nil {
		who.OwnerUID = owner.UID
		owner = &Owner{APIVersion: owner.APIVersion, Kind: owner.Kind, Name: owner.Name}
	}
	return who, likeness{
		APIVersion: d.APIVersion, Kind: d.Kind, Namespace: d.Namespace, Labels: d.Labels, Owner: owner, Containers: d.Containers,
		Parent: d.Parent, Template: d.Template, Old: d.Old, Problems: d.Problems,
	}
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
	answer := admitAnswer{
		Request: found.Request,
		Names:   make([]identity, len(batch.documents)),
		matter: matter{
			Operation: found.Operation, Deleting: found.Deleting, Documents: make([]likeness, len(batch.documents)), judgeAnswer: judged,
		},
	}
	for d, document := range batch.documents {
		answer.Names[d], answer.matter.Documents[d] = apart(document)
	}
	return answer, nil
}
