package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/yaml"
)

// kubectlReads lists the objects that kubectl would apply from the documents of a text, put together
// as in its resource builder (cli-runtime: FileVisitor, which drops the byte order
// mark and replaces what is no UTF-8, StreamVisitor, FlattenListVisitor).
// What it refuses is left out.
func kubectlReads(text []byte) (documents [][]map[string]any) {
	text = bytes.ToValidUTF8(bytes.TrimPrefix(text, []byte("\ufeff")), []byte("\ufffd"))
	dec := yaml.NewYAMLOrJSONDecoder(bytes.NewReader(text), 4096)
	for {
		var raw runtime.RawExtension
		if err := dec.Decode(&raw); err != nil {
			return documents
		}
		one := bytes.TrimSpace(raw.Raw)
		if len(one) == 0 || string(one) == "null" {
			continue
		}
		var objects []map[string]any
		object, _, err := unstructured.UnstructuredJSONScheme.Decode(one, nil, nil)
		if err != nil {
			continue
		}
		for waiting := []runtime.Object{object}; len(waiting) > 0; waiting = waiting[1:] {
			if meta.IsListType(waiting[0]) {
				items, err := meta.ExtractList(waiting[0])
				if err == nil {
					waiting = append(waiting, items...)
				}
				continue
			}
			single := waiting[0].(*unstructured.Unstructured)
			if gvk := single.GroupVersionKind(); gvk.Kind != "" && gvk.Version != "" {
				objects = append(objects, single.Object)
			}
		}
		documents = append(documents, objects)
	}
}

// everyPart is a policy that reads whole documents, so that nothing is left out of them.
const everyPart = `package p
violation contains {"msg": json.marshal(input.review.object)} if true`

// judgedOrTold checks that everything that kubectl would apply is among the
// documents, or that as many problems are told as documents have what is not. It
// returns how much that is, and whether nothing had to be told.
func judgedOrTold(t *testing.T, e *Engine, text []byte) (read int, silent bool) {
	t.Helper()
	answer := loadedAs(t, e, loadRequest{Batch: "b", Format: "files", Parts: []Part{{Length: len(text)}}}, string(text))
	if _, err := e.release(batchRequest{Batch: "b"}); err != nil {
		t.Fatal(err)
	}
	told := len(answer.Problems)
	for _, document := range answer.Documents {
		told += len(document.Problems)
	}
	missed := 0
	for _, objects := range kubectlReads(text) {
		read += len(objects)
		for _, object := range objects {
			if !slices.ContainsFunc(answer.Documents, func(d *Document) bool { return d.Parent == nil && partOf(object, d.object) }) {
				if missed++; missed > told {
					t.Fatalf("kubectl applies %v, which is neither judged nor told (%v):\n%s\n%q", object, problemsOf(answer), text, text)
				}
				break
			}
		}
	}
	return read, told == 0
}

// partOf tells whether all that one value has is in another. Null is what is not
// there, or empty.
func partOf(one, other any) bool {
	switch one := one.(type) {
	case map[string]any:
		more, ok := other.(map[string]any)
		for key, value := range one {
			if !ok || !partOf(value, more[key]) {
				return false
			}
		}
		return ok
	case []any:
		more, ok := other.([]any)
		if !ok || len(more) != len(one) {
			return false
		}
		for i := range one {
			if !partOf(one[i], more[i]) {
				return false
			}
		}
		return true
	case nil:
		return other == nil || other == ""
	case string:
		return one == other
	case bool:
		return one == other
	default:
		number, ok := other.(json.Number)
		if !ok {
			return false
		}
		if text := fmt.Sprint(one); text == number.String() {
			return true
		}
		mine, _ := strconv.ParseFloat(fmt.Sprint(one), 64)
		theirs, _ := number.Float64()
		return mine == theirs
	}
}

// texts makes files out of the pieces that files are made of, put together as no
// one should.
type texts struct{ *rand.Rand }

func (r texts) one(of ...string) string { return of[r.IntN(len(of))] }

func (r texts) object(depth int) string {
	kind := r.one("ConfigMap", "Secret", "Service", "PodList", "List", "Deployment", "Thing")
	fields := []string{`"apiVersion": "v1"`, `"kind": "` + kind + `"`, fmt.Sprintf(`"metadata": {"name": "n%d"}`, r.IntN(100))}
	if r.IntN(8) == 0 {
		fields[1] = `"\u006bind": "` + kind + `"`
	}
	if r.IntN(8) == 0 {
		fields[0] = `"api\u0056ersion": "v1"`
	}
	if depth < 3 && (strings.HasSuffix(kind, "List") || r.IntN(6) == 0) {
		var items []string
		for range r.IntN(3) {
			items = append(items, r.object(depth+1))
		}
		field := r.one("items", "items", "items", `\u0069tems`, "Items")
		fields = append(fields, fmt.Sprintf(`"%s": %s`, field, r.one("["+strings.Join(items, ", ")+"]", "["+strings.Join(items, ",\n")+"]", "null", "{}", `"x"`)))
	}
	if r.IntN(3) == 0 {
		fields = append(fields, `"data": {"a": "b", "c": `+r.one(`"d"`, "null", "1", "1.5", "true", `"\u00e9"`, `"x:\n  y"`, "\"x\u0085 y\"", "\"x\u2028y\"", `"\/"`, "[]", "{}")+"}")
	}
	if depth > 0 && r.IntN(6) == 0 {
		fields = fields[2:]
	}
	r.Shuffle(len(fields), func(i, j int) { fields[i], fields[j] = fields[j], fields[i] })
	return "{" + strings.Join(fields, r.one(", ", ",", ",\n")) + "}"
}

// document is a text that is or looks like one document.
func (r texts) document() string {
	name := r.IntN(100)
	switch r.IntN(10) {
	case 9:
		return fmt.Sprintf("# c%sapiVersion: v1\nkind: Pod\nmetadata:%s  name: n%d\n", r.one("\r", "\u0085", "\u2028", "\u2029", "\n"), r.one("\r", "\u0085", "\u2028", "\n"), name)
	case 0, 1, 2:
		return r.object(0)
	case 3:
		return fmt.Sprintf("{apiVersion: v1, kind: Service, metadata: {name: n%d}}", name)
	case 4:
		return fmt.Sprintf("apiVersion: v1\nkind: List\nitems:\n- apiVersion: v1\n  kind: Service\n  metadata: {name: n%d}\n- %s\n", name, strings.ReplaceAll(r.object(1), "\n", ""))
	case 5:
		return fmt.Sprintf("apiVersion: v1\nkind: ConfigMap\nmetadata:\n  name: n%d\ndata:\n  a: %s\n", name,
			r.one("|\n    ---\n    x", "|+\n    x\n\n", ">\n    x\n    y\n\n", "'x\n\n    y'", ">-\n    x\n\n    y", "&x y", `"\x41\/"`, "'it''s'", `"a\
    b"`, "yes", "010", "!!str 1", "null", "{<<: {b: c}, b: d}", "{b: d, <<: {b: c}}", "[*y]", "1e3", "é"))
	case 6:
		return fmt.Sprintf("  apiVersion: v1\n  kind: Service\n  metadata:\n    name: n%d\n", name)
	case 7:
		return r.one("# nothing", "", "null", "~", "text", "- a", "a: [", "{{ .Values.x }}", "}", "%YAML 1.1", "a: b", "\t", "\ufeff", "{}", "[]", "{", "kind: Pod", "? a\n: b")
	default:
		return fmt.Sprintf("apiVersion: v1\nkind: Service\nmetadata:\n  name: n%d", name)
	}
}

func (r texts) file() string {
	var out strings.Builder
	out.WriteString(r.one("", "", "", "", "\ufeff", "---\n", "\n\n", "# c\n", "  ", "\t"))
	for range 1 + r.IntN(4) {
		out.WriteString(r.document())
		out.WriteString(r.one("\n---\n", "\n---\n", "\n---\n", "\n--- # c\n", "\n---   \n", "---\n", "---", "\n---x: y\n", "\n--- {a: b}\n", "\n ---\n", "\n", "", "\n...\n", "\n----\n",
			"\r\n---\r\n", "\r---\r", "\n---#c\n", "\n---\n---\n", " ", "\n\n\n"))
	}
	text := out.String()
	if r.IntN(4) == 0 {
		text = strings.TrimRight(text, "\n")
	}
	if r.IntN(10) == 0 {
		text = strings.ReplaceAll(text, "\n", "\r\n")
	}
	if r.IntN(4) == 0 {
		text = r.otherEnd(text)
	}
	return text
}

// otherEnd puts an end of a line that is not one for everybody somewhere, with or
// without the one that stands there.
func (r texts) otherEnd(text string) string {
	end := r.one("\r", "\r\r\n", "\u0085", "\u2028", "\u2029", "\u00a0", "\v", "\f")
	places := []int{r.IntN(len(text) + 1)}
	for at, c := range text {
		if c == '\n' || c == ' ' {
			places = append(places, at)
		}
	}
	at := places[r.IntN(len(places))]
	after := at
	if r.IntN(2) == 0 {
		after = min(at+1, len(text))
	}
	return text[:at] + end + text[after:]
}

// someTexts makes texts for a test: rounds and seed are as given, or as the environment has them.
func someTexts(rounds int) (random texts, seed uint64, count int) {
	seed = 9
	if text := os.Getenv("AKSP_ENGINE_ROUNDS"); text != "" {
		rounds, _ = strconv.Atoi(text)
	}
	if text := os.Getenv("AKSP_ENGINE_SEED"); text != "" {
		seed, _ = strconv.ParseUint(text, 10, 64)
	}
	return texts{rand.New(rand.NewPCG(seed, 0))}, seed, rounds
}

func TestATextThatIsCutMeansTheSame(t *testing.T) {
	e := newEngine()
	install(t, e, "p", "v1", everyPart)
	random, seed, rounds := someTexts(1000)
	t.Logf("seed %d", seed)
	for range rounds {
		text, target := []byte(random.file()), random.IntN(300)
		answer := loadedAs(t, e, loadRequest{Batch: "b", Format: "files", Parts: []Part{{Length: len(text)}}}, string(text))
		release(t, e)
		alike(t, e, text, answer, target)
	}
}

func TestWhatKubectlWouldApplyIsJudgedOrTold(t *testing.T) {
	e := newEngine()
	install(t, e, "p", "v1", everyPart)
	random, seed, rounds := someTexts(4000)
	read, silent := 0, 0
	for range rounds {
		objects, nothingTold := judgedOrTold(t, e, []byte(random.file()))
		read += objects
		if nothingTold {
			silent += objects
		}
	}
	t.Logf("seed %d: %d texts, %d objects, %d of them where nothing is told", seed, rounds, read, silent)
	if read < rounds/2 || silent < rounds/8 {
		t.Errorf("%d texts have %d objects, %d of them where nothing is told: they test too little", rounds, read, silent)
	}
}

func FuzzWhatKubectlWouldApplyIsJudgedOrTold(f *testing.F) {
	random := texts{rand.New(rand.NewPCG(1, 0))}
	for range 200 {
		f.Add([]byte(random.file()))
	}
	for _, seed := range seeds {
		f.Add([]byte(seed))
	}
	e := newEngine()
	install(f, e, "p", "v1", everyPart)
	f.Fuzz(func(t *testing.T, text []byte) { judgedOrTold(t, e, text) })
}
