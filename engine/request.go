package main

import (
	"slices"

	"github.com/open-policy-agent/opa/v1/ast"
)

// alwaysThere are the fields of input.review that are set in a scan, too. All
// others are of the request, which there is at admission alone.
var alwaysThere = []string{"object", "kind", "name", "namespace"}

// requestFields are those of an AdmissionRequest (admission.k8s.io/v1).
var requestFields = []string{
	"uid", "resource", "subResource", "requestKind", "requestResource", "requestSubResource", "operation", "userInfo",
	"oldObject", "dryRun", "options",
}

// noRequest is what Gatekeeper's audit gives in place of a request, and so does
// a scan. Fields that are missing are undefined.
var noRequest = map[string]any{
	"uid": "", "operation": "", "userInfo": map[string]any{}, "oldObject": nil, "options": nil,
	"resource": map[string]any{"group": "", "version": "", "resource": ""},
}

// emptied is what a path below input.review is in noRequest.
func emptied(path inputPath) (value any, defined bool) {
	value, defined = any(noRequest), true
	for _, key := range path {
		object, ok := value.(map[string]any)
		if value, defined = object[key]; !ok || !defined {
			return nil, false
		}
	}
	return value, true
}

// What a scan, which knows no request, can say of a policy.
const (
	auditWhole = "whole" // all: the request only ever takes findings away
	auditPart  = "part"  // what it finds is right, and some of it may be missing
	auditNever = "never" // nothing: it finds nothing without the request
)

// requestOf is what is read of a request: nil when nothing is.
func requestOf(review *Reads) *Reads {
	out := newReads()
	for _, field := range requestFields {
		if review.whole {
			out.add(field)
		} else if review.any != nil {
			out.step(field).merge(review.any)
		}
	}
	for field, reads := range review.keys {
		if !slices.Contains(alwaysThere, field) {
			out.step(field).merge(reads)
		}
	}
	if len(out.keys) == 0 {
		return nil
	}
	return out.settle()
}

// audit tells what can be found without the request. It must come last: it
// goes over the rules again.
func (a *analysis) audit(violation string) string {
	if a.lost || a.drowned {
		return auditPart
	}
	if a.failing()[violation] {
		return auditNever
	}
	if requestOf(a.wanting(violation)) != nil {
		return auditPart
	}
	return auditWhole
}

// failing are the rules that are undefined without the request, or empty, by
// their names.
func (a *analysis) failing() map[string]bool {
	failing := map[string]bool{}
	for changed := true; changed; {
		changed = false
		holds := map[string]bool{}
		for _, each := range a.branches {
			a.current, a.within = each.index, each.scope
			if each.rule.Default || !a.bodyFails(each, failing) {
				holds[each.name] = true
			}
		}
		for _, each := range a.branches {
			if !holds[each.name] && !failing[each.name] {
				failing[each.name], changed = true, true
			}
		}
	}
	return failing
}

// bodyFails: whether some expression of a body must be undefined without the
// request. Negated ones hold just then, and closures give what is empty.
func (a *analysis) bodyFails(of branch, failing map[string]bool) bool {
	for _, expr := range of.rule.Body {
		if expr.Negated || len(expr.With) > 0 {
			continue
		}
		fails := false
		visitor := ast.NewGenericVisitor(func(x any) bool {
			switch x := x.(type) {
			case *ast.ArrayComprehension, *ast.SetComprehension, *ast.ObjectComprehension:
				return true
			case *ast.Every:
				fails = fails || a.undefined(of, x.Domain)
				return true
			case ast.Ref:
				fails = fails || a.undefined(of, ast.NewTerm(x)) || a.refFails(x, failing)
			}
			return fails
		})
		visitor.Walk(expr)
		if fails || a.unequal(of, expr) {
			return true
		}
	}
	return false
}

// undefined: whether a term must be undefined without the request.
func (a *analysis) undefined(of branch, term *ast.Term) bool {
	for _, path := range a.requested(of, term) {
		if _, defined := emptied(path); defined {
			return false
		}
	}
	return len(a.requested(of, term)) > 0
}

// unequal: whether an expression compares with a constant what is another one
// without the request, such as the operation.
func (a *analysis) unequal(of branch, expr *ast.Expr) bool {
	terms, ok := expr.Terms.([]*ast.Term)
	if !ok || len(terms) != 3 {
		return false
	}
	member := terms[0].Value.String() == "internal.member_2"
	if !member && !slices.Contains([]string{"eq", "equal", "assign"}, terms[0].Value.String()) {
		return false
	}
	for _, pair := range [][2]*ast.Term{{terms[1], terms[2]}, {terms[2], terms[1]}} {
		var constants []*ast.Term
		switch value := pair[1].Value.(type) {
		case ast.String, ast.Boolean, ast.Number, ast.Null:
			constants = []*ast.Term{pair[1]}
		case *ast.Array:
			value.Foreach(func(one *ast.Term) { constants = append(constants, one) })
		case ast.Set:
			constants = value.Slice()
		}
		composite := len(constants) != 1 || constants[0] != pair[1]
		if len(constants) == 0 || composite != member || !ast.NewArray(constants...).IsGround() {
			continue
		}
		paths := a.requested(of, pair[0])
		differs := len(paths) > 0
		for _, path := range paths {
			value, defined := emptied(path)
			if text, ok := value.(string); defined && (!ok || slices.ContainsFunc(constants, ast.StringTerm(text).Equal)) {
				differs = false
			}
		}
		if differs {
			return true
		}
	}
	return false
}

// refFails: whether a reference is to a rule that fails. A set or an object
// made of several rules is there when it is empty, but has nothing in it.
func (a *analysis) refFails(ref ast.Ref, failing map[string]bool) bool {
	for length := 1; length <= len(ref); length++ {
		name := ref[:length].String()
		if failing[name] && (length < len(ref) || !a.partial[name]) {
			return true
		}
	}
	return false
}

// requested are the parts of the request, as paths below input.review, that a
// term stands for; none when it may stand for anything else.
func (a *analysis) requested(of branch, term *ast.Term) []inputPath {
	head := term
	if ref, ok := term.Value.(ast.Ref); ok {
		head = ref[0]
	}
	name, plain := head.Value.(ast.Var)
	if !plain || !head.Equal(ast.InputRootDocument) && (of.other || a.impure[a.variable(name)]) {
		return nil
	}
	var out []inputPath
	for _, path := range a.paths(term) {
		if len(path) < 2 || path[0] != "review" || !slices.Contains(requestFields, path[1]) {
			return nil
		}
		out = append(out, path[1:])
	}
	return out
}

// wanting is what of the review is read where it may add findings: by what is
// not negated, an odd number of negations being one.
func (a *analysis) wanting(violation string) *Reads {
	type sided struct {
		name     string
		positive bool
	}
	reached := map[sided]bool{}
	queue := []sided{{violation, true}}
	for len(queue) > 0 {
		at := queue[0]
		queue = queue[1:]
		if reached[at] {
			continue
		}
		reached[at] = true
		for _, each := range a.branches {
			if each.name != at.name {
				continue
			}
			ast.WalkExprs(each.rule, func(expr *ast.Expr) bool {
				sides := []bool{at.positive != expr.Negated}
				if hasClosure(expr) {
					sides = []bool{true, false}
				}
				ast.WalkRefs(expr, func(ref ast.Ref) bool {
					for length := range ref {
						for _, side := range sides {
							queue = append(queue, sided{ref[:length+1].String(), side})
						}
					}
					return false
				})
				return false
			})
		}
	}
	a.reads, a.phase = newReads(), marking
	for _, each := range a.branches {
		positive, negative := reached[sided{each.name, true}], reached[sided{each.name, false}]
		if !positive && !negative {
			continue
		}
		a.passOver = func(expr *ast.Expr) bool {
			return !hasClosure(expr) && (expr.Negated && !negative || !expr.Negated && !positive)
		}
		a.current, a.within = each.index, each.scope
		a.rule(each.rule)
	}
	a.passOver = nil
	return a.below("review")
}

func hasClosure(expr *ast.Expr) bool {
	found := false
	ast.WalkClosures(expr, func(any) bool {
		found = true
		return true
	})
	return found
}
