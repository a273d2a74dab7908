package main

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"aksp.dev/engine/plan"
)

// How policies are evaluated: by their plan (package plan) where there is one and
// it gives an answer, and else by OPA's topdown; by topdown alone; or by both,
// where a difference is a fault.
const (
	byPlan    = "plan"
	byTopdown = "topdown"
	byBoth    = "both"
)

const defaultEvaluator = byPlan

// evaluator is chosen when the process starts, for all policies.
var evaluator = cmp.Or(os.Getenv("AKSP_ENGINE_EVALUATOR"), defaultEvaluator)

func checkEvaluator() error {
	if !slices.Contains([]string{byPlan, byTopdown, byBoth}, evaluator) {
		return fmt.Errorf("AKSP_ENGINE_EVALUATOR is %q, not %s, %s or %s", evaluator, byPlan, byTopdown, byBoth)
	}
	return nil
}

// evaluated is what is found by the plan, or by topdown where the plan has no
// answer, and what stopped it.
func (p *Policy) evaluated(guard *Guard, q question) (*outcome, reason) {
	planned, ended := p.planned(guard, q)
	if planned != nil && (ended == overMemory || ended == finished && evaluator != byBoth) {
		return planned, ended
	}
	q.limits.deadline = max(0, q.limits.deadline-time.Since(q.at))
	out, why := p.timed(guard, q, p.byTopdown)
	switch {
	case planned == nil || why == overMemory:
	case ended == finished && why == finished && p.pure:
		out = compared(planned, out)
	case why == overTime && len(planned.findings) > len(out.findings):
		// Both go the same way, and the plan went further.
		out.findings = planned.findings
	}
	return out, why
}

// planShare: a plan has half of the time that an evaluation may take. What it does
// not answer in that, such as a rule of which it builds all where topdown asks for
// one key, has the other half by topdown, and for a while topdown alone.
const planShare = 2

// planned is what the plan finds in its time, nil for no answer.
func (p *Policy) planned(guard *Guard, q question) (*outcome, reason) {
	if q.limits.topdown || p.distrusted.Load() || time.Since(time.Unix(0, p.planLate.Load())) < tripsExpire {
		return nil, finished
	}
	whole := q.limits.deadline
	q.limits.deadline /= planShare
	q.limits.extra += whole - q.limits.deadline
	out, why := p.timed(guard, q, p.byItsPlan)
	if why == overTime && !q.limits.partial && !q.limits.brief {
		p.planLate.Store(time.Now().UnixNano())
	}
	return out, why
}

// byItsPlan is what the plan finds, and whether it was cancelled; nil where topdown
// must be asked: when the plan gives no answer, a built-in failed, something is
// found that breaks the contract, or there are numbers that OPA has ways of its
// own with.
func (p *Policy) byItsPlan(q question) (out *outcome, cancelled bool) {
	if p.program == nil || q.of.unusual || q.parameters.unusual || p.useInventory && q.data.unusual {
		return nil, false
	}
	fields := q.of.fields
	if p.enumerates {
		fields = make(map[string]any, len(q.of.fields))
		for key, value := range q.of.fields {
			if p.sees(key) {
				fields[key] = value
			}
		}
	}
	ask := plan.Question{
		Input:  map[string]any{"review": fields, "parameters": q.parameters.native},
		Cancel: q.cancel, Values: p.values, Time: q.at,
		Early: q.limits.early && p.tells, Enough: q.limits.enough, Kept: q.parameters.kept,
	}
	if p.useInventory {
		ask.Data = q.data.root
	}
	answer, err := p.program.Ask(ask)
	out = &outcome{}
	switch {
	case errors.Is(err, plan.ErrCancelled):
		// There is no time to ask topdown: what is known counts.
		if answer.Early != nil {
			out.takePlanned(answer.Early)
		}
		for i := range answer.Errors {
			out.faults = append(out.faults, evalMessage(&answer.Errors[i]))
		}
		return out, true
	case len(answer.Errors) > 0:
		return nil, false
	case errors.Is(err, plan.ErrEnough):
		out.cut = true
		if !out.takePlanned(answer.Early) {
			return nil, false
		}
		return out, false
	case err != nil:
		return nil, false
	}
	for _, result := range answer.Results {
		value, _ := result.Get("result")
		if !out.takePlanned(value) {
			return nil, false
		}
	}
	return out, false
}

// takePlanned adds a set of violations to what was found, and tells whether it is
// one and all of them keep the contract.
func (out *outcome) takePlanned(violations any) bool {
	elements, kept := plan.Elements(violations)
	for _, one := range elements {
		finding, ok := plannedFinding(one)
		if ok {
			out.findings = append(out.findings, finding)
		}
		kept = kept && ok
	}
	return kept
}

// plannedFinding is a violation that keeps the contract; findingOf tells what is
// wrong with others.
func plannedFinding(violation any) (Finding, bool) {
	msg, _ := plan.Field(violation, "msg")
	text, ok := msg.(string)
	if !ok {
		return Finding{}, false
	}
	details, there := plan.Field(violation, "details")
	if !there {
		return Finding{Msg: text, Details: "{}"}, true
	}
	path, _ := plan.Field(details, "path")
	where, _ := path.(string)
	if encoded, ok := plan.AppendJSON(nil, details, maxDetailsDepth); ok && len(encoded) <= maxDetails {
		return Finding{Msg: text, Details: string(encoded), path: where}, true
	}
	native, err := plan.Decoded(details)
	if err != nil {
		return Finding{}, false
	}
	encoded, err := encodeDetails(native, text)
	return Finding{Msg: text, Details: encoded, path: where}, err == nil
}

// compared is what topdown found, with a fault when the plan found something else.
func compared(planned, found *outcome) *outcome {
	if planned == nil || len(found.faults) == 0 && slices.Equal(planned.findings, found.findings) || planned.cut && found.cut {
		return found
	}
	found.faults = append(found.faults, fmt.Sprintf("the evaluators disagree, which is a bug of aksp: the plan finds %v, topdown %v", planned.findings, found.findings))
	return found
}
