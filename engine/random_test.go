package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// writer writes random policies whose findings depend on as much of a document
// as possible, and carry as little of it as possible: what a rule reads shows
// only in whether it holds.
type writer struct {
	*rand.Rand
	vars  []string
	keys  []string // variables that are constant strings
	paths []string // variables that are constant lists of strings
	calls []string // functions that may be called here
	next  int
	depth int
}

func (w *writer) pick(from ...string) string { return from[w.IntN(len(from))] }

func (w *writer) fresh() string {
	w.next++
	return fmt.Sprintf("x%d", w.next)
}

func (w *writer) ref() string {
	head := "input.review.object" + w.pick(".a", ".b", ".c", ".list", ".a", ".b", ".c", ".list", "[_]")
	if len(w.vars) > 0 && w.IntN(4) > 0 {
		head = w.vars[w.IntN(len(w.vars))]
	}
	for range w.IntN(3) {
		step := w.pick(".a", ".b", ".c", ".list", "[_]", "[0]", `["a"]`, "[k]")
		if step == "[k]" {
			if len(w.keys) == 0 {
				step = ".d"
			} else {
				step = "[" + w.keys[w.IntN(len(w.keys))] + "]"
			}
		}
		head += step
	}
	return head
}

// plain is a reference without iteration, which stands under a not.
func (w *writer) plain() string { return strings.ReplaceAll(w.ref(), "[_]", "[0]") }

func (w *writer) constant() string {
	return w.pick(`"a"`, `"b"`, `["a"]`, `["a", "b"]`, `{"a": "b"}`, `[]`, `{}`, `1`, `null`, `true`, `[["a"]]`, `{"a": {"b": "a"}}`)
}

func (w *writer) operand() string {
	if w.IntN(4) == 0 {
		return w.constant()
	}
	return w.ref()
}

func (w *writer) key() string {
	choice := w.IntN(5)
	if choice == 0 && len(w.keys) > 0 {
		return w.keys[w.IntN(len(w.keys))]
	}
	if choice == 1 && len(w.paths) > 0 {
		return w.paths[w.IntN(len(w.paths))]
	}
	if choice == 2 {
		return w.ref()
	}
	return w.pick(`"a"`, `"b"`, `["a", "b"]`, `["list", 0]`, `["a"]`, `"list"`)
}

// nested keeps what a body declares to itself.
func (w *writer) nested(statements int) string {
	vars, keys, paths := len(w.vars), len(w.keys), len(w.paths)
	w.depth++
	body := w.body(statements)
	w.depth--
	w.vars, w.keys, w.paths = w.vars[:vars], w.keys[:keys], w.paths[:paths]
	return body
}

func (w *writer) body(statements int) string {
	var lines []string
	for range statements {
		lines = append(lines, w.statement())
	}
	return strings.Join(lines, "; ")
}

func (w *writer) statement() string {
	choice := w.IntN(24)
	if w.depth > 2 && choice > 17 {
		choice = w.IntN(18)
	}
	bind := func(format string, arguments ...any) string {
		x := w.fresh()
		out := x + fmt.Sprintf(format, arguments...)
		w.vars = append(w.vars, x)
		return out
	}
	switch choice {
	case 0, 1:
		return bind(" := %s", w.ref())
	case 2:
		x := w.fresh()
		out := fmt.Sprintf("some %s; %s = %s; seen(%s)", x, x, w.ref(), x)
		w.vars = append(w.vars, x)
		return out
	case 3, 4:
		return bind(" := object.get(%s, %s, %s)", w.ref(), w.key(), w.operand())
	case 5:
		x := w.fresh()
		out := fmt.Sprintf("some %s in %s; seen(%s)", x, w.ref(), x)
		w.vars = append(w.vars, x)
		return out
	case 6:
		x, k := w.fresh(), w.fresh()
		out := fmt.Sprintf("some %s, %s in %s; seen(%s); seen(%s)", k, x, w.ref(), k, x)
		w.vars = append(w.vars, x, k)
		return out
	case 7:
		return fmt.Sprintf("%s == %s", w.ref(), w.operand())
	case 8:
		return fmt.Sprintf("%s = %s", w.ref(), w.operand())
	case 9:
		return fmt.Sprintf("%s != %s", w.ref(), w.operand())
	case 10:
		return w.pick("not ", "") + w.plain()
	case 11:
		return fmt.Sprintf("not %s %s %s", w.plain(), w.pick("=", "=="), strings.ReplaceAll(w.operand(), "[_]", "[0]"))
	case 12:
		return w.pick("not ", "") + fmt.Sprintf("%s(%s)", w.pick("is_object", "is_array", "is_string", "is_null"), w.plain())
	case 13:
		return fmt.Sprintf("count(%s) > %d", w.ref(), w.IntN(2))
	case 14:
		x := w.fresh()
		w.keys = append(w.keys, x)
		if w.IntN(2) == 0 {
			return fmt.Sprintf("some %s; %s = %s; seen(%s)", x, x, w.pick(`["a", "b"][_]`, `["list"][_]`, `{"a", "c"}[_]`), x)
		}
		return fmt.Sprintf("some %s in %s; seen(%s)", x, w.pick(`["a", "b"]`, `{"a", "list"}`, `["a", 1]`), x)
	case 15:
		x := w.fresh()
		w.paths = append(w.paths, x)
		return fmt.Sprintf("%s := %s", x, w.pick(`["a", "b"]`, `["a"]`, `["list"]`))
	case 16:
		if len(w.calls) == 0 {
			return bind(" := %s", w.ref())
		}
		return bind(" := %s(%s)", w.pick(w.calls...), w.ref())
	case 17:
		if len(w.calls) < 2 {
			return w.plain()
		}
		return w.pick(
			fmt.Sprintf("p(%s, %s)", w.operand(), w.operand()),
			fmt.Sprintf("%s in %s", w.operand(), w.ref()),
			fmt.Sprintf("values[%s]", w.ref()),
			fmt.Sprintf("object_of[%s] = %s", w.pick(`"a"`, "_"), w.operand()),
			fmt.Sprintf("r = %s", w.operand()),
			fmt.Sprintf("[%s, _] = %s", w.operand(), w.ref()),
			fmt.Sprintf(`{"a": %s} = %s`, w.operand(), w.ref()),
			fmt.Sprintf("at(%s, %s)", w.ref(), w.key()),
		)
	case 18:
		vars, keys := len(w.vars), len(w.keys)
		domain, x, k := w.operand(), w.fresh(), w.fresh()
		seen := fmt.Sprintf("seen(%s); seen(%s)", k, x)
		w.vars = append(w.vars, x, k)
		out := fmt.Sprintf("every %s, %s in %s { %s; %s }", k, x, domain, seen, w.nested(1+w.IntN(2)))
		w.vars, w.keys = w.vars[:vars], w.keys[:keys]
		return out
	case 19, 20:
		return fmt.Sprintf("count([1 | %s]) %s 0", w.nested(1+w.IntN(2)), w.pick("==", ">"))
	case 21:
		vars, keys, paths := len(w.vars), len(w.keys), len(w.paths)
		inner := w.body(1 + w.IntN(2))
		term := w.ref()
		w.vars, w.keys, w.paths = w.vars[:vars], w.keys[:keys], w.paths[:paths]
		return bind(" := [%s | %s]", term, inner)
	case 22:
		x := w.fresh()
		return fmt.Sprintf("%s := {%s | %s}; %s[_] = %s", x, w.plain(), w.nested(1), x, w.operand())
	default:
		x := w.fresh()
		// One variable for several bodies, bound anew in each.
		object := w.ref()
		return fmt.Sprintf(`some %s; count([1 | %s = ["a", "b"][_]; %s[%s]]) > 0; count([1 | %s = %s; %s[%s] %s]) > 0`,
			x, x, object, x, x, w.pick(`["list", "c"][_]`, `["b"][_]`, w.ref()), object, x, w.pick("", "= "+w.constant()))
	}
}

func (w *writer) scoped(vars []string, statements int) string {
	outer := w.vars
	w.vars, w.keys, w.paths = slices.Clone(vars), nil, nil
	defer func() { w.vars = outer }()
	return w.body(statements)
}

// observations are how often each of some bodies holds: one that never does
// must not hide the others.
func (w *writer) observations(number int) string {
	w.vars, w.keys, w.paths = nil, nil, nil
	var lines, counts []string
	for range w.IntN(3) {
		lines = append(lines, w.fresh()+" := input.review.object"+w.pick(".a", ".b", ".list[_]", ".a.b", "[_].a"))
		w.vars = append(w.vars, fmt.Sprintf("x%d", w.next))
	}
	for range 1 + w.IntN(3) {
		count := w.fresh()
		lines = append(lines, fmt.Sprintf("%s := count([1 | %s])", count, w.nested(1+w.IntN(2))))
		counts = append(counts, count)
	}
	return strings.Join(lines, "; ") + fmt.Sprintf("; msg := sprintf(\"%d: %%v\", [[%s]])", number, strings.Join(counts, ", "))
}

func (w *writer) policy() string {
	var out strings.Builder
	out.WriteString("package p\n")
	for i := range 1 + w.IntN(2) {
		w.calls = []string{"f", "g", "h"}
		fmt.Fprintf(&out, "violation contains {\"msg\": msg} if { %s }\n", w.observations(i))
	}
	for _, name := range []string{"f", "g"} {
		w.calls = map[string][]string{"f": {"g"}}[name]
		for range 1 + w.IntN(2) {
			fmt.Fprintf(&out, "%s(y) := %s if { %s }", name, w.pick("y", "y.a", "y[_]", "1", `"a"`), w.scoped([]string{"y"}, 1))
			if w.IntN(2) == 0 {
				fmt.Fprintf(&out, " else := %s if { %s }", w.pick("y", "y.b", "2"), w.scoped([]string{"y"}, 1))
			}
			out.WriteString("\n")
		}
	}
	if w.IntN(10) == 0 {
		part := w.pick("", ".a", ".b.a", ".list")
		fmt.Fprintf(&out, "violation contains {\"msg\": \"replaced\"} if { r with input.review.object%s as %s; input.review.object%s }\n", part, w.constant(), w.pick("", ".a", ".b", ".c"))
	}
	fmt.Fprintf(&out, "h(%s) := %s\n", w.pick("[z, _]", `{"a": z}`, "z"), w.pick("z", "1"))
	fmt.Fprintf(&out, "p(y, z) if { %s }\n", w.scoped([]string{"y", "z"}, 2))
	fmt.Fprintf(&out, "p(y, z) if y %s z\n", w.pick("=", "==", "!="))
	fmt.Fprintf(&out, "at(y, key) if object.get(y, key, null) %s %s\n", w.pick("==", "!="), w.constant())
	out.WriteString("at(y, key) if y[key].a\n")
	fmt.Fprintf(&out, "values contains v if { v := input.review.object%s }\n", w.pick(".a.a", ".list[_].a", ".b.a"))
	fmt.Fprintf(&out, "object_of[k] := v if { some k in [\"a\", \"b\"]; v := input.review.object%s }\n", w.pick("[k].b", "[k].a"))
	fmt.Fprintf(&out, "default r := %s\n", w.constant())
	out.WriteString("seen(_) := true\n")
	fmt.Fprintf(&out, "r := %s if { %s }\n", w.pick("1", "input.review.object.a.c"), w.scoped(nil, 1))
	return out.String()
}

// value is a random document of the same few words.
func (w *writer) value(depth int) any {
	choice := w.IntN(10)
	if depth == 0 && choice < 6 {
		choice = 6 + w.IntN(4)
	}
	switch {
	case choice < 4:
		object := map[string]any{}
		for range 1 + w.IntN(3) {
			object[w.pick("a", "b", "c", "list", "d")] = w.value(depth - 1)
		}
		return object
	case choice < 6:
		array := []any{}
		for range w.IntN(3) {
			array = append(array, w.value(depth-1))
		}
		return array
	case choice < 8:
		return w.pick("a", "b")
	case choice == 8:
		return json.Number("1")
	}
	return []any{nil, true, []any{}, map[string]any{}}[w.IntN(4)]
}

func (w *writer) document() map[string]any {
	object := map[string]any{}
	for _, key := range []string{"a", "b", "c", "list"} {
		if w.IntN(5) > 0 {
			object[key] = w.value(4)
		}
	}
	object["apiVersion"], object["kind"], object["metadata"] = "v1", "Thing", map[string]any{"name": "x"}
	return object
}

// project keeps of an object what is read, as the parser does.
func project(t testing.TB, object map[string]any, reads *Reads) map[string]any {
	t.Helper()
	text, err := json.Marshal(object)
	if err != nil {
		t.Fatal(err)
	}
	with := newReads()
	with.merge(reads)
	for _, key := range []string{"apiVersion", "kind"} {
		with.add(key)
	}
	value, err := parseJSON(text, with.add("metadata", "name").settle())
	if err != nil {
		t.Fatal(err)
	}
	return value.(map[string]any)
}

func summary(out *outcome) string {
	var lines []string
	for _, one := range out.findings {
		lines = append(lines, "finding "+one.Msg+" "+one.Details)
	}
	for _, one := range out.faults {
		lines = append(lines, "fault "+one)
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

// unlike is a document that is like another one but for a part or two.
func (w *writer) unlike(object map[string]any) map[string]any {
	out := maps.Clone(object)
	for range 1 + w.IntN(2) {
		key := w.pick("a", "b", "c", "list", "unread", "unread", "unread", "other")
		if inner, ok := out[key].(map[string]any); ok && w.IntN(2) == 0 {
			inner = maps.Clone(inner)
			inner[w.pick("a", "b", "c", "list", "d", "unread")] = w.value(2)
			out[key] = inner
		} else {
			out[key] = w.value(3)
		}
	}
	return out
}

// unbound is a policy that is given whole documents and remembers nothing:
// what it finds is right.
func unbound(policy *Policy) *Policy {
	return &Policy{id: policy.id, compiler: policy.compiler, query: policy.query, useInventory: policy.useInventory, reads: everything(), request: everything(), values: newValueCache()}
}

// seedOfToday is another one every day, so that every day other policies are tried.
func seedOfToday(t testing.TB) uint64 {
	t.Helper()
	text := os.Getenv("AKSP_ENGINE_SEED")
	if text == "" {
		text = time.Now().UTC().Format("20060102")
	}
	seed, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		t.Fatalf("AKSP_ENGINE_SEED: %v", err)
	}
	return seed
}

// The policies run in a process of their own: if one ends it, this tells with
// which seed, and in which round.
func TestRandomPoliciesFindTheSameInWhatTheyReadAndRememberAsInWholeDocuments(t *testing.T) {
	seed := seedOfToday(t)
	if os.Getenv("AKSP_ENGINE_CHILD") == "" {
		child := exec.Command(os.Args[0], "-test.run", "^"+t.Name()+"$", "-test.v", "-test.timeout", "30m")
		child.Env = append(os.Environ(), "AKSP_ENGINE_CHILD=1", fmt.Sprintf("AKSP_ENGINE_SEED=%d", seed))
		said, err := child.CombinedOutput()
		t.Logf("seed %d", seed)
		if err != nil {
			t.Fatalf("with AKSP_ENGINE_SEED=%d: %v\n%s", seed, err, said[max(0, len(said)-16<<10):])
		}
		if !strings.Contains(string(said), "--- PASS: "+t.Name()) {
			t.Fatalf("the process tried nothing:\n%s", said)
		}
		return
	}
	rounds := 100 / raceStep
	if more, err := strconv.Atoi(os.Getenv("AKSP_ENGINE_ROUNDS")); err == nil {
		rounds = more
	}
	usable, told, narrow, remembered, alike := 0, map[string]int{}, 0, 0, 0
	for round := range rounds {
		fmt.Println("round", round)
		w := &writer{Rand: rand.New(rand.NewPCG(seed, uint64(round)))}
		e := newEngine()
		var source string
		for try := 0; e.policies["p"] == nil && try < 20; try++ {
			source = w.policy()
			answer, err := e.compile(compileRequest{Policy: "p", Modules: []module{{Name: "p.rego", Source: source, Version: "v1"}}})
			if err != nil {
				t.Fatal(err)
			}
			for _, fault := range answer.(compileAnswer).Faults {
				told[fault.Message]++
				break
			}
		}
		policy := e.policies["p"]
		if policy == nil {
			continue
		}
		usable++
		reference := unbound(policy)
		ready, err := e.job(task{Policy: "p"}, int(testDeadline.Milliseconds()))
		if err != nil {
			t.Fatal(err)
		}
		telling := ready
		telling.early, telling.memo = true, nil
		data, err := e.inventory.snapshot(false)
		if err != nil {
			t.Fatal(err)
		}
		for range 40 {
			first, found := w.document(), ""
			for i, object := range []map[string]any{first, w.unlike(first), w.unlike(first)} {
				want := summary(evaluated(t, reference, object, map[string]any{}))
				if i == 0 {
					found = want
				} else if policy.alike(documentOf(first), documentOf(object)) {
					alike++
					if want != found {
						t.Fatalf("seed %d, round %d\n%s\n%v and %v are alike along %v", seed, round, source, first, object, policy.reads.paths())
					}
				}
				seen := project(t, object, policy.reads)
				if len(fmt.Sprint(seen)) < len(fmt.Sprint(object)) {
					narrow++
				}
				before := 0
				if ready.memo != nil {
					before = len(ready.memo.outcomes)
				}
				for way, got := range map[string]*outcome{
					"parsed along what it reads": evaluated(t, reference, seen, map[string]any{}),
					"given what it reads":        evaluated(t, policy, object, map[string]any{}),
					"remembered":                 e.judgeBy(ready, &inquiry{document: documentOf(seen)}, data, budgetFor([]job{ready})),
					"remembered a second time":   e.judgeBy(ready, &inquiry{document: documentOf(object)}, data, budgetFor([]job{ready})),
					"told as it is found":        e.run(telling, documentOf(object).review(object), data, budgetFor([]job{telling})),
				} {
					if got := summary(got); got != want {
						text, _ := json.Marshal(object)
						t.Fatalf("seed %d, round %d\n%s\ndocument %s\nreads %v\nfound:\n%s\n%s:\n%s", seed, round, source, text, policy.reads.paths(), want, way, got)
					}
				}
				if ready.memo != nil && len(ready.memo.outcomes) == before {
					remembered++
				}
			}
		}
		data.close()
	}
	all := usable * 120
	if usable < rounds/2 || narrow < all/4 || remembered < all/20 || alike < all/20 {
		for _, message := range slices.Sorted(maps.Keys(told)) {
			t.Log(told[message], message)
		}
		t.Errorf("only %d of %d policies compile, of %d documents %d were projected, %d remembered and %d alike", usable, rounds, all, narrow, remembered, alike)
	}
}
