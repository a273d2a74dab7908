package plan

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
)

const keeping = `
answer := [listed, wide, made("a"), made(input.review.kind), both(input.review.kind), later, nested, replaced, found, broken, long]
listed := [sprintf("%v", [entry]) | some entry in input.parameters.list]
wide contains entry if { some entry in input.parameters.list; entry != "b" }
made(text) := {"of": text, "in": {entry: wide | some entry in input.parameters.list}}
both(kind) := concat(" ", [kind, input.review.name])
later := made(both("x"))
nested := x if { x := inner with input.parameters.list as [input.review.name] }
inner := [listed, made("a")]
replaced := x if { x := made("a") with input.review.kind as "other" }
found := [x | some name in ["listed", "both"]; x := table[name]]
table.listed := listed
table.both := both("t")
default broken := "none"
broken := 1 / count([entry | some entry in input.parameters.list; entry == "none"])
long := count(many)
many contains n if some n in numbers.range(1, 5000)
`

func keeper(t testing.TB, source string) *Program {
	t.Helper()
	program, err := Compile(compiled(t, "package p\n"+source), answers, "parameters")
	if err != nil {
		t.Fatal(err)
	}
	return program
}

func TestWhatIsKeptChangesNoAnswer(t *testing.T) {
	program := keeper(t, keeping)
	for _, parameters := range []string{`{"list": ["a", "b", "c"]}`, `{"list": []}`, `{}`, `{"list": [{"x": ["y"]}, 7]}`} {
		kept := program.Keep()
		var wait sync.WaitGroup
		for worker := range 4 {
			wait.Go(func() {
				for i := range 200 {
					input := decodedJSON(t, fmt.Sprintf(`{"review": {"kind": "k%d", "name": "n%d"}, "parameters": %s}`, (i+worker)%90, i%7, parameters))
					with, without := keptAnswer(program, Question{Input: input, Kept: kept}), keptAnswer(program, Question{Input: input})
					if with != without {
						t.Errorf("%s\n%v\n%v", parameters, with, without)
					}
				}
			})
		}
		wait.Wait()
	}
}

// keptAnswer is the answer and the errors of built-ins, as a text.
func keptAnswer(program *Program, ask Question) string {
	answer, err := program.Ask(ask)
	if err != nil {
		return "error: " + err.Error()
	}
	out := fmt.Sprint(len(answer.Errors))
	for _, one := range answer.Results {
		value, _ := one.Get("result")
		out += text(value)
	}
	return out
}

func TestOnlyWhatFollowsFromFixedKeysIsKept(t *testing.T) {
	for rule, want := range map[string]bool{
		`f := input.parameters.a`: true,
		`f := input.parameters`:   true,
		`f := input`:              false,
		`f := input.review.a`:     false,
		`f := [x | some key in ["parameters"]; x := input[key]]`: false,
		`f := time.now_ns()`:                                false,
		`f := rand.intn("x", 5)`:                            false,
		`f := count(input.parameters)`:                      true,
		`f := count(input)`:                                 false,
		`f := x if { x := g with input.parameters.a as 1 }`: false,
		`f := g`:                     true,
		`f := h`:                     false,
		`f := t[input.parameters.a]`: false,
		`f := u[input.parameters.a]`: true,
		`f := i(input.parameters.a)`: true,
		`f := i(input.review.a)`:     false,
		`f if not input.review.a`:    false,
		`f contains x if some x in input.parameters.list`: true,
		`f contains x if some x in input.review.list`:     false,
	} {
		program := keeper(t, rule+"\nanswer := [f, g, h, t, u, i(1)]\ng := input.parameters.b\nh := input.review.b\nt.a := g\nt.b := h\nu.a := g\nu.b := 2\ni(x) := [x]")
		at := slices.IndexFunc(program.functions, func(one *function) bool { return one.name == "g0.data.p.f" })
		if at < 0 || program.functions[at].fixed != want {
			t.Errorf("%s: fixed is not %v", rule, want)
		}
	}
}

func TestWhatIsKeptIsBounded(t *testing.T) {
	program := keeper(t, "answer := [f(input.review.name), count(g), count(h(input.review.name))]\nf(x) := [x]\n"+
		"g contains n if some n in numbers.range(1, input.parameters.many)\nh(x) := numbers.range(1, 900)")
	kept := program.Keep()
	for i := range 2 * mostMisses {
		input := map[string]any{"review": map[string]any{"name": fmt.Sprint(i)}, "parameters": map[string]any{"many": 40_000}}
		if i > 1 {
			input["parameters"] = map[string]any{"many": 1}
		}
		if _, err := program.Ask(Question{Input: input, Kept: kept}); err != nil {
			t.Fatal(err)
		}
	}
	if kept.values == 0 || kept.values > mostKept {
		t.Errorf("%d values", kept.values)
	}
	for i, fn := range program.functions {
		results := kept.functions[i].results.Load()
		if results != nil && len(*results) > mostOfFunction {
			t.Errorf("%d results of %s", len(*results), fn.name)
		}
		if fn.name == "g0.data.p.g" && (results != nil || kept.wants(int32(i))) {
			t.Error("a large set is kept, or tried again and again")
		}
		if fn.name == "g0.data.p.f" && kept.wants(int32(i)) {
			t.Error("what differs each time is still looked for")
		}
	}
	if long, plain := argumentsOf([]any{strings.Repeat("x", longestText+1)}); plain {
		t.Errorf("%v are arguments", long)
	}
}

func TestJSONIsThatOfThePackage(t *testing.T) {
	written := 0
	for _, value := range append(operands(), "<", "\u2028", "\"", "\\", number("007"), objectOf("b", 1, "a", setOf("z", "y"))) {
		for depth := range 4 {
			text, ok := AppendJSON(nil, value, depth)
			if !ok {
				continue
			}
			written++
			native, err := Decoded(value)
			if err != nil {
				t.Fatal(err)
			}
			want, err := json.Marshal(native)
			if err != nil || string(want) != string(text) {
				t.Errorf("%v: %s, not %s (%v)", value, text, want, err)
			}
		}
	}
	if written < 100 {
		t.Errorf("only %d", written)
	}
}
