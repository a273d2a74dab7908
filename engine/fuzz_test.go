package main

import (
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"
)

var seeds = []string{
	"", "---\n", "# c\n", "a: b\n---\nc: [\n", "{\"a\": 1}{\"b\": [", "{a: b}", "\xef\xbb\xbfa: b\r\n---\r\n", "...\n%YAML 1.1\n---\n",
	"apiVersion: v1\nkind: Pod\nmetadata: {name: a, labels: {b: c}}\nspec:\n  containers:\n  - name: a\n    image: b\n",
	`{"apiVersion": "v1", "kind": "List", "items": [{"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "a"}, "spec": {"template": {"spec": {"containers": [null]}}}}]}`,
	"apiVersion: v1\nkind: PodList\nitems:\n- metadata: {name: a}\n- &x {a: *x}\n", "kind: CronJob\napiVersion: batch/v1\nspec: {jobTemplate: []}\n",
	"a: &a [x]\nb: *a\n", `{}[1, "a"]null 1`, "a: |\n  ---\n  b\n", "? a\n: b\n", "\x00\xff\xfe", "a: !!binary x\n", "a:\n- - b\n-\n",
}

// Whatever the text, it is split and loaded without a panic, every document
// lies where it says, and each is judged.
func FuzzSplitAndLoad(f *testing.F) {
	for _, seed := range seeds {
		f.Add([]byte(seed), 20)
	}
	random := texts{rand.New(rand.NewPCG(2, 0))}
	for range 100 {
		f.Add([]byte(random.file()), random.IntN(300))
	}
	e := newEngine()
	install(f, e, "p", "v1", `package p
violation contains {"msg": "x"} if { some c in input.review.object.spec.containers; c.image; input.review.object.spec.template.spec }`)
	f.Fuzz(func(t *testing.T, text []byte, target int) {
		result, err := split(splitRequest{Target: target}, text)
		if err != nil {
			t.Fatal(err)
		}
		end := 0
		for _, cut := range result.(map[string]any)["cuts"].([]Cut) {
			if cut.Offset < end || cut.Length <= 0 || cut.Offset+cut.Length > len(text) || cut.Line < 1 {
				t.Fatalf("%+v of %d bytes, after %d", cut, len(text), end)
			}
			end = cut.Offset + cut.Length
		}
		// Without readSafely, which would hide a panic.
		request := loadRequest{Batch: "b", Format: "files", Parts: []Part{{Length: len(text)}}}
		reader := e.reader(request)
		sources, _, err := partSources(request.Parts, text)
		if err != nil {
			t.Fatal(err)
		}
		for _, source := range sources {
			if strings.TrimSpace(string(source.text)) == "" {
				t.Fatal("a document of blanks")
			}
			reader.read(source)
		}
		answer := loadedAs(t, e, request, string(text))
		for _, document := range answer.Documents {
			if document.Offset < 0 || document.Offset+document.Length > len(text) || document.Line < 1 || document.Line > 1+strings.Count(string(text), "\n") {
				t.Fatalf("%+v of %d bytes", document, len(text))
			}
		}
		if _, faults := messages(judged(t, e, "p", "")); len(faults) > 0 {
			t.Fatal(faults)
		}
		release(t, e)
		alike(t, e, text, answer, target)
	})
}

func release(t *testing.T, e *Engine) {
	t.Helper()
	if _, err := e.release(batchRequest{Batch: "b"}); err != nil {
		t.Fatal(err)
	}
}

// alike compares a text that was loaded whole with its cuts, each loaded on its own.
func alike(t *testing.T, e *Engine, text []byte, whole loadAnswer, target int) {
	t.Helper()
	result, err := split(splitRequest{Target: target}, text)
	if err != nil {
		t.Fatal(err)
	}
	cuts, problems := result.(map[string]any)["cuts"].([]Cut), result.(map[string]any)["problems"].([]Problem)
	type read struct {
		line   int
		object map[string]any
	}
	documents := func(answer loadAnswer) (out []read) {
		for _, document := range answer.Documents {
			out = append(out, read{document.Line, document.object})
		}
		return out
	}
	var apart []read
	for _, cut := range cuts {
		part := Part{Length: cut.Length, Line: cut.Line, Items: cut.Items, Kind: cut.Kind, API: cut.API}
		answer := loadedAs(t, e, loadRequest{Batch: "b", Format: "files", Parts: []Part{part}}, string(text[cut.Offset:cut.Offset+cut.Length]))
		release(t, e)
		apart = append(apart, documents(answer)...)
		problems = append(problems, answer.Problems...)
	}
	if one := documents(whole); !reflect.DeepEqual(one, apart) {
		t.Fatalf("as a whole %v\nin %d cuts  %v\n%q", one, len(cuts), apart, text)
	}
	lines := func(problems []Problem) (out []int) {
		for _, problem := range problems {
			out = append(out, problem.Line)
		}
		slices.Sort(out)
		return out
	}
	if one, other := lines(whole.Problems), lines(problems); !slices.Equal(one, other) {
		t.Fatalf("as a whole %v\nin %d cuts  %v\n%q", whole.Problems, len(cuts), problems, text)
	}
}

func FuzzLocate(f *testing.F) {
	for _, seed := range seeds {
		for _, path := range []string{"", "a", "spec.containers[0].image", "metadata.labels['b']", "a[", "items[1].a[0]"} {
			f.Add([]byte(seed), path, strings.HasPrefix(seed, "{"))
		}
	}
	f.Fuzz(func(t *testing.T, text []byte, path string, json bool) {
		result, err := locate(locateRequest{Documents: []locateDocument{{Length: len(text), Line: 1, JSON: json, Paths: []string{path, "a.b"}}}}, text)
		if err != nil {
			t.Fatal(err)
		}
		lines := strings.Split(string(text), "\n")
		for _, position := range result.(map[string]any)["positions"].([][]Position)[0] {
			if position.Line < 1 || position.Line > len(lines) || position.Column < 1 || position.Column > position.End {
				t.Fatalf("%+v of %q", position, lines)
			}
			if length := utf8.RuneCountInString(lines[position.Line-1]); position.Column > length+1 || position.End > length+1 {
				t.Fatalf("%+v of %d characters of %q", position, length, lines)
			}
		}
	})
}
