package main

import (
	"fmt"
	"strings"
	"testing"
)

func placesIn(t *testing.T, json bool, line int, text string, paths ...string) []string {
	t.Helper()
	result, err := locate(locateRequest{Documents: []locateDocument{{Length: len(text), Line: line, JSON: json, Paths: paths}}}, []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, position := range result.(map[string]any)["positions"].([][]Position)[0] {
		out = append(out, fmt.Sprintf("%d:%d", position.Line, position.Column))
	}
	return out
}

const podYAML = `apiVersion: v1
kind: Pod
metadata:
  name: web
  labels:
    app.kubernetes.io/name: web # a comment
spec:
  containers:
  - name: a
    image: nginx
  -   name: b
      ports:
      - containerPort: 80
`

func TestPlacesKnowWhereTheirLinesEnd(t *testing.T) {
	for text, want := range map[string]int{
		"image: nginx  \r\nkind: Pod\n": 13,
		"image: größe\n":                13,
		"image: x":                      9,
		"{\"image\": 1\n}":              12,
	} {
		result, err := locate(locateRequest{Documents: []locateDocument{{Length: len(text), Line: 7, JSON: text[0] == '{', Paths: []string{"image"}}}}, []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		equal(t, text, result.(map[string]any)["positions"].([][]Position)[0][0].End, want)
	}
}

// The same with what only the library reads.
const anchoredYAML = `%s
metadata: {name: web, labels: {app.kubernetes.io/name: web}}
base: &base
  image: nginx
  resources: {limits: {cpu: 1}}
spec:
  containers:
  - *base
  - {name: b, <<: *base}
  - "quoted key": |
      text
    other: x
`

func TestFieldsOfYAMLAreFound(t *testing.T) {
	for path, want := range map[string]string{
		"":              "1:1",
		"kind":          "2:1",
		"metadata.name": "4:3",
		"metadata.labels['app.kubernetes.io/name']": "6:5",
		`metadata.labels["app.kubernetes.io/name"]`: "6:5",
		"spec.containers[0]":                        "9:5",
		"spec.containers[0].image":                  "10:5",
		"spec.containers[1].name":                   "11:7",
		"spec.containers[1].ports[0]":               "13:9",
		"spec.containers[1].ports[0].containerPort": "13:9",
		// What is not there has the place of the deepest field that is.
		"spec.containers[0].resources.limits.cpu": "9:5",
		"spec.containers[7]":                      "8:3",
		"spec.containers.image":                   "8:3",
		"metadata.name.x[0]":                      "4:3",
		"status":                                  "1:1",
		"metadata.labels['missing']":              "5:3",
	} {
		equal(t, path, placesIn(t, false, 1, podYAML, path), []string{want})
		equal(t, path+" further down", placesIn(t, false, 11, podYAML, path)[0], strings.Replace("1"+want, "1"+want, shiftLine(want, 10), 1))
	}
}

func shiftLine(place string, by int) string {
	var line, column int
	_, _ = fmt.Sscanf(place, "%d:%d", &line, &column)
	return fmt.Sprintf("%d:%d", line+by, column)
}

func TestFieldsBehindAliasesAreFoundWhereTheyAreWritten(t *testing.T) {
	text := fmt.Sprintf(anchoredYAML, "kind: Pod")
	equal(t, "places", placesIn(t, false, 1, text,
		"metadata.labels['app.kubernetes.io/name']", "spec.containers[0]", "spec.containers[0].image", "spec.containers[0].resources.limits.cpu",
		"spec.containers[1].name", "spec.containers[1].image", "spec.containers[2]['quoted key']", "spec.containers[2].other"),
		[]string{"2:32", "8:5", "4:3", "5:24", "9:6", "9:5", "10:5", "12:5"})
}

func TestFieldsOfJSONAreFound(t *testing.T) {
	text := `{"kind": "Pod",
  "metadata": {"labels": {
    "a.b/c": "x", "q\"uote": 1}},
  "spec": {"containers": [
    {"name": "a"}
    , {"name": "b", "ports": [ {"containerPort" : 80}]}]}}`
	for path, want := range map[string]string{
		"": "1:1", "kind": "1:2", "metadata.labels['a.b/c']": "3:5", `metadata.labels['q"uote']`: "3:19", "spec.containers[0]": "5:5", "spec.containers[0].name": "5:6",
		"spec.containers[1]": "6:7", "spec.containers[1].ports[0].containerPort": "6:33", "spec.containers[1].image": "6:7", "spec.containers[9].x": "4:12", "missing": "1:1",
		"kind.x": "1:2",
	} {
		equal(t, path, placesIn(t, true, 1, text, path), []string{want})
	}
	equal(t, "columns are characters, in JSON as in YAML",
		placesIn(t, true, 1, `{"größe": 1, "b": 2}`, "b"), placesIn(t, false, 1, `{"größe": 1, "b": 2}`, "b"))
	// Together as alone, and one path within another.
	equal(t, "together", placesIn(t, true, 3, text, "spec", "spec.containers[1].name", "spec.containers", "kind", "kind"), []string{"6:3", "8:8", "6:12", "3:2", "3:2"})
}

func TestTextThatCannotBeReadHasThePlacesFoundSoFar(t *testing.T) {
	equal(t, "JSON", placesIn(t, true, 1, "{\"a\": {\"b\": 1,\n \"c\": ]", "a.b", "a.c", "a.d", "e"), []string{"1:8", "2:2", "1:2", "1:1"})
	equal(t, "YAML", placesIn(t, false, 5, "a: [\nb: c", "b"), []string{"5:1"})
	equal(t, "nothing", placesIn(t, false, 5, "", "b"), []string{"5:1"})
	equal(t, "nothing of JSON", placesIn(t, true, 5, "", "b"), []string{"5:1"})
	equal(t, "a scalar", placesIn(t, false, 5, "x", "b"), []string{"5:1"})
}

// What is asked together must cost what one reading of the text costs, so it goes
// another way than what is asked alone; the answers are the same.
func TestPlacesThatAreAskedTogetherAreThoseThatAreAskedAlone(t *testing.T) {
	var block, flow, lines, line strings.Builder
	var paths []string
	block.WriteString("items:\n")
	flow.WriteString("items:\n")
	for i := range 40 {
		fmt.Fprintf(&block, "- kind: Pod\n  spec:\n    containers:\n    - name: c%d\n      image: x\n", i)
		fmt.Fprintf(&flow, "- {kind: Pod, spec: {containers: [{name: \"ü%d\", image: x}]}}\n", i)
		fmt.Fprintf(&lines, ",\n  {\"kind\": \"Pod\",\n \"spec\": {\"containers\": [{\"name\": \"c%d\"}]}}", i)
		fmt.Fprintf(&line, ", {\"kind\": \"Pod\", \"spec\": {\"containers\": [{\"name\": \"c%d\"}]}}", i)
		// The last first, and one that is not there.
		item := fmt.Sprintf("items[%d]", 39-i)
		paths = append(paths, item, item+".spec.containers[0].name", item+".spec.containers[0].image", item+".status", item+".kind")
	}
	for name, one := range map[string]struct {
		text string
		json bool
	}{
		"block":            {text: block.String()},
		"flow":             {text: flow.String()},
		"JSON":             {text: `{"items": [` + lines.String()[1:] + "]}", json: true},
		"JSON on one line": {text: `{"items": [` + line.String()[1:] + "]}", json: true},
	} {
		together := placesIn(t, one.json, 3, one.text, paths...)
		for i, path := range paths {
			equal(t, name+" "+path, together[i], placesIn(t, one.json, 3, one.text, path)[0])
		}
	}
}

func TestPathsAreDividedIntoKeys(t *testing.T) {
	for path, want := range map[string]string{
		"": "", "a": "a", "a.b[0].c": "a|b|0|c", "a['b.c/d'].e": "a|b.c/d|e", `a["b]c"][1]`: "a|b]c|1", "items[0].spec": "items|0|spec", ".a": "a", "a[": "a|", "a['b": "a|'b", "a[0": "a|0", "a..b": "a|b", "[0][1]": "0|1",
	} {
		equal(t, path, strings.Join(splitPath(path), "|"), want)
	}
}

func TestLocateTakesOneDocumentAfterTheOther(t *testing.T) {
	result, err := locate(locateRequest{Documents: []locateDocument{{Length: 4, Line: 2, Paths: []string{"a"}}, {Length: 8, JSON: true, Line: 4, Paths: []string{"b"}}, {Length: 0}}}, []byte("a: b{\n\"b\":1}"))
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "positions", result, any(map[string]any{"positions": [][]Position{{{Line: 2, Column: 1, End: 5}}, {{Line: 5, Column: 1, End: 7}}, {}}}))
	for _, length := range []int{-1, 5} {
		if _, err := locate(locateRequest{Documents: []locateDocument{{Length: length}}}, []byte("a: b")); err == nil {
			t.Errorf("%d bytes of 4 are there", length)
		}
	}
}

func TestPatternsAreThoseThatRulesCanUse(t *testing.T) {
	result, err := checkRegexes(regexRequest{Patterns: []string{`^a\.b$`, "(", `(?=x)`, `(?i)x`, `x{1001}`, "\xff"}})
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, fault := range result.(map[string]any)["faults"].([]*string) {
		if fault == nil {
			out = append(out, "")
			continue
		}
		out = append(out, *fault)
	}
	equal(t, "faults", out, []string{
		"", "error parsing regexp: missing closing ): `(`", "error parsing regexp: invalid or unsupported Perl syntax: `(?=`", "",
		"error parsing regexp: invalid repeat count: `{1001}`", "error parsing regexp: invalid UTF-8: `\xff`",
	})
}

// Fields are found the same way where many are wanted, in a mapping or in a list.
func TestPlacesOfManyFields(t *testing.T) {
	var block, flow strings.Builder
	var paths, want []string
	block.WriteString("list:\n")
	flow.WriteString("{\"list\": [\n")
	for i := range 3 * fewWanted {
		fmt.Fprintf(&block, "- f%d: x\n", i)
		fmt.Fprintf(&flow, "{\"f%d\": 1},\n", i)
		paths = append(paths, fmt.Sprintf("list[%d]", i), fmt.Sprintf("list[%d].f%d", i, i))
		want = append(want, fmt.Sprintf("%d:1", i+2))
	}
	flow.WriteString("0]}\n")
	for i, place := range placesIn(t, true, 1, flow.String(), paths...) {
		line, _, _ := strings.Cut(want[i/2], ":")
		equal(t, paths[i], place, fmt.Sprintf("%s:%d", line, 1+i%2))
	}
	for i, place := range placesIn(t, false, 1, block.String(), paths...) {
		line, _, _ := strings.Cut(want[i/2], ":")
		equal(t, paths[i], place, line+":3")
	}
}
