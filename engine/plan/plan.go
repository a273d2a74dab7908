// Package plan evaluates Rego by OPA's own plan of it: OPA parses, compiles and
// plans a query into its intermediate representation (package v1/ir), which is
// turned into a list of instructions here and run over decoded JSON as it is.
//
// It gives the results of OPA's topdown evaluator or none: whoever gets an error,
// or errors of built-ins, asks topdown. README.md tells what is the same and how
// it is tested.
package plan

import (
	"context"
	"errors"
	"fmt"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/ir"
	"github.com/open-policy-agent/opa/v1/rego"
)

// Compile plans a query over compiled modules. An error means that the planner,
// or this package, does not know how: topdown evaluates it then. What depends on
// fixed keys of the input alone is kept where a question has a Kept.
func Compile(compiler *ast.Compiler, query ast.Body, fixed ...string) (program *Program, err error) {
	defer func() {
		if r := recover(); r != nil {
			program, err = nil, fmt.Errorf("planning failed: %v", r)
		}
	}()
	var planned handed
	_, err = rego.New(
		rego.Target(target),
		rego.Compiler(compiler),
		rego.ParsedQuery(query),
	).PrepareForEval(context.WithValue(context.Background(), handedKey{}, &planned))
	if err != nil {
		return nil, err
	}
	if planned.policy == nil {
		return nil, errors.New("the planner gave no plan")
	}
	return lower(planned.policy, compiler, fixed)
}

// The planner is internal to OPA. A target plug-in gets its plan handed over;
// this one keeps it and evaluates nothing.
const target = "aksp.plan"

type (
	handed    struct{ policy *ir.Policy }
	handedKey struct{}
	plugin    struct{}
)

func (plugin) IsTarget(name string) bool { return name == target }

func (plugin) PrepareForEval(ctx context.Context, policy *ir.Policy, _ ...rego.PrepareOption) (rego.TargetPluginEval, error) {
	if into, ok := ctx.Value(handedKey{}).(*handed); ok {
		into.policy = policy
	}
	return nil, nil
}

func init() { rego.RegisterPlugin(target, plugin{}) }
