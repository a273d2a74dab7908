package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"
)

// The engine parses of a document only what policies read. These tests hold
// that against the whole document: no finding and no fault may differ.

// study is a policy with the parameters it is tried with.
type study struct {
	name       string
	modules    []module
	parameters []string
	samples    []string // the files of its own documents; a policy without any is tried with those of all
	complete   bool     // each of its messages must turn up
}

const corpusParameters = `{"keys": ["app", "team", "tier", "plain"], "allowed": ["NET_BIND_SERVICE"], "required": ["ALL"],
	"excludedImages": ["nginx*"], "nodeSelectors": [{"disk": "ssd"}, {}]}`

// corpus are the policies of testdata, in forms as odd as they come.
func corpus(t testing.TB) []study {
	t.Helper()
	var out []study
	for _, path := range glob(t, "testdata/policies/*.rego") {
		name, rest, _ := strings.Cut(filepath.Base(path), ".")
		version, _, _ := strings.Cut(rest, ".")
		out = append(out, study{name: name, modules: []module{{Name: path, Source: read(t, path), Version: version}}, parameters: []string{corpusParameters}, complete: true})
	}
	return out
}

// definitions are the product's own, with their samples and the parameters of
// these; under the race detector one in raceStep.
func definitions(t testing.TB) []study {
	t.Helper()
	var libraries []module
	for _, path := range glob(t, "../definitions/lib/*.rego") {
		libraries = append(libraries, module{Name: path, Source: read(t, path), Version: "v1"})
	}
	var out []study
	for i, path := range glob(t, "../definitions/*/policy.rego") {
		if i%raceStep > 0 {
			continue
		}
		one := study{name: filepath.Base(filepath.Dir(path)), samples: glob(t, filepath.Join(filepath.Dir(path), "samples", "*.yaml"))}
		one.modules = append([]module{{Name: path, Source: read(t, path), Version: "v1"}}, libraries...)
		for _, sample := range one.samples {
			parameters := parametersOf(t, filepath.Dir(path), sample)
			if !slices.Contains(one.parameters, parameters) {
				one.parameters = append(one.parameters, parameters)
			}
		}
		out = append(out, one)
	}
	return out
}

// parametersOf resolves what a definition hands to its Rego, by the sample's
// values and the defaults.
func parametersOf(t testing.TB, folder, sample string) string {
	t.Helper()
	var given struct {
		Spec struct {
			Parameters map[string]any `json:"parameters"`
		} `json:"spec"`
	}
	head, _, _ := strings.Cut(read(t, sample), "\n---\n")
	if err := yaml.Unmarshal([]byte(head), &given); err != nil {
		t.Fatal(err)
	}
	return resolved(t, folder, given.Spec.Parameters)
}

// resolved are given parameters of a definition and the defaults of the others:
// whatever parameter its rule does not use otherwise (aksp/catalog/common.py).
func resolved(t testing.TB, folder string, given map[string]any) string {
	t.Helper()
	type parameters map[string]struct {
		DefaultValue any `json:"defaultValue"`
	}
	var shared struct {
		Parameters parameters `json:"parameters"`
		PolicyRule struct {
			Then struct {
				Details map[string]any `json:"details"`
			} `json:"then"`
		} `json:"policyRule"`
	}
	var definition struct {
		Properties struct {
			Parameters parameters `json:"parameters"`
			Common     struct {
				Parameters []string `json:"parameters"`
			} `json:"common"`
		} `json:"properties"`
	}
	if err := errors.Join(
		json.Unmarshal([]byte(read(t, filepath.Join(folder, "../lib/common.json"))), &shared),
		json.Unmarshal([]byte(read(t, filepath.Join(folder, "definition.json"))), &definition),
	); err != nil {
		t.Fatal(err)
	}
	known := parameters{}
	for _, name := range definition.Properties.Common.Parameters {
		known[name] = shared.Parameters[name]
	}
	maps.Copy(known, definition.Properties.Parameters)
	values := map[string]any{}
	for name, one := range known {
		if _, used := shared.PolicyRule.Then.Details[name]; used || name == "effect" {
			continue
		}
		values[name] = one.DefaultValue
		if value, set := given[name]; set {
			values[name] = value
		}
	}
	text, err := json.Marshal(values)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// written is a document on one line, and the file it is from; a changed one is from none.
type written struct{ file, text string }

// allDocuments are the samples of all definitions, those of testdata, and as
// many again as told with something changed in them.
func allDocuments(t testing.TB, changed int) []written {
	t.Helper()
	var objects []any
	var files []string
	for _, path := range append(glob(t, "../definitions/*/samples/*.yaml"), glob(t, "testdata/documents/*.yaml")...) {
		text := []byte(read(t, path))
		spans := splitFile(text)
		for _, span := range spans {
			converted, _, problem := toJSON(text[span.Offset:span.Offset+span.Length], span, false)
			if problem != nil {
				t.Fatalf("%s: %+v", path, problem)
			}
			object := native(t, string(converted)).(map[string]any)
			if object["kind"] != "PolicySample" {
				objects = append(objects, object)
				files = append(files, path)
			}
		}
	}
	m := mutator{rand.New(rand.NewPCG(1, 2))}
	for range changed {
		objects = append(objects, m.changed(objects[m.IntN(len(objects))]))
		files = append(files, "")
	}
	out := make([]written, len(objects))
	for i, object := range objects {
		line, err := json.Marshal(object)
		if err != nil {
			t.Fatal(err)
		}
		out[i] = written{file: files[i], text: string(line) + "\n"}
	}
	return out
}

// of are those that a study is tried with, one after the other: its samples, the
// documents of testdata, and what was changed of any.
func (s study) of(all []written) string {
	var text strings.Builder
	for _, one := range all {
		if s.samples == nil || slices.Contains(s.samples, one.file) || !strings.HasPrefix(one.file, "../definitions/") {
			text.WriteString(one.text)
		}
	}
	return text.String()
}

// mutator changes documents at random places into something of another type,
// or something like it.
type mutator struct{ *rand.Rand }

func (m mutator) changed(value any) any {
	return m.change(value, 3)
}

func (m mutator) change(value any, often int) any {
	switch value := value.(type) {
	case map[string]any:
		out := map[string]any{}
		for key, entry := range value {
			out[key] = entry
		}
		for _, key := range slices.Sorted(mapKeys(value)) {
			if key == "apiVersion" || key == "kind" {
				continue
			}
			if m.IntN(6) < often {
				out[key] = m.change(value[key], often)
			}
			if m.IntN(40) == 0 {
				delete(out, key)
			}
		}
		return out
	case []any:
		out := slices.Clone(value)
		for i := range out {
			if m.IntN(4) < often {
				out[i] = m.change(out[i], often)
			}
		}
		if len(out) > 0 && m.IntN(8) == 0 {
			out = append(out, out[m.IntN(len(out))])
		}
		return out
	}
	if m.IntN(6) > 0 {
		return value
	}
	return []any{
		nil, true, false, "", "80", json.Number("80"), json.Number("0"), "shop", "nginx", []any{}, map[string]any{}, []any{value}, map[string]any{"app": value},
	}[m.IntN(13)]
}

func mapKeys(object map[string]any) func(func(string) bool) {
	return func(yield func(string) bool) {
		for key := range object {
			if !yield(key) {
				return
			}
		}
	}
}

// findingsOf judges documents by a policy: along what it reads and with memory,
// or whole and without.
func findingsOf(t testing.TB, one study, parameters, documents string, kinds []string, whole bool) []string {
	t.Helper()
	e := newEngine()
	policy, faults := compilePolicy(compileRequest{Policy: one.name, Modules: one.modules})
	if len(faults) > 0 {
		t.Fatalf("%s: %+v", one.name, faults)
	}
	e.policies["p"] = policy
	request := loadRequest{Batch: "b", Format: "files", Namespace: "default", Parts: []Part{{Length: len(documents)}}}
	if whole {
		policy = unbound(policy)
		e.policies["p"] = policy
		request.WholeKinds = kinds
	}
	loadedAs(t, e, request, documents)
	if policy.useInventory {
		request.Batch, request.WholeKinds = "inventory", kinds
		loadedAs(t, e, request, documents)
		if _, err := e.addToInventory(inventoryRequest{Batch: "inventory", Kinds: []string{"networking.k8s.io/Ingress", "/Service", "/Namespace"}}); err != nil {
			t.Fatal(err)
		}
	}
	if whole {
		e.batches["b"].reads = everything()
	}
	answer := judged(t, e, "p", parameters)
	found := make([]string, len(e.batches["b"].documents))
	for _, hit := range answer.Hits {
		for _, number := range hit.Findings {
			one := answer.Findings[number]
			// Which additions are named follows from what the policy reads.
			one.Msg = namedAdditions.ReplaceAllString(one.Msg, "$1)")
			found[hit.Document] += fmt.Sprintf("%+v\n", one)
		}
	}
	for _, fault := range answer.Faults {
		found[fault.Document] += fault.Message + "\n"
	}
	return found
}

var namedAdditions = regexp.MustCompile(`( \(about what the API server adds): .*\)`)

var constantMessage = regexp.MustCompile(`"msg": ("[^"]*")`)

func TestPoliciesFindInWhatTheyReadTheSameAsInTheWholeDocument(t *testing.T) {
	changed, sets := 200, 2
	if more, err := strconv.Atoi(os.Getenv("AKSP_ENGINE_ROUNDS")); err == nil {
		changed, sets = more, 100
	}
	all := allDocuments(t, changed)
	var kinds []string
	for _, document := range loaded(t, newEngine(), study{}.of(all)).Documents {
		kinds = append(kinds, groupOf(document.APIVersion)+"/"+document.Kind)
	}
	slices.Sort(kinds)
	kinds = slices.Compact(kinds)
	for _, one := range append(corpus(t), definitions(t)...) {
		t.Run(one.name, func(t *testing.T) {
			t.Parallel()
			everything, documents := "", one.of(all)
			lines := strings.Split(documents, "\n")
			answer := loaded(t, newEngine(), documents)
			for _, parameters := range one.parameters[:min(sets, len(one.parameters))] {
				part := findingsOf(t, one, parameters, documents, kinds, false)
				whole := findingsOf(t, one, parameters, documents, kinds, true)
				for i := range whole {
					everything += whole[i]
					if part[i] != whole[i] {
						document := answer.Documents[i]
						t.Fatalf("%s %s, of\n%s\nwith %s\nas read: %s\nwhole:   %s", document.Kind, document.Name, lines[document.Line-1], parameters, part[i], whole[i])
					}
				}
			}
			if everything == "" {
				t.Error("it finds nothing at all")
			}
			for _, match := range constantMessage.FindAllStringSubmatch(one.modules[0].Source, -1) {
				if text, _ := strconv.Unquote(match[1]); one.complete && !strings.Contains(everything, "{Msg:"+text) {
					t.Errorf("no document brings about %q", text)
				}
			}
		})
	}
}
