package main

import (
	"fmt"
	"strings"
	"testing"
)

func TestWhatAPolicyReadsIsWhatItsRulesCanSee(t *testing.T) {
	for name, one := range map[string]struct{ rules, want string }{
		"a reference":                        {`violation contains {"msg": "x"} if input.review.object.spec.hostNetwork`, "spec.hostNetwork"},
		"an index":                           {`violation contains {"msg": "x"} if input.review.object.spec.containers[0].image == "x"`, "spec.containers[*].image!"},
		"some in":                            {`violation contains {"msg": c.name} if some c in input.review.object.spec.containers`, "spec.containers[*].name"},
		"some key in":                        {`violation contains {"msg": k} if some k, v in input.review.object.metadata.labels`, "metadata.labels[*]!"},
		"a key that is not known":            {`violation contains {"msg": "x"} if input.review.object.metadata.labels[input.parameters.key]`, "metadata.labels[*]"},
		"keys of a list":                     {`violation contains {"msg": "x"} if { some f in ["a", "b"]; input.review.object.spec[f].c }`, "spec.a.c spec.b.c"},
		"keys of a set":                      {`violation contains {"msg": "x"} if { some f in {"a", "b"}; input.review.object.spec[f].c }`, "spec.a.c spec.b.c"},
		"keys of a mixed list":               {`violation contains {"msg": "x"} if { some f in ["a", input.parameters.x]; input.review.object.spec[f].c }`, "spec[*].c"},
		"every":                              {`violation contains {"msg": "x"} if { every c in input.review.object.spec.containers { c.image == "x" } }`, "spec.containers[*].image!"},
		"object.get with a key":              {`violation contains {"msg": "x"} if object.get(input.review.object.spec, "a", null) == "x"`, "spec.a!"},
		"object.get with a path":             {`violation contains {"msg": object.get(input, ["review", "object", "spec", "a"], null)}`, "spec.a"},
		"object.get with a path in a name":   {`violation contains {"msg": "x"} if { p := ["a", "b"]; object.get(input.review.object.spec, p, null) == "x" }`, "spec"},
		"object.get with an unknown key":     {`violation contains {"msg": "x"} if object.get(input.review.object.spec, input.parameters.key, null) == "x"`, "spec"},
		"a function":                         {"violation contains {\"msg\": \"x\"} if f(input.review.object.spec)\nf(s) if s.a == 1\nf(s) if s.b[_] == 2", "spec.a! spec.b[*]!"},
		"a function that gives it back":      {"violation contains {\"msg\": \"x\"} if f(input.review.object.spec).a\nf(s) := s", "spec"},
		"a function with a key":              {"violation contains {\"msg\": \"x\"} if { f(input.review.object.spec, \"a\"); f(input.review.object.spec, \"b\") }\nf(s, k) if s[k] == 1", "spec.a! spec.b!"},
		"a function with any key":            {"violation contains {\"msg\": \"x\"} if { f(input.review.object.spec, \"a\"); f(input.review.object.spec, input.parameters.k) }\nf(s, k) if s[k] == 1", "spec[*]!"},
		"a function with a pattern":          {"violation contains {\"msg\": \"x\"} if f(input.review.object.spec.list)\nf([a, _]) if a.b", "spec.list"},
		"else":                               {"violation contains {\"msg\": f(input.review.object.spec)}\nf(s) := \"a\" if s.a else := \"b\" if s.b == 1 else := s.c", "spec.a spec.b! spec.c"},
		"a comprehension":                    {`violation contains {"msg": "x"} if count([c.a | some c in input.review.object.spec.list; c.b]) > 0`, "spec.list[*].a spec.list[*].b"},
		"the type alone":                     {`violation contains {"msg": "x"} if { not is_string(input.review.object.spec.a); type_name(input.review.object.spec.b) == "array" }`, "spec.a! spec.b!"},
		"against a constant":                 {`violation contains {"msg": "x"} if input.review.object.spec.a != true`, "spec.a!"},
		"against a list":                     {`violation contains {"msg": "x"} if { a := input.review.object.spec.a; a == ["b"] }`, "spec.a"},
		"against an object":                  {`violation contains {"msg": "x"} if { a := input.review.object.spec.a; a == {} }`, "spec.a"},
		"two parts against each other":       {`violation contains {"msg": "x"} if { a := input.review.object.spec.a; b := input.review.object.spec.b; a == b }`, "spec.a spec.b"},
		"one name for two parts":             {`violation contains {"msg": "x"} if { some a; input.review.object.spec.a = a; input.review.object.spec.b = a }`, "spec.a spec.b"},
		"a parameter for a part":             {"violation contains {\"msg\": \"x\"} if f([1])\nf(x) if x = input.review.object.spec.a", "spec.a"},
		"one parameter twice":                {"violation contains {\"msg\": \"x\"} if f(input.review.object.spec.a, input.review.object.spec.b)\nf(x, x)", "spec.a spec.b"},
		"a member":                           {`violation contains {"msg": "x"} if input.review.object.spec.a in [[1]]`, "spec.a"},
		"an element of a constant":           {`violation contains {"msg": "x"} if { every x in [["a"]] { x = input.review.object.spec.a } }`, "spec.a"},
		"within a literal":                   {`violation contains {"msg": "x"} if [input.review.object.spec.a, 1][_].b`, "spec.a"},
		"count":                              {`violation contains {"msg": "x"} if count(input.review.object.spec.a) > 1`, "spec.a"},
		"a complete rule":                    {"violation contains {\"msg\": \"x\"} if spec.a\nspec := input.review.object.spec", "spec"},
		"with":                               {`violation contains {"msg": "x"} if { input.review.object.spec.a with input.x as 1 }`, "everything"},
		"all of the object":                  {`violation contains {"msg": "x", "details": input.review.object}`, "everything"},
		"all of input":                       {`violation contains {"msg": "x"} if walk(input, [_, "x"])`, "everything"},
		"any key of the object":              {`violation contains {"msg": "x"} if input.review.object[_].a`, "[*].a"},
		"any key of review":                  {`violation contains {"msg": "x"} if input.review[_].spec.a`, "spec.a"},
		"nothing":                            {`violation contains {"msg": "x"} if input.parameters.a`, ""},
		"an else branch that knows more":     {"violation contains {\"msg\": f(\"c\")}\nf(k) := 1 if { k = [\"a\", \"b\"][_]; input.review.object.spec[k] } else := 2 if input.review.object.spec[k]\nviolation contains {\"msg\": f(input.parameters.k)}", "spec[*]"},
		"a name with keys in one body alone": {`violation contains {"msg": "x"} if { some k; count([1 | k = ["a"][_]; input.review.object.spec[k]]) > 0; count([1 | k = input.parameters.k; input.review.object.spec[k]]) > 0 }`, "spec[*]"},
	} {
		t.Run(name, func(t *testing.T) {
			policy := compiled(t, "v1", "package p\n"+one.rules)
			equal(t, "reads", readsShown(policy.reads), one.want)
			equal(t, "inventory", policy.useInventory, false)
		})
	}
}

// readsShown lists what is read, marked where nothing below is.
func readsShown(reads *Reads) string {
	var walk func(prefix string, node *Reads) []string
	walk = func(prefix string, node *Reads) []string {
		if node.whole {
			return []string{prefix}
		}
		var out []string
		for _, name := range sorted(node).names {
			out = append(out, walk(prefix+"."+name, node.keys[name])...)
		}
		if node.any != nil {
			out = append(out, walk(prefix+"[*]", node.any)...)
		}
		if out == nil && prefix != "" {
			return []string{prefix + "!"}
		}
		return out
	}
	if reads.whole {
		return "everything"
	}
	var out []string
	for _, path := range walk("", reads) {
		out = append(out, strings.TrimPrefix(path, "."))
	}
	return strings.Join(out, " ")
}

func TestV0PoliciesReadAsLittle(t *testing.T) {
	policy := compiled(t, "v0", `package p
violation[{"msg": msg}] {
	container := input.review.object.spec.containers[_]
	not container.resources.limits
	msg := container.name
}
violation[{"msg": "x"}] {
	container = input.review.object.spec.volumes[_]
	container.hostPath
}`)
	equal(t, "reads", readsShown(policy.reads), "spec.containers[*].name spec.containers[*].resources.limits spec.volumes[*].hostPath")
}

func TestTheInventoryIsSeenHoweverItIsReached(t *testing.T) {
	for _, body := range []string{
		`data.inventory.cluster.v1.Namespace.a`, `data["inventory"].cluster`,
		`data.inventory.cluster with input.a as 1`, `count([1 | data.inventory.cluster]) > 0`,
		`not data.inventory.cluster`, `every x in data.inventory.cluster { x }`, `f(data.inventory)`,
	} {
		policy := compiled(t, "v1", "package p\nviolation contains {\"msg\": \"x\"} if { "+body+" }\nf(x) if x.cluster")
		equal(t, body, policy.useInventory, true)
		equal(t, body+": remembered", policy.visible != nil, false)
	}
	equal(t, "rules of its own", compiled(t, "v1", "package p\nviolation contains {\"msg\": \"x\"} if data.p.a\na := 1").useInventory, false)
}

// Names of old policies stand for something else in each rule. Taken together,
// these would stand for ever longer paths.
func TestNamesThatGoInCirclesEndTheAnalysisAndNotTheProcess(t *testing.T) {
	var rules strings.Builder
	rules.WriteString("package p\nviolation[{\"msg\": \"x\"}] { x0 = input.review.object; x1 = x0.a }\n")
	for i := range 12 {
		for _, key := range []string{"a", "b", "c"} {
			fmt.Fprintf(&rules, "violation[{\"msg\": \"x\"}] { x%d = input.review.object; x%d = x%d.%s; x%d.z }\n", i, (i+1)%12, i, key, (i+1)%12)
			fmt.Fprintf(&rules, "f%d(x) { f%d(x.%s) }\n", i, i+1, key)
			fmt.Fprintf(&rules, "f%d(x) { f%d(x.%s) }\n", i, i+1, strings.ToUpper(key))
		}
	}
	rules.WriteString("f12(x) { x.y }\nviolation[{\"msg\": \"x\"}] { f0(input.review.object) }\n")
	policy := compiled(t, "v0", rules.String())
	equal(t, "reads", readsShown(policy.reads), "everything")
}
