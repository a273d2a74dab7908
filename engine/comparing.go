package main

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// disagreement is what topdown finds otherwise than a policy's plan, or what is
// remembered of it.
type disagreement struct {
	Task     int    `json:"t"`
	Document int    `json:"d"`
	Message  string `json:"m"`
}

const (
	// comparingTime is what comparing may take of a review: what is not compared by
	// then stays as it was judged.
	comparingTime = 100 * time.Millisecond
	// longestShown is how many bytes of what was found a message has.
	longestShown = 1000
)

// disagreements holds outcomes of a review against what topdown finds, with
// nothing remembered. A policy that topdown does not agree with is evaluated by it
// alone from now on: the review has to be judged again.
//
// What cannot be compared is left out: what was there before an update (it is not
// judged where the object complies now), rules that find something else each time,
// what failed, and findings whose words depend on other evaluations.
func (e *Engine) disagreements(batch *Batch, jobs []job, tasksOf [][]int, outcomes [][]*outcome, data *snapshot, left *budget) []disagreement {
	var differ []disagreement
	within := &budget{what: "comparing", length: comparingTime, until: time.Now().Add(comparingTime)}
	if left.until.Before(within.until) {
		within.until = left.until
	}
	for d, document := range batch.documents {
		if document.Old {
			continue
		}
		review := document.review(document.object)
		for at, out := range outcomes[d] {
			t := tasksOf[d][at]
			j := jobs[t]
			if !j.policy.pure || len(out.faults) > 0 || j.policy.seen(document.added) != "" {
				continue
			}
			j.enough, j.aside = 0, true
			found := e.run(j, review, data, within)
			if found.late || found.starved || confirms(found, out) {
				continue
			}
			j.policy.distrusted.Store(true)
			differ = append(differ, disagreement{Task: t, Document: d, Message: fmt.Sprintf(
				"the plan of %s, or what is remembered of it, finds %s, topdown %s", j.policy.id, out.told(), found.told())})
		}
	}
	return differ
}

// confirms tells whether topdown found what was found; of an evaluation that ended
// after enough findings, whether those are among them.
func confirms(topdown, out *outcome) bool {
	if out.cut {
		return !slices.ContainsFunc(out.findings, func(one Finding) bool { return !slices.Contains(topdown.findings, one) })
	}
	return len(topdown.faults) == 0 && slices.Equal(out.findings, topdown.findings)
}

// told is what was found, for a message.
func (out *outcome) told() string {
	text := fmt.Sprint(out.findings)
	if len(out.faults) > 0 {
		text += fmt.Sprintf(" and fails: %s", strings.Join(out.faults, "; "))
	}
	if len(text) > longestShown {
		text = strings.ToValidUTF8(text[:longestShown], "") + "…"
	}
	return text
}
