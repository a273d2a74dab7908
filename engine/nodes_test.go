package main

import (
	"fmt"
	"strings"
	"testing"

	nodes "sigs.k8s.io/yaml/goyaml.v3"
)

const headOfMany = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: many}\n"

// One document of many small nodes took all others with it.
func TestADocumentOfTooManyNodesIsAProblemOfItsOwn(t *testing.T) {
	json := `{"apiVersion":"v1","kind":"Pod","metadata":{"name":"many"},"spec":{"containers":[%s{}]}}`
	for name, text := range map[string]string{
		"a list":         headOfMany + "x:\n" + strings.Repeat("- a\n", maxNodes/2+1),
		"a flow list":    headOfMany + "x: [" + strings.Repeat("a,", maxNodes+1) + "a]\n",
		"a mapping":      headOfMany + "x: {" + strings.Repeat("\"a\":b,", maxNodes/2+1) + "}\n",
		"empty mappings": headOfMany + "x: [" + strings.Repeat("{},", maxNodes/2+1) + "a]\n",
		"aliases":        headOfMany + "x: &a a\ny: [" + strings.Repeat("*a,", maxNodes+1) + "*a]\n",
		"long aliases":   headOfMany + "x: &a " + strings.Repeat("a", 100_000) + "\ny: [" + strings.Repeat("*a,", 2000) + "*a]\n",
		"in a list":      "apiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: Pod, x: [" + strings.Repeat("a,", maxNodes+1) + "a]}\n",
		"items":          "apiVersion: v1\nkind: List\nitems: [" + strings.Repeat("1,", maxItems+1) + "1]\n",
		"JSON":           fmt.Sprintf(json, strings.Repeat("{},", maxKept+1)),
		"JSON items":     `{"apiVersion":"v1","kind":"List","items":[` + strings.Repeat("1,", maxItems+1) + "1]}",
		"block":          "apiVersion: v1\nkind: Pod\nmetadata:\n  name: many\nspec:\n  containers:\n" + strings.Repeat("  - name: a\n", maxKept/2+1),
	} {
		t.Run(name, func(t *testing.T) {
			e := newEngine()
			// It reads all of what it judges.
			install(t, e, "p", "v1", "package p\n\nviolation contains {\"msg\": sprintf(\"%v\", [input.review.object])}")
			answer := loadedAs(t, e, loadRequest{Batch: "b", Format: "files", Parts: []Part{{Length: len(text)}, {Length: len(podYAML)}}}, text+podYAML)
			if len(answer.Problems) != 1 || answer.Problems[0].Part != 0 || !strings.Contains(answer.Problems[0].Message, "which is not read: ") {
				t.Errorf("problems: %.300v", answer.Problems)
			}
			if len(answer.Documents) != 1 || answer.Documents[0].Part != 1 {
				t.Errorf("%d documents", len(answer.Documents))
			}
		})
	}
}

// One object of a page of an API server's list, or of one that says it were such a server.
func TestAnObjectOfTooManyNodesIsAProblemOfItsPage(t *testing.T) {
	many := `{"metadata":{"name":"many"},"spec":{"containers":[` + strings.Repeat("{},", maxKept+1) + `{}]}}`
	text := `{"apiVersion":"v1","kind":"PodList","metadata":{},"items":[` + many + `,{"metadata":{"name":"a"}}]}`
	e := newEngine()
	install(t, e, "p", "v1", "package p\n\nviolation contains {\"msg\": sprintf(\"%v\", [input.review.object])}")
	answer := loadedAs(t, e, loadRequest{Batch: "b", Format: "list"}, text)
	if len(answer.Problems) != 1 || len(answer.Documents) != 1 || answer.Documents[0].Name != "a" {
		t.Errorf("%d documents, problems: %.300v", len(answer.Documents), answer.Problems)
	}
}

func TestProblemsThatAreManyAreToldInOne(t *testing.T) {
	const more = 4000
	for name, one := range map[string]struct {
		text string
		last int // line
	}{
		"items":      {"apiVersion: v1\nkind: List\nitems:\n" + strings.Repeat("- ~\n", maxProblems+more), 3 + maxProblems + 1},
		"JSON items": {"{\"apiVersion\": \"v1\", \"kind\": \"List\", \"items\": [\n" + strings.Repeat("1,\n", maxProblems+more-1) + "1]}", 1 + maxProblems + 1},
		"documents":  {strings.Repeat("---\na: b\n", maxProblems+more), 2 + 2*maxProblems},
	} {
		problems := loaded(t, newEngine(), one.text).Problems
		if len(problems) != maxProblems+1 {
			t.Fatalf("%s: %d problems", name, len(problems))
		}
		last := problems[maxProblems]
		equal(t, name, last.Line, one.last)
		contains(t, name, last.Message, fmt.Sprintf("with %d more from here on", more-1))
	}
}

// What is counted before a document is read must not be far below what the library makes of it.
func TestNodesAreCountedWithoutReadingThem(t *testing.T) {
	pieces := []string{"- a\n", "- - - a\n", "- a: b\n", "- a:\n", "-\n", "- ? a\n", "- ? - - a\n", "- [a, b, [], {}]\n", "- {a, b, c: d}\n", "- {\"a\":b,'c':d}\n",
		"- [a: b, c: d]\n", "- - a: b\n    c:\n", "- !!str a\n", "- &x a\n"}
	for _, piece := range pieces {
		text := strings.Repeat(piece, 100)
		var root nodes.Node
		if err := nodes.Unmarshal([]byte(text), &root); err != nil {
			t.Fatal(piece, err)
		}
		if made, counted := nodesIn(&root), nodesOf([]byte(text)); 2*counted < made {
			t.Errorf("%q: %d counted, %d made", piece, counted, made)
		}
	}
}

func nodesIn(node *nodes.Node) int {
	made := 1
	for _, child := range node.Content {
		made += nodesIn(child)
	}
	return made
}
