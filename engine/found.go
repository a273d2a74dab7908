package main

import (
	"context"
	"errors"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/topdown"
	"github.com/open-policy-agent/opa/v1/types"
)

// found are the violations of one evaluation as they are found, each different
// one once. So those of an evaluation that does not end are not lost, and one
// with enough of them need not go on.
type found struct {
	violations ast.Set
	enough     int // 0 for no bound
}

// errEnough ends an evaluation that has found enough.
var errEnough = errors.New("enough violations")

// foundBuiltin takes note of a violation. It is not among the capabilities: no
// Rego can name it, only compiled rules have it at their end.
var foundBuiltin = &ast.Builtin{
	Name: "internal.aksp_found",
	Decl: types.NewFunction(types.Args(types.A), types.B),
}

var foundBuiltins = map[string]*topdown.Builtin{foundBuiltin.Name: {Decl: foundBuiltin, Func: takeNote}}

type foundKey struct{}

func takeNote(bctx topdown.BuiltinContext, operands []*ast.Term, next func(*ast.Term) error) error {
	if f, ok := bctx.Context.Value(foundKey{}).(*found); ok {
		f.violations.Add(operands[0])
		if f.enough > 0 && f.violations.Len() >= f.enough {
			return topdown.Halt{Err: errEnough}
		}
	}
	return next(ast.InternedTerm(true))
}

// within is a context in which violations are taken note of.
func (f *found) within(ctx context.Context) context.Context {
	return context.WithValue(ctx, foundKey{}, f)
}

// tellFound has the compiled rules of a set of violations tell each of them as
// it is found. It is left undone where what a rule tells may not be a violation
// in the end: when other rules read the set, as with other input, and when the
// violation is no plain term.
func tellFound(compiler *ast.Compiler, entry ast.Ref) bool {
	rules := compiler.GetRulesExact(entry)
	for _, rule := range rules {
		if rule.Head.RuleKind() != ast.MultiValue || rule.Else != nil || !plain(rule.Head.Key) || len(rule.Head.Ref()) != 1 {
			return false
		}
	}
	read := false
	for _, module := range compiler.Modules {
		for _, rule := range module.Rules {
			ast.WalkRefs(rule, func(ref ast.Ref) bool {
				read = read || overlap(ref, entry)
				return read
			})
		}
	}
	if read {
		return false
	}
	for _, rule := range rules {
		tell := foundBuiltin.Expr(rule.Head.Key)
		tell.Location, tell.Index, tell.Generated = rule.Location, len(rule.Body), true
		rule.Body = append(rule.Body, tell)
	}
	return len(rules) > 0
}

// plain tells whether a term has nothing in it that is still to be evaluated.
func plain(term *ast.Term) bool {
	isPlain := true
	ast.WalkTerms(term, func(one *ast.Term) bool {
		switch one.Value.(type) {
		case ast.Ref, ast.Call, *ast.ArrayComprehension, *ast.SetComprehension, *ast.ObjectComprehension:
			isPlain = false
		}
		return !isPlain
	})
	return isPlain
}

// overlap tells whether a reference may read something at, above or below an entry.
func overlap(ref, entry ast.Ref) bool {
	for i := range min(len(ref), len(entry)) {
		if i > 0 && !ref[i].IsGround() {
			return true
		}
		if !ref[i].Equal(entry[i]) {
			return false
		}
	}
	return true
}
