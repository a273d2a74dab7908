package main

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// apportioned are the findings of a Pod's containers, and what is left to the Pod.
func apportioned(t *testing.T, e *Engine, text string) (whole []Finding, containers [][]Finding) {
	t.Helper()
	loaded(t, e, text)
	whole = judged(t, e, "p", `{"max": 2}`).Findings
	answer, err := e.isolate(isolateRequest{Batch: "b", DeadlineMS: 20_000, Task: task{Policy: "p", Parameters: json.RawMessage(`{"max": 2}`), Documents: []int{0}}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := e.release(batchRequest{Batch: "b"}); err != nil {
		t.Fatal(err)
	}
	return whole, answer.(map[string]any)["documents"].([]isolated)[0].Containers
}

func said(findings []Finding) []string {
	out := []string{}
	for _, one := range findings {
		out = append(out, one.Msg)
	}
	slices.Sort(out)
	return out
}

func TestMessagesThatCountBelongToTheContainerThatTheyCount(t *testing.T) {
	const images = `{"name": "a", "image": "x:latest"}, {"name": "b", "image": "y:1"}, {"name": "c", "image": "x:latest"}`
	for body, want := range map[string][][]string{
		`some i, c in input.review.object.spec.containers; endswith(c.image, ":latest"); msg := sprintf("container %d: %s", [i, c.image])`: {{"container 0: x:latest"}, {}, {"container 2: x:latest"}},
		`some c in input.review.object.spec.containers; endswith(c.image, ":latest"); msg := sprintf("%s is not fixed", [c.image])`:        {{"x:latest is not fixed"}, {}, {"x:latest is not fixed"}},
		`some c in input.review.object.spec.containers; not c.resources.limits; msg := "no limits"`:                                        {{"no limits"}, {"no limits"}, {"no limits"}},
		`count(input.review.object.spec.containers) == 1; msg := "only one"`:                                                               {{}, {}, {}},
		`n := count(input.review.object.spec.containers); n > 1; msg := sprintf("%d containers", [n])`:                                     {{}, {}, {}},
		`input.review.object.spec.containers; msg := "is a Pod"`:                                                                           {{}, {}, {}},
		`n := concat(", ", [c.name | some c in input.review.object.spec.containers]); msg := sprintf("all of %s", [n])`:                    {{}, {}, {}},
	} {
		e := newEngine()
		install(t, e, "p", "v1", "package p\nviolation contains {\"msg\": msg} if { "+body+" }")
		_, containers := apportioned(t, e, `{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": {"containers": [`+images+`]}}`)
		got := [][]string{}
		for _, one := range containers {
			got = append(got, said(one))
		}
		equal(t, body, got, want)
	}
}

// Whatever rule and Pod: no container gets a violation that the rule did not
// return for the whole Pod.
func TestContainersGetOnlyWhatTheRuleReturnedForTheWholePod(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 1))
	pick := func(from ...string) string { return from[random.IntN(len(from))] }
	given := 0
	for range 60 {
		var source strings.Builder
		source.WriteString("package p\nfield contains f if { some f in [\"containers\", \"initContainers\", \"ephemeralContainers\"] }\nnum(x) := count(object.get(input.review.object.spec, x, []))\n")
		for range 1 + random.IntN(3) {
			condition := pick(
				`c.image == "bad"`, `not c.image`, `c.name != "a"`, `num(f) < input.parameters.max`, `num(f) == 1`, `i == 1`, `i == num(f) - 1`, `count(c) < 2`,
				`some other in input.review.object.spec[f]; other.image == c.image; other.name != c.name`, `every other in input.review.object.spec[f] { other.image != "ok" }`,
			)
			message := pick(
				`"constant"`, `sprintf("%v %v", [f, i])`, `sprintf("%v", [c.name])`, `sprintf("%v of %v", [c.name, num(f)])`, `sprintf("%v", [input.review.object.spec[f]])`,
				`sprintf("%v has %v", [i, c.image])`, `concat(",", [object.get(one, "image", "?") | some one in input.review.object.spec[f]])`,
			)
			details := pick(`{}`, `{"n": i}`, `{"image": object.get(c, "image", "none")}`, `{"number": num(f)}`)
			fmt.Fprintf(&source, "violation contains {\"msg\": msg, \"details\": %s} if { some f in field; some i, c in input.review.object.spec[f]; %s; msg := %s }\n", details, condition, message)
		}
		if random.IntN(3) == 0 {
			fmt.Fprintf(&source, "violation contains {\"msg\": sprintf(\"%%v of all\", [num(\"containers\")])} if num(\"containers\") %s 1\n", pick("<", "==", "<=", ">"))
		}
		e := newEngine()
		install(t, e, "p", "v1", source.String())
		for range 8 {
			spec := map[string]any{}
			for _, field := range containerFields {
				list := []any{}
				for range random.IntN(4) {
					one := map[string]any{"name": pick("a", "b", "c") + field[:1]}
					if random.IntN(3) > 0 {
						one["image"] = pick("bad", "ok", "worse")
					}
					list = append(list, one)
				}
				spec[field] = list
			}
			text, _ := json.Marshal(map[string]any{"apiVersion": "v1", "kind": "Pod", "metadata": map[string]any{"name": "p"}, "spec": spec})
			whole, containers := apportioned(t, e, string(text))
			for c, found := range containers {
				for _, one := range found {
					given++
					if !slices.Contains(whole, one) {
						t.Fatalf("container %d has %+v, which is not in %+v\n%s\n%s", c, one, whole, source.String(), text)
					}
				}
			}
		}
	}
	if given < 100 {
		t.Errorf("only %d findings were given to containers", given)
	}
}

func TestManyContainersAreJudgedOnceEach(t *testing.T) {
	e := newEngine()
	install(t, e, "p", "v1", `package p
violation contains {"msg": "no limits"} if { some c in input.review.object.spec.containers; not c.resources.limits }`)
	var list []string
	for i := range 1000 {
		list = append(list, fmt.Sprintf(`{"name": "c%d", "image": "i"}`, i))
	}
	_, containers := apportioned(t, e, `{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": {"containers": [`+strings.Join(list, ",")+`]}}`)
	equal(t, "containers", len(containers), 1000)
	equal(t, "of the last", said(containers[999]), []string{"no limits"})
}
