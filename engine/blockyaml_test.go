package main

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
	nodes "sigs.k8s.io/yaml/goyaml.v3"
)

// agree checks a document that the block reader accepts against the library.
func agree(t *testing.T, text []byte) (accepted bool) {
	t.Helper()
	converted, ok := blockToJSON(text)
	if !ok {
		return false
	}
	want, err := yaml.YAMLToJSONStrict(text)
	if err != nil {
		t.Fatalf("accepted what the library refuses (%v):\n%s", err, text)
	}
	var mine, theirs any
	if err := json.Unmarshal(converted, &mine); err != nil {
		t.Fatalf("wrote no JSON (%v): %s\nof\n%s", err, converted, text)
	}
	if err := json.Unmarshal(want, &theirs); err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(mine, theirs) {
		t.Fatalf("read %s\nthe library %s\nof\n%s", converted, want, text)
	}
	agreeOnPlaces(t, text, mine)
	agreeOnValues(t, text, converted)
	return true
}

// agreeOnValues compares the values that are made of a document, of all of it and of
// parts, with what its JSON is decoded to.
func agreeOnValues(t *testing.T, text, converted []byte) {
	t.Helper()
	for _, reads := range []*Reads{
		everything(), newReads(), reading("a"), reading("a.*"), reading("a.b", "a.*.c"), reading("*.*"),
		reading("apiVersion", "kind", "metadata.labels", "spec.containers.*.image", "spec.template.spec.containers.*.ports.*.containerPort"),
	} {
		want, err := parseJSON(converted, reads)
		if err != nil {
			t.Fatal(err)
		}
		// Twice: the second time from what was met before.
		made := newValues()
		for range 2 {
			if got, ok := blockToValue(text, reads, made); !ok || !reflect.DeepEqual(any(got), want) {
				t.Fatalf("of %v made (%v) %v\nfrom JSON %v\nof\n%s", reads.paths(), ok, got, want, text)
			}
		}
		made.done()
	}
}

// Whichever way a document is read, it is the same one.
func TestDocumentsAreTheSameOverJSON(t *testing.T) {
	e := newEngine()
	install(t, e, "p", "v1", `package p
violation contains {"msg": "x"} if { some c in input.review.object.spec.containers; c.image; c.ports[_].hostPort; input.review.object.spec.volumes }`)
	reader := e.reader(loadRequest{Format: "files", Namespace: "default"})
	random, read := texts{rand.New(rand.NewPCG(7, 0))}, 0
	same := func(text []byte) {
		one := source{span: Span{Length: len(text), Line: 1}, text: text}
		document, refused := reader.readBlock(one)
		converted, ok := blockToJSON(text)
		if refused && ok {
			t.Fatalf("refused\n%s", text)
		}
		if document == nil {
			return
		}
		read++
		want := reader.readJSON(one, converted, "", 0)
		document.block = false
		if !reflect.DeepEqual(want, loadedSource{documents: []*Document{document}}) {
			t.Fatalf("read %+v\nover JSON %+v\nof\n%s", document, want, text)
		}
	}
	for range 3000 {
		same([]byte(random.document()))
	}
	for _, text := range []string{
		"kind: Pod\napiVersion: v1\nmetadata:\n  name: a\n  labels:\n    a: null\n    b: 1\nspec:\n  hostNetwork: true\n  containers:\n  - name: x\n    image: null\n    ports:\n    - containerPort: 80\n  volumes:\n  - name: x\n    emptyDir:\n",
		"metadata:\n  name: a\nkind: ConfigMap\ndata:\n  kind: x\n  apiVersion: y\napiVersion: v1\n", "apiVersion: v1\nkind: Pod\nitems:\n- a\n", "kind: 1\napiVersion: v1\n",
		"apiVersion: a.b/v1\nkind: Own\nmetadata:\n  name: a\nspec:\n  template:\n    spec:\n      containers:\n      - image: a\n", "apiVersion: v1\nkind: List\nitems: []\n",
		"apiVersion: v1\nkind: Pod\nspec: []\n", "apiVersion: v1\nkind: Status\nmessage: x\n", "apiVersion: v1\nkind: Pod # c\n", "apiVersion: apps/v1\nkind: Deployment\nspec:\n  replicas: 12345678901\n",
	} {
		same([]byte(text))
	}
	if read < 100 {
		t.Fatalf("%d documents were read", read)
	}
}

// agreeOnPlaces compares the place of every field with the library's nodes.
func agreeOnPlaces(t *testing.T, text []byte, value any) {
	t.Helper()
	var paths [][]string
	var walk func(path []string, value any)
	walk = func(path []string, value any) {
		if len(paths) < 200 && len(path) > 0 {
			paths = append(paths, append([]string{}, path...))
		}
		switch value := value.(type) {
		case map[string]any:
			for key, entry := range value {
				walk(append(path, key), entry)
			}
		case []any:
			for i, entry := range value {
				walk(append(path, itoa(i)), entry)
			}
		}
	}
	walk(nil, value)
	var root nodes.Node
	if err := nodes.Unmarshal(text, &root); err != nil {
		t.Fatal(err)
	}
	places := locateYAML(text, paths, false)
	for i, path := range paths {
		node := root.Content[0]
		var at Position
		for _, key := range path {
			place, next := yamlChild(node, key)
			if next == nil {
				t.Fatalf("the library has no %v", path)
			}
			node, at = next, Position{Line: place.Line, Column: place.Column}
		}
		if places[i] != at {
			t.Fatalf("%v is at %+v, the library says %+v, in\n%s", path, places[i], at, text)
		}
		// What is passed over changes no place.
		if alone := locateYAML(text, [][]string{path}, true); alone[0] != at {
			t.Fatalf("%v alone is at %+v, not at %+v, in\n%s", path, alone[0], at, text)
		}
	}
	if together := locateYAML(text, paths, true); !reflect.DeepEqual(together, places) {
		t.Fatalf("places are %v, not %v, in\n%s", together, places, text)
	}
}

// yamlChild returns where a key or an element of a node without aliases stands,
// and its value.
func yamlChild(node *nodes.Node, key string) (place, value *nodes.Node) {
	for i := 0; i < len(node.Content); i++ {
		switch node.Kind {
		case nodes.MappingNode:
			if i%2 == 0 && node.Content[i].Value == key {
				return node.Content[i], node.Content[i+1]
			}
		case nodes.SequenceNode:
			if itoa(i) == key {
				return node.Content[i], node.Content[i]
			}
		}
	}
	return nil, nil
}

func itoa(i int) string {
	text, _ := json.Marshal(i)
	return string(text)
}

func TestTheBlockReaderReadsWhatPeopleWrite(t *testing.T) {
	for _, text := range []string{
		"a: b", "a: b\n", "a:\n  b: c\n", "a:\n- b\n- c: d\n  e: f\n", "a:\n  - b\n  -   c: d\n      e: f\n",
		"a: # comment\n  b: c # more\n# end\n", "a: 'it''s'\nb: \"x \\\"y\\\"\" # c\n", "a: 500m\nb: 1Gi\nc: 10.0.0.1\nd: 1.2.3\ne: 80\nf: -1\n",
		"a: {}\nb: []\nc: null\nd: true\n", "a:\nb: c\n", "f:metadata:\n  .: {}\n  k:{\"name\":\"x\"}: {}\n", "\"f:a\": b\n\"k:{\\\"n\\\"}\": {}\n",
		"image: contoso.azurecr.io/shop/web:1.4\n", "a: http://x/y#z\n", "a:\n\n\n  b: c\n\n", "a: b c d\n", "args:\n- --flag\n", "a:\n- 80\n- \"80\"\n",
	} {
		if !agree(t, []byte(text)) && text != "args:\n- --flag\n" {
			t.Errorf("gave up on %q", text)
		}
	}
}

func TestTheBlockReaderLeavesTheRestToTheLibrary(t *testing.T) {
	for _, text := range []string{
		"a: yes", "a: y", "yes: a", "a: 010", "a: 1e3", "a: 0x1F", "a: 1.5", "a: 2026-01-01", "a: ~", "a: |\n  x", "a: >\n  x", "a: &x b", "a: *x",
		"a: !!str 1", "a: [b]", "a: {b: c}", "a: b\na: c", "a: b\n  c", "a: b: c", "? a\n: b", "- a", "a:\tb", "a: b\r\n", "a: é", "a: \"\\x41\"",
		"a: \"\\u00e9\"", "a: \"b\\/c\"", "a: \"b", "a: 'b", "a: 'b' c", "a:\n- - b", "a:\n  b: c\n d: e", "1: a", "a: 12:30:45", "<<: a", "a: .inf", "a: -", "a: - b", "a: 'b': c",
	} {
		if agree(t, []byte(text)) {
			t.Errorf("accepted %q", text)
		}
	}
}

func TestTheBlockReaderAgreesWithTheLibraryOnEverySample(t *testing.T) {
	files, _ := filepath.Glob("../definitions/*/samples/*.yaml")
	more, _ := filepath.Glob("../examples/*/*.yaml")
	files = append(files, more...)
	seen, accepted := 0, 0
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		spans := splitFile(text)
		for _, span := range spans {
			seen++
			if agree(t, text[span.Offset:span.Offset+span.Length]) {
				accepted++
			}
		}
	}
	if seen == 0 || accepted == 0 {
		t.Fatalf("%d documents seen, %d accepted: the samples have gone", seen, accepted)
	}
	t.Logf("%d of %d documents", accepted, seen)
}

func TestTheBlockReaderLeavesHugeMappingsToTheLibrary(t *testing.T) {
	var text strings.Builder
	for i := range maxBlockKeys {
		fmt.Fprintf(&text, "key%d: value\n", i)
	}
	if !agree(t, []byte(text.String())) {
		t.Error("gave up too early")
	}
	text.WriteString("another: value\n")
	if agree(t, []byte(text.String())) {
		t.Error("accepted one key too many")
	}
}

func TestTheBlockReaderLeavesLongKeysToTheLibrary(t *testing.T) {
	for _, form := range []string{"%s: b\n", "\"%s\": b\n", "a:\n- %s: b\n", "a:\n  c: d\n  %s: b\n"} {
		for _, length := range []int{maxBlockKey - 10, maxBlockKey, 1022, 1023, 1024, 1025, 1030, 5000} {
			text := fmt.Sprintf(form, strings.Repeat("k", length))
			if accepted := agree(t, []byte(text)); accepted != (length < maxBlockKey-5) {
				t.Errorf("a key of %d characters in %q: accepted %v", length, form, accepted)
			}
		}
	}
}

func FuzzTheBlockReaderAgreesWithTheLibrary(f *testing.F) {
	for _, seed := range []string{
		"a: b\n", "a:\n- b: c\n  d: 1\n- e\n", "a: 'x'\nb: \"y\"\n", "a: # c\n  b: 5m\n", "f:a:\n  .: {}\n", "a: on\n", "a: b\n  c\n", "a:\n b: [c]\n",
		"metadata:\n  name: x\n  labels: {}\nspec:\n  containers:\n  - name: a\n    image: b:1\n",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) { agree(t, text) })
}

// printable looks at eight bytes at a time: each byte at each place, and beside each other one.
func TestPrintableTextIsTold(t *testing.T) {
	plain := func(c int) bool { return c == '\n' || c >= ' ' && c <= '~' }
	const around = "abcdefgh\njklmnop~ "
	for at := range len(around) - 1 {
		for one := range 256 {
			for other := range 256 {
				text := []byte(around)
				text[at], text[at+1] = byte(one), byte(other)
				if printable(text) != (plain(one) && plain(other)) {
					t.Fatalf("%q", text)
				}
			}
		}
	}
}
