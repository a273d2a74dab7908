package plan

import (
	"context"
	"encoding/json"
	"os"
	"testing"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/ir"
	"github.com/open-policy-agent/opa/v1/rego"
)

// What it would save to keep plans in files: a plan is made of Rego, or read from the JSON that OPA writes of it.
func BenchmarkPlan(b *testing.B) {
	sources := map[string]string{}
	for _, name := range []string{"resource-limits/policy", "lib/containers", "lib/fixes", "lib/quantity", "lib/types"} {
		text, err := os.ReadFile("../../definitions/" + name + ".rego")
		if err != nil {
			b.Fatal(err)
		}
		sources[name] = string(text)
	}
	query := ast.MustParseBody("result = data.resource_limits.violation")
	made := func() *ir.Policy {
		modules := map[string]*ast.Module{}
		for name, source := range sources {
			modules[name] = ast.MustParseModule(source)
		}
		compiler := ast.NewCompiler()
		if compiler.Compile(modules); compiler.Failed() {
			b.Fatal(compiler.Errors)
		}
		var planned handed
		asked := rego.New(rego.Target(target), rego.Compiler(compiler), rego.ParsedQuery(query))
		if _, err := asked.PrepareForEval(context.WithValue(context.Background(), handedKey{}, &planned)); err != nil {
			b.Fatal(err)
		}
		return planned.policy
	}
	stored, err := json.Marshal(made())
	if err != nil {
		b.Fatal(err)
	}
	b.Run("made", func(b *testing.B) {
		for b.Loop() {
			made()
		}
	})
	b.Run("read", func(b *testing.B) {
		b.SetBytes(int64(len(stored)))
		for b.Loop() {
			if err := json.Unmarshal(stored, &ir.Policy{}); err != nil {
				b.Fatal(err)
			}
		}
	})
}
