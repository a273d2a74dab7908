package plan

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/ir"
	"github.com/open-policy-agent/opa/v1/storage/inmem"
	"github.com/open-policy-agent/opa/v1/topdown"
)

func compiled(t testing.TB, source string) *ast.Compiler {
	t.Helper()
	compiler, err := ast.CompileModulesWithOpt(map[string]string{"p.rego": source}, ast.CompileOpts{ParserOptions: ast.ParserOptions{RegoVersion: ast.RegoV1}})
	if err != nil {
		t.Fatalf("%v\n%s", err, source)
	}
	return compiler
}

var answers = ast.MustParseBody("result = data.p.answer")

func planned(t testing.TB, source string) *Program {
	t.Helper()
	program, err := Compile(compiled(t, source), answers)
	if err != nil {
		t.Fatal(err)
	}
	return program
}

func decodedJSON(t testing.TB, source string) any {
	t.Helper()
	decoder := json.NewDecoder(strings.NewReader(source))
	decoder.UseNumber()
	var value any
	if err := decoder.Decode(&value); err != nil {
		t.Fatal(err)
	}
	return value
}

// said is the value of the answer, or what went wrong.
func said(program *Program, ask Question) string {
	answer, err := program.Ask(ask)
	switch {
	case err != nil:
		return "error: " + err.Error()
	case len(answer.Results) == 0:
		return "undefined"
	}
	value, _ := answer.Results[0].Get("result")
	return text(value)
}

func TestAnswersAreTopdowns(t *testing.T) {
	input := decodedJSON(t, `{"list": [3, 1, 2], "names": ["b", "a"], "object": {"x": {"y": 1}, "z": null}, "on": true, "off": false}`)
	for name, rules := range map[string]string{
		"a with":                    `answer := [a, b, c] if { a := inner with input.object.x as 7; b := inner; c := inner with input as {} } else := "none"` + "\ninner := object.get(input, [\"object\", \"x\"], \"no\")",
		"a with of nothing":         `answer := x if { x := input.a.b.c with input.a.b.c as 1 }`,
		"a with on a scalar":        `answer := x if { x := input with input.list.a as 1 }`,
		"a mock":                    "answer := y if { y := f(1) with f as g }\nf(x) := x\ng(x) := x + 1",
		"a mocked built-in":         `answer := x if { x := count([1, 2]) with count as 7 }`,
		"data":                      `answer := [k | data.base[k]]`,
		"base and virtual":          "answer := data.p.base\nbase.a := 1",
		"with data":                 `answer := x if { x := data.base with data.base.k as 1 }`,
		"a loop that ends early":    `answer if { some x in input.list; x > 0 }`,
		"an else":                   `answer := 1 if { input.none } else := 2 if { some x in input.list; x == 2 } else := 3`,
		"a default":                 "default answer := \"d\"\nanswer := 1 if input.off",
		"every":                     `answer := [every_number, every_one] if true` + "\ndefault every_one := false\nevery_one if { every x in input.list { x == 1 } }\ndefault every_number := false\nevery_number if { every x in input.list { is_number(x) } }",
		"a partial object":          "answer := object\nobject[k] := v if some k, v in input.object",
		"nested partial objects":    "answer := data.p.q\nq[a][b] := 1 if { some a in input.names; some b in input.list }",
		"partial sets in an object": "answer := data.p.q\nq[a] contains b if { some a in input.names; some b in input.list }",
		"a walk":                    `answer := [p | walk(input.object, [p, v]); v == 1]`,
		"order":                     `answer := [[k, v] | some k, v in {"b": 1, 3: 2, "a": {2, 1}}]`,
		"a negation":                `answer if { not input.off; not input.none; not 4 in input.list }`,
		"an array pattern":          `answer := y if { [x, y, _] := input.list; x == 3 }`,
		"an object pattern":         `answer := y if { {"x": {"y": y}, "z": null} = input.object }`,
		"a dynamic reference":       "answer := [x | x := data.p.q[input.names[_]]]\nq.a := 5\nq.b := 6",
		"a false function":          "answer := [f(1), f(2)] if not f(2)\nf(1) := true\nf(2) := false",
		"null":                      `answer := [null, input.object.z, is_null(input.object.z)]`,
		"sprintf of odd things":     `answer := sprintf("%v %s %d %5.2f %v", [[1, {"a": {2}}], null, 3, 1.5, {"b"}])`,
	} {
		t.Run(name, func(t *testing.T) {
			compiler := compiled(t, "package p\n"+rules)
			program, err := Compile(compiler, answers)
			if err != nil {
				t.Fatal(err)
			}
			data := map[string]any{"base": map[string]any{"k": map[string]any{"l": json.Number("1")}, "m": "n"}}
			query, err := compiler.QueryCompiler().Compile(answers)
			if err != nil {
				t.Fatal(err)
			}
			store := inmem.NewFromObject(data)
			txn, err := store.NewTransaction(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			results, err := topdown.NewQuery(query).WithCompiler(compiler).WithStore(store).WithTransaction(txn).WithInput(ast.NewTerm(valueOf(&watch{}, input))).Run(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			want := "undefined"
			if len(results) > 0 {
				want = results[0]["result"].Value.String()
			}
			before, _ := json.Marshal([]any{input, data})
			for range 2 {
				if got := said(program, Question{Input: input, Data: data}); got != want {
					t.Errorf("got %s, want %s", got, want)
				}
			}
			if after, _ := json.Marshal([]any{input, data}); string(after) != string(before) {
				t.Errorf("input and data became %s", after)
			}
		})
	}
}

func TestErrorsOfBuiltinsAreUndefinedAndTold(t *testing.T) {
	program := planned(t, "package p\nanswer contains 1 if 1 / input.zero == 1\nanswer contains 2 if to_number(\"x\") == 1\nanswer contains 3 if true")
	input := map[string]any{"zero": json.Number("0")}
	answer, err := program.Ask(Question{Input: input})
	if err != nil || len(answer.Errors) != 2 {
		t.Fatalf("%v, %v", answer.Errors, err)
	}
	if one := answer.Errors[0]; one.Code != topdown.BuiltinErr || one.Message != "div: divide by zero" || one.Location.File != "p.rego" || one.Location.Row != 2 {
		t.Errorf("%+v", one)
	}
	if got := text(first(answer)); got != "{3}" {
		t.Error(got)
	}
	if _, err := program.Ask(Question{Input: input, Strict: true}); err == nil {
		t.Error("no error where each is one")
	}
}

func first(answer Answer) any {
	value, _ := answer.Results[0].Get("result")
	return value
}

func TestAConflictIsNoAnswer(t *testing.T) {
	for _, rules := range []string{
		"answer := 1 if true\nanswer := 2 if true",
		"answer := {\"k\": v | some v in [1, 2]}",
		"answer := f(1)\nf(x) := x\nf(x) := y if y := x + 1",
	} {
		if got := said(planned(t, "package p\n"+rules), Question{Input: map[string]any{}}); !strings.HasPrefix(got, "error: ") {
			t.Errorf("%s\n%s", rules, got)
		}
	}
}

// endless are rules that would run for hours, each in its own way.
var endless = map[string]string{
	"loops":             `answer if { some i in input.list; some j in input.list; some k in input.list; i + j + k == -1 }`,
	"a comprehension":   `answer := count([[i, j, k] | some i in input.list; some j in input.list; some k in input.list; i + j + k == -1])`,
	"calls":             "answer if { some i in input.list; some j in input.list; f(i, j) }\nf(i, j) if { some k in input.list; g(i + j + k) }\ng(x) if x == -1",
	"every":             `answer if { every i in input.list { every j in input.list { every k in input.list { i + j + k >= 0 } } } }`,
	"walks":             `answer if { some i in input.list; some j in input.list; walk(input, [_, x]); i + j == x; x == -1 }`,
	"a with":            "answer if { some i in input.list; some j in input.list; some k in input.list; x with input.x as i + j + k }\nx if input.x == -1",
	"OPA's own":         `answer := count(numbers.range(1, 100000000000))`,
	"patterns":          `answer if { some i in input.list; some j in input.list; some k in input.list; regex.match(sprintf("^%d-%d-%d$", [i, j, k]), "x") }`,
	"rules of rules":    "answer if { some i in input.list; some j in input.list; some k in input.list; data.p[\"r\"][i + j + k] == -1 }\nr[x] := y if { some x in input.list; y := x }",
	"a negated pattern": `answer if { some i in input.list; some j in input.list; some k in input.list; not i + j + k >= 0 }`,
}

func TestEndlessRulesEndSoonAfterTheyAreCancelled(t *testing.T) {
	list := make([]any, 3000)
	for i := range list {
		list[i] = json.Number(fmt.Sprint(i))
	}
	for name, rules := range endless {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			program, cancel := planned(t, "package p\n"+rules), topdown.NewCancel()
			began := time.Now()
			time.AfterFunc(50*time.Millisecond, cancel.Cancel)
			_, err := program.Ask(Question{Input: map[string]any{"list": list}, Cancel: cancel})
			if !errors.Is(err, ErrCancelled) {
				t.Errorf("error %v", err)
			}
			if took := time.Since(began); took > 5*time.Second {
				t.Errorf("it took %s", took)
			}
		})
	}
}

func TestARuleOfOneConstantIsLeftWithItsFirstMatch(t *testing.T) {
	list := make([]any, 100_000)
	for i := range list {
		list[i] = json.Number(fmt.Sprint(i % 7))
	}
	steps := func(rules string) uint {
		program := planned(t, "package p\n"+rules)
		m := &machine{program: program, ask: Question{Input: Undefined}, memo: make([]remembered, len(program.functions)), generation: 1}
		m.generations = []generation{{1, nil, nil}}
		if _, err := m.run(program.query, [2]any{map[string]any{"list": list}, map[string]any{}}, nil); err != nil {
			t.Fatal(err)
		}
		return m.watch.steps
	}
	for rules, early := range map[string]bool{
		"answer if { some x in input.list; x == 3 }":                                                          true,
		"answer := \"found\" if { some x in input.list; x == 3 } else := \"found\" if { input.none }":         true,
		"answer := \"one\" if { some x in input.list; x == 3 }\nanswer := \"other\" if { input.none }":        false,
		"answer := x if { some x in input.list; x == 3 }":                                                     false,
		"answer contains \"found\" if { some x in input.list; x == 3 }":                                       false,
		"default answer := false\nanswer if { some x in input.list; x == 3; some y in input.list; y == 1 }":   true,
		"answer if { 1 in input.list }\nanswer if { some x in input.list; x == 9 }":                           true,
		"answer := f(1)\nf(x) if { x in input.list }\nf(x) if { some y in input.list; y == x + 9 }":           true,
		"answer := f(1)\nf(x) := 1 if { x in input.list }\nf(x) := x if { some y in input.list; y == x + 9 }": false,
	} {
		if n := steps(rules); (n < 1000) != early {
			t.Errorf("%d steps for\n%s", n, rules)
		}
	}
}

func TestRegularExpressionsAreKeptButNotWithoutBound(t *testing.T) {
	list := make([]any, 10*maxPatterns)
	for i := range list {
		list[i] = fmt.Sprintf("^%d$", i)
	}
	program := planned(t, `package p
answer := count([p | some p in input.list; regex.match(p, "7")])`)
	for range 3 {
		if got := said(program, Question{Input: map[string]any{"list": list}}); got != "1" {
			t.Error(got)
		}
	}
	if n := len(program.patterns.made); n == 0 || n > maxPatterns {
		t.Errorf("%d patterns are kept", n)
	}
	// Short ones that are large when they are compiled.
	for i := range list {
		list[i] = fmt.Sprintf("^(%d{500}){2}|7$", i)
	}
	if got := said(program, Question{Input: map[string]any{"list": list}}); got != fmt.Sprint(len(list)) {
		t.Error(got)
	}
	if n := program.patterns.instructions; n == 0 || n > maxInstructions {
		t.Errorf("the patterns that are kept have %d instructions", n)
	}
}

// What is copied in each place where it stands would fill the memory, and what is
// compared with itself takes for ever.
func TestValuesThatStandInManyPlacesAreLeftToTopdownOrCancelled(t *testing.T) {
	nested := "l0 := numbers.range(1, 1000)\n"
	for n := range 20 {
		nested += fmt.Sprintf("l%d := [l%d, l%d]\n", n+1, n, n)
	}
	for call, want := range map[string]string{
		`json.patch({"a": 1}, [{"op": "add", "path": "b", "value": l20}])`: errMoved.Error(),
		`array.reverse([l20])`:                                errMoved.Error(),
		`count({[x, l20] | some x in numbers.range(1, 100)})`: ErrCancelled.Error(),
		`l20 == [l19, array.concat([l18], [l18])]`:            ErrCancelled.Error(),
		`sort({l20, [l19, l19, 1], [l19]})`:                   ErrCancelled.Error(),
		`[p | walk(l20, [p, v]); v == "x"]`:                   errWalked.Error(),
	} {
		program := planned(t, "package p\n"+nested+"answer := x if { x := "+call+"; x }")
		cancel := topdown.NewCancel()
		if want == ErrCancelled.Error() {
			time.AfterFunc(200*time.Millisecond, cancel.Cancel)
		}
		begun := time.Now()
		_, err := program.Ask(Question{Input: Undefined, Cancel: cancel})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, not %s", call, err, want)
		}
		if took := time.Since(begun); took > 30*time.Second {
			t.Errorf("%s took %s", call, took)
		}
	}
}

func TestAWalkOfManyLevelsIsTopdowns(t *testing.T) {
	deep := any("end")
	for range 10_000 {
		deep = []any{deep}
	}
	program := planned(t, "package p\nanswer := [p | walk(input, [p, v]); v == \"end\"]")
	if got := said(program, Question{Input: deep}); !strings.Contains(got, errWalked.Error()) {
		t.Error(got)
	}
}

func TestOneProgramAnswersManyAtOnce(t *testing.T) {
	program := planned(t, `package p
answer := [n, sorted, found, shared] if {
	n := input.n
	sorted := [x | some x in {x | some x in data.list}]
	found := [x | some x in data.list; regex.match(sprintf("^%d", [input.n]), x)]
	shared := {"a", "b", "c"} - {input.letter}
}`)
	data := map[string]any{"list": []any{"1a", "2b", "3c", "0d"}}
	var together sync.WaitGroup
	for n := range 8 {
		together.Go(func() {
			input := map[string]any{"n": json.Number(fmt.Sprint(n % 4)), "letter": string(rune('a' + n%4))}
			want := said(program, Question{Input: input, Data: data})
			for range 200 {
				if got := said(program, Question{Input: input, Data: data}); got != want || !strings.HasPrefix(got, fmt.Sprintf("[%d, ", n%4)) {
					t.Errorf("got %s, want %s", got, want)
					return
				}
			}
		})
	}
	together.Wait()
}

func TestWhatIsNotKnownHasNoProgram(t *testing.T) {
	compiler := compiled(t, "package p\nanswer := 1")
	plan := func(stmts ...ir.Stmt) *ir.Policy {
		return &ir.Policy{Static: &ir.Static{}, Funcs: &ir.Funcs{}, Plans: &ir.Plans{Plans: []*ir.Plan{{Blocks: []*ir.Block{{Stmts: stmts}}}}}}
	}
	type unknown struct{ ir.NopStmt }
	for name, policy := range map[string]*ir.Policy{
		"statement *plan.unknown":       plan(&unknown{}),
		"the function f is not known":   plan(&ir.CallStmt{Func: "f"}),
		"a break leaves more blocks":    plan(&ir.BreakStmt{Index: 3}),
		"a break leaves a loop":         plan(&ir.ScanStmt{Source: 2, Key: 3, Value: 4, Block: &ir.Block{Stmts: []ir.Stmt{&ir.BreakStmt{Index: 1}}}}),
		"there are 0 plans":             {Plans: &ir.Plans{}},
		"the built-in x.y is not known": {Static: &ir.Static{BuiltinFuncs: []*ir.BuiltinFunc{{Name: "x.y", Decl: ast.Count.Decl}}}, Funcs: &ir.Funcs{}, Plans: plan().Plans},
	} {
		if _, err := lower(policy, compiler, nil); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v", name, err)
		}
	}
	// The planner's own refusal: part of a function that is being planned.
	_, err := Compile(compiled(t, "package p\nanswer := data.p.q\nq[x].a := 1 if some x in [\"b\"]\nq[x].c := data.p.q.b.a if some x in [\"d\"]"), answers)
	if err != nil && !strings.Contains(err.Error(), "not supported") {
		t.Error(err)
	}
	limited := ast.CapabilitiesForThisVersion()
	limited.Builtins = limited.Builtins[:1]
	narrow := ast.NewCompiler().WithCapabilities(limited)
	if _, err := lower(&ir.Policy{Static: &ir.Static{BuiltinFuncs: []*ir.BuiltinFunc{{Name: "count", Decl: ast.Count.Decl}}}, Funcs: &ir.Funcs{}, Plans: plan().Plans}, narrow, nil); err == nil {
		t.Error("a built-in that the compiler must not use is used")
	}
}

func TestACrashIsNoAnswerAndTheNextOneIs(t *testing.T) {
	program := planned(t, "package p\nanswer := count(input.x)")
	if got := said(program, Question{Input: map[string]any{"x": struct{}{}}}); !strings.Contains(got, "cannot be evaluated") {
		t.Error(got)
	}
	if got := said(program, Question{Input: map[string]any{"x": "abc"}}); got != "3" {
		t.Error(got)
	}
	if got := said(program, Question{Input: Undefined}); got != "undefined" {
		t.Error(got)
	}
}
