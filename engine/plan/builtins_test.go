package plan

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/topdown"
	"github.com/open-policy-agent/opa/v1/topdown/cache"
)

func setOf(items ...any) *Set {
	out := &Set{}
	for _, item := range items {
		out.add(&watch{}, item)
	}
	return out
}

func objectOf(pairs ...any) *Object {
	out := &Object{}
	for i := 0; i < len(pairs); i += 2 {
		out.insert(&watch{}, pairs[i], pairs[i+1])
	}
	return out
}

func number(text string) json.Number { return json.Number(text) }

// operands are values of every type, decoded and made, usual and odd.
func operands() []any {
	return []any{
		nil, true, false, 0, 1, -1, 7, 300, number("0"), number("1"), number("-1"), number("80"), number("2147483647"), number("4294967296"), number("123456789012345678"), number("999999999999999999"), 1000000000, 3000000000,
		number("9223372036854775807"), number("92233720368547758070"), number("1.5"), number("-0.5"), number("1.0"), number("1e3"), number("-0"),
		"", "a", "b", "ab", "aba", "A", "é", "aéb", "a/b/c", "/", " a ", "%s", "%v-%d", "%d %%", "%", "^a", "(a)(b)?", "a(", "0", "00", "12", "-3", "+3", "1.5", "1e3", "12Mi", "3k", "100m", "7Gi", "5X", "99999999999Gi", "inf",
		[]any{}, []any{"a"}, []any{objectOf("a", objectOf("b", 2)), map[string]any{"a": number("4")}, objectOf("a", objectOf("c", 3), 1, 2)}, []any{objectOf("a", objectOf("b", 2)), objectOf("a", objectOf("c", objectOf()))}, []any{objectOf(), "a"}, []any{"a", "b"}, []any{"b", nil, "a"}, []any{number("3"), number("1"), 2}, []any{number("1"), 1}, []any{"a", number("5")}, []any{[]any{"a"}, "b"}, &Array{items: []any{"a", 1}},
		map[string]any{}, map[string]any{"a": number("1")}, map[string]any{"a": map[string]any{"b": []any{"c"}}}, map[string]any{"a": nil, "b": false},
		objectOf(), objectOf("a", 1), objectOf(1, "a", "1", "b"), objectOf(setOf("a"), "x"), objectOf("a", objectOf("c", 2), "z", nil),
		setOf(), setOf("a"), setOf("b", "a"), setOf(1, "a", nil), setOf(setOf("a"), setOf("b", "c")), setOf(number("1"), 2, number("2.0")),
	}
}

// Whatever a native built-in takes for its own, it answers as OPA's function does.
func TestNativeBuiltinsGiveWhatOPAsGive(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 1))
	program := &Program{patterns: newPatterns()}
	for name, native := range natives {
		if name == "walk" {
			continue
		}
		arity := ast.BuiltinMap[name].Decl.Arity()
		all := operands()
		tries := 1
		for range arity {
			tries *= len(all)
		}
		mine, most := 0, 3_000
		for try := range min(tries, most) {
			args, rest := make([]any, arity), try
			for i := range args {
				args[i] = all[rest%len(all)]
				if tries > most {
					args[i] = all[random.IntN(len(all))]
				}
				rest /= len(all)
			}
			before := fmt.Sprint(shown(args))
			value, own := native(&machine{program: program}, args)
			if fmt.Sprint(shown(args)) != before {
				t.Fatalf("%s changed its operands from %s to %s", name, before, shown(args))
			}
			if !own {
				continue
			}
			mine++
			want, err := opaCall(name, args)
			if err != nil {
				t.Fatalf("%s%s gives %v, and OPA the error %v", name, shown(args), value, err)
			}
			if got := text(value); got != want {
				t.Fatalf("%s%s gives %s, and OPA %s", name, shown(args), got, want)
			}
		}
		if mine == 0 {
			t.Errorf("%s never answered", name)
		}
	}
}

// text is a value with the spelling of its numbers.
func text(value any) string {
	if isUndefined(value) {
		return "undefined"
	}
	return valueOf(&watch{}, value).String()
}

func shown(args []any) string {
	terms := make([]string, len(args))
	for i, arg := range args {
		terms[i] = text(arg)
	}
	return fmt.Sprint(terms)
}

func opaCall(name string, args []any) (result string, err error) {
	terms := make([]*ast.Term, len(args))
	for i, arg := range args {
		terms[i] = ast.NewTerm(valueOf(&watch{}, arg))
	}
	result = "undefined"
	err = topdown.GetBuiltin(name)(topdown.BuiltinContext{Cancel: topdown.NewCancel()}, terms, func(term *ast.Term) error {
		result = term.Value.String()
		return nil
	})
	return result, err
}

// What OPA's functions keep between two evaluations, and count, they find again.
func TestFunctionsOfOPAAnswerAgainWithWhatTheyHaveKept(t *testing.T) {
	values := cache.NewInterQueryValueCache(t.Context(), &cache.Config{})
	for _, one := range []string{
		`regex.replace("a/b", "^.*/", "")`, `regex.split("/", "a/b")`, `regex.find_n("[a-z]", "a/b", -1)`, `regex.is_valid("a(")`,
		`regex.find_all_string_submatch_n("[a-z]", "a/b", -1)`, `regex.match("^(a|é)$", "é")`, `regex.template_match("urn:{.*}", "urn:a", "{", "}")`,
		`regex.globs_match("a.*", "ab.*")`, `glob.match("*.example.com", ["."], "a.example.com")`, `glob.quote_meta("*")`,
		`json.match_schema({"a": 1}, {"type": "object"})`, `json.verify_schema({"type": "object"})`, `json.patch({"a": 1}, [{"op": "remove", "path": "/a"}])`,
		`semver.compare("1.0.0", "2.0.0")`, `net.cidr_contains("10.0.0.0/8", "10.1.0.0")`, `graph.reachable({"a": ["b"]}, {"a"})`,
		`units.parse("1.5Gi")`, `units.parse_bytes("1.5Gi")`, `time.parse_rfc3339_ns("2026-01-01T00:00:00Z")`, `base64.decode("YQ==")`, `crypto.sha256("a")`,
	} {
		program := planned(t, "package p\nanswer := ["+one+"] if input.on")
		ask := Question{Input: map[string]any{"on": true}, Values: values, Cancel: topdown.NewCancel()}
		first := said(program, ask)
		if again := said(program, ask); again != first || !strings.HasPrefix(first, "[") {
			t.Errorf("%s: first %s, then %s", one, first, again)
		}
	}
}

// Whole numbers are OPA's once they have more digits than are reckoned with here.
func TestSumsAndProductsDoNotOverflow(t *testing.T) {
	program := planned(t, `package p
doubled(x) := x + x
fewer(x) := x - 900000000000000000
answer := [doubled(doubled(doubled(doubled(doubled(input.x))))), fewer(fewer(fewer(fewer(fewer(fewer(0 - input.x)))))), ((input.x * 1000) * 1000) * 1000]`)
	if got := said(program, Question{Input: map[string]any{"x": number("900000000000000000")}}); got != "[28800000000000000000, -6300000000000000000, 900000000000000000000000000]" {
		t.Error(got)
	}
}

func TestWalkGoesWhereOPAGoesInTheSameOrder(t *testing.T) {
	for _, value := range operands() {
		got, _ := walk(&machine{}, []any{value})
		var want []string
		err := topdown.GetBuiltin("walk")(topdown.BuiltinContext{}, []*ast.Term{ast.NewTerm(valueOf(&watch{}, value))}, func(term *ast.Term) error {
			want = append(want, term.Value.String())
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		items, _ := listOf(got)
		found := make([]string, len(items))
		for i, item := range items {
			found[i] = text(item)
		}
		if !slices.Equal(found, want) {
			t.Errorf("%s:\n got %s\nwant %s", text(value), found, want)
		}
	}
}

func TestValuesAreOrderedEqualAndHashedAsInOPA(t *testing.T) {
	for _, a := range operands() {
		for _, b := range operands() {
			want := cmp.Compare(ast.Compare(valueOf(&watch{}, a), valueOf(&watch{}, b)), 0)
			if got := compare(&watch{}, a, b); got != want {
				t.Errorf("compare(%s, %s) is %d, not %d", text(a), text(b), got, want)
			}
			if equal(&watch{}, a, b) != (want == 0) {
				t.Errorf("equal(%s, %s) is %v", text(a), text(b), equal(&watch{}, a, b))
			}
			if want == 0 && hash(&watch{}, a) != hash(&watch{}, b) {
				t.Errorf("%s and %s are equal and hashed differently", text(a), text(b))
			}
		}
		if back := nativeOf(&watch{}, valueOf(&watch{}, a)); compare(&watch{}, a, back) != 0 {
			t.Errorf("%s became %s", text(a), text(back))
		}
		decoded, err := Decoded(a)
		if err != nil {
			t.Fatal(err)
		}
		got, _ := json.Marshal(decoded)
		opa, err := ast.JSONWithOpt(valueOf(&watch{}, a), ast.JSONOpt{SortSets: true})
		if err != nil {
			t.Fatal(err)
		}
		if want, _ := json.Marshal(opa); string(got) != string(want) {
			t.Errorf("%s is %s, not %s", text(a), got, want)
		}
	}
}

func TestLargeSetsAndObjectsAreHashedAndKeepTheirOrder(t *testing.T) {
	set, object := &Set{}, &Object{}
	order := rand.New(rand.NewPCG(1, 2)).Perm(20_000)
	for _, n := range order {
		key := fmt.Sprintf("%05d", n)
		set.add(&watch{}, key)
		set.add(&watch{}, key)
		object.insert(&watch{}, key, n)
		object.insert(&watch{}, key, n+1)
	}
	if set.Len() != len(order) || object.Len() != len(order) {
		t.Fatalf("%d elements and %d entries", set.Len(), object.Len())
	}
	for i, item := range set.sorted(&watch{}) {
		value, there := object.Get(item)
		if item != fmt.Sprintf("%05d", i) || !there || value != i+1 || sortedKeys(&watch{}, object)[0] != "00000" && i == 0 {
			t.Fatalf("element %d is %v, its value %v", i, item, value)
		}
		if i == 100 {
			break
		}
	}
	if set.has(&watch{}, "20000") || set.has(&watch{}, 1) {
		t.Error("it has what was not added")
	}
}
