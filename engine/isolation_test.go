package main

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/topdown"
	"github.com/open-policy-agent/opa/v1/types"
)

// No evaluation may change what another one sees, nor what the rest of itself
// sees: these tests evaluate policies beside others that replace and rebuild
// every part of their input.

// replacer replaces one part of input or data after the other, and tries the
// built-ins that make an object of another one.
func replacer(paths []string) string {
	var out strings.Builder
	out.WriteString("package replacer\nimport rego.v1\n")
	for i, path := range paths {
		value := []string{`{"replaced": true}`, `[]`, `"replaced"`}[i%3]
		fmt.Fprintf(&out, "violation contains {\"msg\": \"%d\"} if { everything with %s as %s }\n", i, path, value)
	}
	out.WriteString(`
everything := {"input": input, "inventory": {one | one := data.inventory}}
violation contains {"msg": "nested"} if { inner with input.review.object as input.review }
inner if { everything.input with input.object as {"x": 1} with input.kind.kind as "Other" }
violation contains {"msg": "twice"} if { everything.input with input.review.object as input.review with input.review.object.object.spec as {} }
made := [
	object.union_n([input, {"review": {"object": {"spec": "union"}}}, {"parameters": {"keys": []}}]),
	object.union(input.review, {"object": {"metadata": null}}),
	object.remove(input.review.object, ["spec"]),
	object.filter(input.review.object, ["spec"]),
	json.patch(input, [{"op": "add", "path": "/review/object/spec", "value": "patched"}]),
	json.patch(input.review.object, [{"op": "remove", "path": "/metadata"}]),
	json.remove(input, ["review/object/spec", "review/object/metadata", "parameters"]),
	json.filter(input, ["review/object/kind"]),
]
violation contains {"msg": "made"} if { some one in made; one == null }
`)
	return out.String()
}

// partsOf adds the references to all parts of a value that `with` can name:
// those below constant keys of objects.
func partsOf(parts map[string]any, prefix string, value any) {
	parts[prefix] = nil
	object, _ := value.(map[string]any)
	for key, entry := range object {
		partsOf(parts, fmt.Sprintf("%s[%q]", prefix, key), entry)
	}
}

func TestNoPolicyFindsOtherThingsBesideOneThatReplacesItsInput(t *testing.T) {
	all := allDocuments(t, 20)
	for _, one := range append(corpus(t), definitions(t)...) {
		t.Run(one.name, func(t *testing.T) {
			t.Parallel()
			e := newEngine()
			policy, faults := compilePolicy(compileRequest{Policy: one.name, Modules: one.modules})
			if len(faults) > 0 {
				t.Fatalf("%+v", faults)
			}
			e.policies["p"] = policy
			parameters := one.parameters[0]
			loaded(t, e, one.of(all))
			e.batches["b"].reads = everything()
			if policy.useInventory {
				if _, err := e.addToInventory(inventoryRequest{Batch: "b", Kinds: []string{"networking.k8s.io/Ingress", "/Service", "/Namespace"}}); err != nil {
					t.Fatal(err)
				}
			}
			chosen := tellingDocuments(judged(t, e, "p", parameters), len(e.batches["b"].documents))
			parts := map[string]any{"input": nil, "input.review": nil, "input.review.object.metadata.labels.app": nil, "data.inventory": nil, "data.inventory.cluster": nil}
			for _, d := range chosen {
				partsOf(parts, "input.review.object", e.batches["b"].documents[d].object)
			}
			partsOf(parts, "input.parameters", native(t, parameters))
			paths := slices.Sorted(mapKeys(parts))
			rand.New(rand.NewPCG(1, uint64(len(one.modules[0].Source)))).Shuffle(len(paths), func(i, j int) { paths[i], paths[j] = paths[j], paths[i] })
			install(t, e, "replacer", "v1", replacer(paths[:min(len(paths), 15)]))
			outcomes := func(policies ...string) string {
				for _, policy := range e.policies {
					policy.forget()
				}
				request := judgeRequest{Batch: "b", DeadlineMS: 60_000}
				for _, policy := range policies {
					request.Tasks = append(request.Tasks, task{Policy: policy, Parameters: json.RawMessage(parameters), Documents: chosen})
				}
				answer, err := e.judge(request)
				if err != nil {
					t.Error(err)
					return ""
				}
				return outcomeOf(answer.(judgeAnswer), slices.Index(policies, "p"))
			}
			want := outcomes("p")
			if want == "" {
				t.Error("it finds nothing at all")
			}
			var group sync.WaitGroup
			for _, policies := range [][]string{{"replacer", "p"}, {"p", "replacer"}, {"replacer", "p", "replacer"}} {
				group.Go(func() {
					if got := outcomes(policies...); got != want {
						t.Errorf("as %v it finds\n%s\nnot\n%s", policies, got, want)
					}
				})
			}
			group.Wait()
			equal(t, "afterwards", outcomes("p"), want)
		})
	}
}

// tellingDocuments are some in which something was found, and some others.
func tellingDocuments(answer judgeAnswer, number int) (chosen []int) {
	found := map[int]bool{}
	for _, one := range answer.Hits {
		found[one.Document] = true
	}
	for _, one := range answer.Faults {
		found[one.Document] = true
	}
	left := map[bool]int{true: 5, false: 2}
	for d := range number {
		if left[found[d]] > 0 {
			left[found[d]]--
			chosen = append(chosen, d)
		}
	}
	return chosen
}

// outcomeOf is what one task found and where it failed, by document.
func outcomeOf(answer judgeAnswer, of int) string {
	var lines []string
	for _, one := range answer.Hits {
		for _, number := range one.Findings {
			if one.Task == of {
				lines = append(lines, fmt.Sprintf("%d: %+v", one.Document, answer.Findings[number]))
			}
		}
	}
	for _, one := range answer.Faults {
		if one.Task == of {
			lines = append(lines, fmt.Sprintf("%d: %s", one.Document, one.Message))
		}
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

func TestWhatWithReplacesIsThereAgainForTheRestOfTheRules(t *testing.T) {
	const object = `{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}, "spec": {"containers": [{"name": "c"}], "host": {"on": true}}}`
	for name, body := range map[string]string{
		"a part":            `not bad with input.review.object.spec.host as {}`,
		"the leaf":          `not bad with input.review.object.spec.host.on as false`,
		"the object":        `not bad with input.review.object as {}`,
		"the review":        `not bad with input.review as {}`,
		"all":               `not bad with input as {}`,
		"parameters":        `not allowed with input.parameters.keys as []`,
		"one in another":    `outer with input.review.object.spec.host as {"on": 1}`,
		"union_n":           `object.union_n([input.review.object.spec, {"host": {"on": false}}]).host.on == false`,
		"union_n of input":  `object.union_n([input, {"review": {"object": {"spec": {"host": {"on": false}}}}}]).review.object.spec.host.on == false`,
		"union_n of a part": `object.union_n([{"x": input.review.object.spec}, {"x": {"host": {"on": false}}}]).x.host.on == false`,
		"patch":             `json.patch(input, [{"op": "replace", "path": "/review/object/spec/host/on", "value": false}]).review.object.spec.host.on == false`,
	} {
		t.Run(name, func(t *testing.T) {
			policy := compiled(t, "v1", `package p
bad if input.review.object.spec.host.on == true
allowed if "app" in input.parameters.keys
outer if { not bad with input.review.object.spec.host.on as 2 }
violation contains {"msg": "replaced"} if { `+body+` }
violation contains {"msg": "bad"} if bad
violation contains {"msg": "allowed"} if allowed
violation contains {"msg": "both ways"} if { bad; x := 1; `+body+`; bad; allowed; x == 1 }`)
			parameters := native(t, `{"keys": ["app"]}`)
			before := fmt.Sprint(parameters)
			out := evaluated(t, policy, native(t, object).(map[string]any), parameters)
			equal(t, "outcome", summary(out), "finding allowed {}\nfinding bad {}\nfinding both ways {}\nfinding replaced {}")
			equal(t, "parameters", fmt.Sprint(parameters), before)
		})
	}
}

// Whatever built-in function gets a part of input or of data.inventory, leaves
// it as it is: evaluations share the inventory.
func TestNoBuiltinFunctionChangesItsOperands(t *testing.T) {
	const text = `{"a": {"b": {"c": [1, 2, {"d": "e"}]}, "x": {"y": "1"}}, "list": ["b", "a", {"b": 1}, {"b": {"c": 2}}],
		"patches": [{"op": "add", "path": "/a/b/new", "value": {"k": 1}}, {"op": "remove", "path": "/a/x"}, {"op": "add", "path": "/a/b/new/deep", "value": 3}],
		"paths": ["a/b", "list/0", "a/x/y"], "objects": [{"a": {"b": 1}}, {"a": {"c": {"d": 1}}}, {"a": {"c": {"e": 1}}}],
		"pairs": [["a", 1], ["b", 2]], "schema": {"type": "object", "properties": {"a": {"type": "object"}}}, "graph": {"a": ["b"], "b": ["a"]},
		"numbers": [3, 1, 2], "text": "a/b", "json": "{\"a\": 1}", "number": 3, "on": true, "none": null}`
	value, err := ast.InterfaceToValue(native(t, text))
	if err != nil {
		t.Fatal(err)
	}
	root := ast.NewTerm(value)
	operands := []*ast.Term{root}
	value.(ast.Object).Foreach(func(_, one *ast.Term) { operands = append(operands, one) })
	set := ast.SetTerm(ast.StringTerm("a"), root.Get(ast.StringTerm("a")))
	operands = append(operands, set)
	before, hash, setBefore := root.String(), root.Hash(), set.String()
	random := rand.New(rand.NewPCG(1, 1))
	called := 0
	for _, builtin := range capabilities().Builtins {
		function := topdown.GetBuiltin(builtin.Name)
		if function == nil || builtin.Relation {
			continue
		}
		arity := len(builtin.Decl.FuncArgs().Args)
		tries := 1
		for range arity {
			tries *= len(operands)
		}
		for try := range min(tries, 3000) {
			arguments := make([]*ast.Term, arity)
			rest := try
			for i := range arguments {
				arguments[i] = operands[rest%len(operands)]
				if tries > 3000 {
					arguments[i] = operands[random.IntN(len(operands))]
				}
				rest /= len(operands)
			}
			if !fits(builtin, arguments) {
				continue
			}
			err := call(function, arguments, func(result *ast.Term) error {
				called++
				if strings.HasPrefix(builtin.Name, "object.") && result != nil {
					// What is made may be changed by what makes something of it.
					return call(topdown.GetBuiltin("object.union_n"), []*ast.Term{ast.ArrayTerm(result, root, ast.ObjectTerm(ast.Item(ast.StringTerm("a"), ast.ObjectTerm())))}, func(*ast.Term) error { return nil })
				}
				return nil
			})
			_ = err // a wrong operand is its caller's fault
			if root.String() != before || set.String() != setBefore {
				t.Fatalf("%s%v made of the operands\n%s\n%s", builtin.Name, arguments, root, set)
			}
		}
	}
	equal(t, "hash", ast.MustInterfaceToValue(native(t, text)).Hash(), hash)
	if called < 1000 {
		t.Errorf("only %d calls had a result", called)
	}
}

func call(function topdown.BuiltinFunc, arguments []*ast.Term, then func(*ast.Term) error) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("%v", r)
		}
	}()
	return function(topdown.BuiltinContext{Cancel: topdown.NewCancel(), Seed: strings.NewReader(strings.Repeat("x", 4096))}, arguments, then)
}

// fits leaves out calls of which the compiler knows that they cannot be.
func fits(builtin *ast.Builtin, arguments []*ast.Term) bool {
	for i, one := range builtin.Decl.FuncArgs().Args {
		if named, ok := one.(*types.NamedType); ok {
			one = named.Type
		}
		if !couldBe(one, arguments[i].Value) {
			return false
		}
	}
	return true
}

func couldBe(expected types.Type, value ast.Value) bool {
	switch expected := expected.(type) {
	case types.Any:
		return len(expected) == 0 || slices.ContainsFunc(expected, func(one types.Type) bool { return couldBe(one, value) })
	case types.String:
		_, ok := value.(ast.String)
		return ok
	case types.Number:
		_, ok := value.(ast.Number)
		return ok
	case types.Boolean:
		_, ok := value.(ast.Boolean)
		return ok
	case *types.Object:
		_, ok := value.(ast.Object)
		return ok
	case *types.Array:
		_, ok := value.(*ast.Array)
		return ok
	case *types.Set:
		_, ok := value.(ast.Set)
		return ok
	}
	return true
}
