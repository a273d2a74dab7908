package plan

import (
	"errors"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/test/cases"
	"github.com/open-policy-agent/opa/v1/topdown"
	"github.com/open-policy-agent/opa/v1/types"
	"github.com/open-policy-agent/opa/v1/util"
)

// opaCases are the cases that OPA ships for whoever evaluates Rego.
func opaCases(t *testing.T, version string) []cases.TestCase {
	t.Helper()
	where, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/open-policy-agent/opa").Output()
	if err != nil {
		t.Fatal(err)
	}
	return cases.MustLoad(filepath.Join(strings.TrimSpace(string(where)), "v1/test/cases/testdata", version)).Sorted().Cases
}

// listed are the cases, of v0 and of v1, that get no answer here, so that topdown is asked.
var listed = map[string]string{
	"data/nested integer":                        "a number that finds a key of a base document's object",
	"data/toplevel integer":                      "a number that finds a key of a base document's object",
	"baseandvirtualdocs/base/virtual: conflicts": "the plan merges base and virtual documents, topdown lets the virtual ones hold",
}

var errAsk = errors.New("topdown must be asked")

// OPA's own tests have this function; a case counts on the clock standing still meanwhile.
func init() {
	ast.RegisterBuiltin(&ast.Builtin{Name: "test.sleep", Decl: types.NewFunction(types.Args(types.S), types.NewNull())})
	topdown.RegisterBuiltinFunc("test.sleep", func(_ topdown.BuiltinContext, operands []*ast.Term, iter func(*ast.Term) error) error {
		length, err := time.ParseDuration(string(operands[0].Value.(ast.String)))
		if err != nil {
			return err
		}
		time.Sleep(length)
		return iter(ast.NullTerm())
	})
}

func TestConformance(t *testing.T) {
	for version, rego := range map[string]ast.RegoVersion{"v0": ast.RegoV0, "v1": ast.RegoV1} {
		t.Run(version, func(t *testing.T) {
			passed, asked := 0, 0
			for i, one := range opaCases(t, version) {
				if i%raceStep != 0 {
					continue
				}
				for name, value := range one.Env {
					t.Setenv(name, value)
				}
				name := version + "/" + one.Note
				err := conforms(one, rego)
				reason, isListed := listed[one.Note]
				switch {
				case isListed && errors.Is(err, errAsk):
					asked++
				case isListed:
					t.Errorf("%s is listed (%s), but there is %v", name, reason, err)
				case err == nil:
					passed++
				default:
					t.Errorf("%s: %v", name, err)
				}
			}
			t.Logf("%d passed, %d listed", passed, asked)
		})
	}
}

func conforms(one cases.TestCase, version ast.RegoVersion) (failed error) {
	options := ast.ParserOptions{RegoVersion: version}
	if one.ExperimentalKeywords {
		options.Capabilities = ast.CapabilitiesForThisVersion(ast.CapabilitiesExperimentalKeywords(true))
	}
	modules := map[string]string{}
	for i, module := range one.Modules {
		modules[fmt.Sprintf("test-%d.rego", i)] = module
	}
	compiler, err := ast.CompileModulesWithOpt(modules, ast.CompileOpts{ParserOptions: options})
	if err != nil {
		return fmt.Errorf("not compiled: %w", err)
	}
	program, err := Compile(compiler, ast.MustParseBody(one.Query))
	if err != nil {
		return fmt.Errorf("not planned: %w", err)
	}
	ask := Question{Input: Undefined, Strict: one.StrictError}
	if one.Data != nil {
		ask.Data = *one.Data
	}
	switch {
	case one.InputTerm != nil:
		ask.Input = nativeOf(&watch{}, ast.MustParseTerm(*one.InputTerm).Value)
	case one.Input != nil:
		ask.Input = *one.Input
	}
	answer, err := program.Ask(ask)
	if one.WantErrorCode != nil || one.WantError != nil {
		if err == nil {
			return errors.New("no error")
		}
		return nil
	}
	if err != nil {
		return fmt.Errorf("%w: %w", errAsk, err)
	}
	if one.WantResult == nil {
		return nil
	}
	want, got := ast.NewSet(), ast.NewSet()
	for _, bindings := range *one.WantResult {
		object := ast.NewObject()
		for name, value := range bindings {
			object.Insert(ast.StringTerm(name), ast.NewTerm(ast.MustInterfaceToValue(value)))
		}
		want.Add(ast.NewTerm(object))
	}
	for _, result := range answer.Results {
		object := ast.NewObject()
		for _, entry := range result.entries {
			value, err := ast.JSON(valueOf(&watch{}, entry.value))
			if err != nil {
				return err
			}
			if one.SortBindings {
				slices.SortFunc(value.([]any), util.Compare)
			}
			object.Insert(ast.StringTerm(entry.key.(string)), ast.NewTerm(ast.MustInterfaceToValue(value)))
		}
		got.Add(ast.NewTerm(object))
	}
	if want.Compare(got) != 0 {
		return fmt.Errorf("\n got %v\nwant %v", got, want)
	}
	return nil
}
