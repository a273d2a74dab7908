package main

import (
	"fmt"
	"strings"
	"testing"
)

// shown lists spans as line:text, JSON marked with a star.
func shown(text string, spans []Span) []string {
	out := []string{}
	for _, span := range spans {
		mark := ""
		if span.JSON {
			mark = "*"
		}
		out = append(out, fmt.Sprintf("%d%s:%s", span.Line, mark, text[span.Offset:span.Offset+span.Length]))
	}
	return out
}

func TestAFileIsDividedIntoItsDocuments(t *testing.T) {
	for name, one := range map[string]struct {
		text string
		want []string
	}{
		"one document":                         {"a: b", []string{"1:a: b"}},
		"two documents":                        {"a: b\n---\nc: d\n", []string{"1:a: b\n", "3:c: d\n"}},
		"a marker first and last":              {"---\na: b\n---\n", []string{"2:a: b\n"}},
		"markers without documents":            {"---\n---\n\n---\na: b\n---\n---\n", []string{"5:a: b\n"}},
		"a comment after the marker":           {"a: b\n--- # next\nc: d", []string{"1:a: b\n", "3:c: d"}},
		"a comment close to the marker":        {"a: b\n---# next\nc: d", []string{"1:a: b\n", "3:c: d"}},
		"blanks after the marker":              {"a: b\n---  \t\nc: d", []string{"1:a: b\n", "3:c: d"}},
		"content after the marker":             {"a: b\n--- {c: d}\n---\ne: f", []string{"1:a: b\n", "2:--- {c: d}\n", "4:e: f"}},
		"carriage returns":                     {"a: b\r\n---\r\nc: d\r\n", []string{"1:a: b\r\n", "3:c: d\r\n"}},
		"a byte order mark":                    {"\xef\xbb\xbfa: b\n---\nc: d", []string{"1:a: b\n", "3:c: d"}},
		"a word that starts like a marker":     {"a: b\n---x: y\n----\n", []string{"1:a: b\n", "2:---x: y\n", "3:----\n"}},
		"a marker in a block scalar":           {"a: |\n  ---\n  x\n---\nc: d", []string{"1:a: |\n  ---\n  x\n", "5:c: d"}},
		"an end marker":                        {"a: b\n...\nc: d\n", []string{"1:a: b\n", "3:c: d\n"}},
		"an end and a start":                   {"a: b\n...\n---\nc: d\n", []string{"1:a: b\n", "4:c: d\n"}},
		"directives":                           {"%YAML 1.1\n# c\n---\na: b\n", []string{"4:a: b\n"}},
		"nothing":                              {"", []string{}},
		"blank lines":                          {"\n \n\r\n", []string{}},
		"only comments":                        {"# a\n---\n  # b\n---\n", []string{}},
		"comments before":                      {"# a\n\na: b", []string{"1:# a\n\na: b"}},
		"JSON":                                 {` {"a": 1} `, []string{`1*:{"a": 1}`}},
		"a stream of JSON":                     {"{\"a\": 1}\n\n{\n}{}", []string{`1*:{"a": 1}`, "3*:{\n}", "4*:{}"}},
		"JSON between markers":                 {"{\"a\": 1}\n---\n{\"b\": 2}\n", []string{"1*:{\"a\": 1}", "3*:{\"b\": 2}"}},
		"JSON after YAML":                      {"a: b\n---\n{\"b\": 2}\n", []string{"1:a: b\n", "3*:{\"b\": 2}"}},
		"flow style":                           {"{a: b}", []string{"1:{a: b}"}},
		"flow style with quotes":               {`{a: "b", "c": [d]}`, []string{`1:{a: "b", "c": [d]}`}},
		"flow style between markers":           {"a: b\n---\n{c: \"d\"}\n", []string{"1:a: b\n", "3:{c: \"d\"}\n"}},
		"two of JSON between markers":          {"---\n{\"a\": 1}\n{\"b\": 2}\n", []string{"2*:{\"a\": 1}", "3*:{\"b\": 2}"}},
		"duplicate names are the parser's job": {`{"a": 1, "a": 2}{}`, []string{`1*:{"a": 1, "a": 2}`, "1*:{}"}},
	} {
		t.Run(name, func(t *testing.T) {
			equal(t, "documents", shown(one.text, splitFile([]byte(one.text))), one.want)
		})
	}
}

func TestTextThatBreaksLeavesTheDocumentsBeforeAndAfter(t *testing.T) {
	const a, b = `{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}}`, "apiVersion: v1\nkind: Pod\nmetadata: {name: b}\n"
	for name, one := range map[string]struct {
		text     string
		names    string
		problems []string
	}{
		"JSON that breaks":                 {a + "\n" + a + "\n{\"c\": \n\n]", "a a", []string{"0:5: invalid JSON: "}},
		"junk after JSON":                  {a + " junk", "a", []string{"0:1: not a Kubernetes object: it is no mapping"}},
		"junk after JSON and a document":   {a + " junk\n---\n" + b, "a b", []string{"0:1: not a Kubernetes object: it is no mapping"}},
		"a marker glued to JSON":           {a + "---\n" + b, "a b", nil},
		"JSON glued to JSON":               {a + a + "\n---\n" + b + "---\n" + a + a, "a a b a a", nil},
		"YAML right after JSON":            {a + "\n" + b, "a b", nil},
		"JSON that breaks at once":         {"{\"a\": [}\n---\n" + b, "b", []string{"0:1: invalid JSON: "}},
		"flow style, and a marker":         {"{apiVersion: v1, kind: Pod, metadata: {name: a}}\n---\n" + b, "a b", nil},
		"flow style glued to a marker":     {"{apiVersion: v1, kind: Pod, metadata: {name: a}}---\n" + b, "", []string{"0:1: invalid YAML: another document follows"}},
		"a document follows flow style":    {"{apiVersion: v1, kind: Pod, metadata: {name: a}}\n" + b, "", []string{"0:1: invalid YAML: another document follows"}},
		"a first document indented by two": {"  apiVersion: v1\n  kind: Pod\n  metadata: {name: a}\n" + b, "", []string{"0:1: invalid YAML: another document follows"}},
		"a marker glued to text":           {b + "---apiVersion: v1\nkind: Pod\n---\n" + b, "b b", []string{"0:4: invalid YAML: \"---\" must stand alone on its line, and \"apiVersion: v1\" follows it"}},
		"content after a marker":           {b + "--- {a: b}\n---\n" + b, "b b", []string{"0:4: invalid YAML: \"---\" must stand alone"}},
		"odd ends of lines":                {b + "---\ra: b\r---\rc: d\n---\n" + b, "b b", []string{"0:4: invalid YAML: \"---\" must stand alone"}},
		"a marker after a carriage return": {"a: b\r---\rc: d\n---\n" + b, "b", []string{"0:1: invalid YAML: another document follows"}},
	} {
		t.Run(name, func(t *testing.T) {
			answer := loaded(t, newEngine(), one.text)
			var names []string
			for _, document := range answer.Documents {
				names = append(names, document.Name)
			}
			equal(t, "documents", strings.Join(names, " "), one.names)
			equal(t, "problems", len(answer.Problems), len(one.problems))
			for i, problem := range problemsOf(answer) {
				contains(t, "problem", problem, one.problems[i])
			}
		})
	}
}

func TestYAMLProblemsPointIntoTheFile(t *testing.T) {
	for name, one := range map[string]struct {
		text string
		line int
		part string
	}{
		"an unclosed list":        {"a: b\n---\nc: d\ne: [f\n", 4, "did not find expected"},
		"duplicate keys":          {"# x\na: b\nc: 1\na: c\n", 4, `key "a" already set`},
		"documents not parted":    {"apiVersion: v1\nkind: Pod\napiVersion: v1\nkind: Pod\n", 3, "is a line --- missing between two documents?"},
		"a tab":                   {"a:\n\tb: c\n", 2, "cannot start any token"},
		"an unknown anchor":       {"a: *b\n", 1, "unknown anchor"},
		"binary junk":             {"\x00\x01\x02\xff\xfe", 1, "invalid YAML: "},
		"a text that is no UTF-8": {"a: \"\xff\"\n", 1, "invalid YAML: "},
		"an anchor that explodes": {"a: &a [x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a]\nc: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b]\nd: &d [*c,*c,*c,*c,*c,*c,*c,*c,*c]\n" +
			"e: &e [*d,*d,*d,*d,*d,*d,*d,*d,*d]\nf: &f [*e,*e,*e,*e,*e,*e,*e,*e,*e]\ng: [*f,*f,*f,*f,*f,*f,*f,*f,*f]\n", 1, "excessive aliasing"},
	} {
		t.Run(name, func(t *testing.T) {
			answer := loaded(t, newEngine(), one.text)
			if len(answer.Problems) == 0 {
				t.Fatal("no problem")
			}
			last := answer.Problems[len(answer.Problems)-1]
			equal(t, "line", last.Line, one.line)
			contains(t, "message", last.Message, one.part)
		})
	}
}

func TestALargeFileIsCutIntoRunsThatLoadAlike(t *testing.T) {
	pod := func(i int) string {
		return fmt.Sprintf(`{"apiVersion":"v1","kind":"Pod","metadata":{"name":"p%d"},"spec":{"containers":[{"name":"c","image":"i:%d"}]}}`, i, i)
	}
	list := func(kind, api string, first, count int) string {
		var items []string
		for i := first; i < first+count; i++ {
			item := pod(i)
			if kind != "List" {
				item = strings.Replace(item, `"apiVersion":"v1","kind":"Pod",`, "", 1)
			}
			items = append(items, item)
		}
		return fmt.Sprintf("{\n\"apiVersion\": %q, \"kind\": %q, \"metadata\": {},\n\"items\": [\n%s\n]}\n", api, kind, strings.Join(items, ",\n"))
	}
	yamls := ""
	for i := range 30 {
		yamls += fmt.Sprintf("---\napiVersion: v1\nkind: Pod\nmetadata:\n  name: y%d\n", i)
	}
	for name, text := range map[string]string{
		"YAML documents":                     yamls,
		"JSON documents":                     strings.Repeat(pod(1)+"\n", 20),
		"a list":                             list("List", "v1", 0, 30),
		"a typed list":                       list("PodList", "v1", 0, 30),
		"two lists":                          list("List", "v1", 0, 7) + list("List", "v1", 7, 5),
		"typed lists of two versions":        list("PodList", "v1", 0, 7) + list("PodList", "v1beta1", 7, 7),
		"lists between documents":            pod(90) + "\n" + list("List", "v1", 0, 9) + pod(91) + "\n" + pod(92),
		"YAML around a list":                 yamls + "---\n" + list("List", "v1", 0, 9) + yamls,
		"a byte order mark":                  "\xef\xbb\xbf" + yamls,
		"an empty list":                      `{"apiVersion":"v1","kind":"List","items":[]}`,
		"a document beyond the target":       yamls + "---\n" + strings.Replace(pod(5), ":", ":"+strings.Repeat(" ", 4000), 1) + "\n---\n" + pod(6),
		"an item with items that are none":   strings.Replace(list("PodList", "v1", 0, 9), `"metadata":{"name":"p3"}`, `"metadata":{"name":"p3"},"items":"x"`, 1),
		"JSON that is no object in a stream": pod(1) + "\n[1, 2]\n\"x\" null\n" + pod(2) + pod(3),
		"an array before flow style":         pod(1) + " []---\n{apiVersion: v1, kind: Pod, metadata: {name: f}}\n---\n" + yamls,
		"JSON glued to a marker":             "# c\n...\n" + pod(1) + "---\n" + yamls,
		"byte order marks in the midst":      yamls + "---\n\ufeff" + pod(1) + "\n---\n\ufeff---\napiVersion: v1\nkind: Pod\nmetadata: {name: m}\n---\n" + yamls,
		"JSON with line ends of YAML":        yamls + "---\n" + strings.Replace(pod(1), "i:1", "i\u2028j", 1) + "\n--- # c\r" + pod(2),
		"a broken document in the midst":     yamls + "---\na: [b\n" + yamls,
	} {
		t.Run(name, func(t *testing.T) {
			whole := loaded(t, newEngine(), text)
			for _, target := range []int{0, 1, 200, 700, 3000, 1 << 20} {
				result, err := split(splitRequest{Target: target}, []byte(text))
				if err != nil {
					t.Fatal(err)
				}
				cuts := result.(map[string]any)["cuts"].([]Cut)
				got := loadAnswer{}
				for _, cut := range cuts {
					part := text[cut.Offset : cut.Offset+cut.Length]
					request := loadRequest{Batch: "b", Format: "files", Parts: []Part{{Length: len(part), Line: cut.Line, Items: cut.Items, Kind: cut.Kind, API: cut.API}}}
					answer := loadedAs(t, newEngine(), request, part)
					for _, document := range answer.Documents {
						document.Offset += cut.Offset
					}
					got.Documents, got.Problems = append(got.Documents, answer.Documents...), append(got.Problems, answer.Problems...)
				}
				for _, document := range append(got.Documents, whole.Documents...) {
					// The white space after a document may be part of it or not.
					document.Length = len(strings.TrimRight(text[document.Offset:document.Offset+document.Length], "\n"))
				}
				equal(t, fmt.Sprintf("documents at target %d", target), len(got.Documents), len(whole.Documents))
				for i := range got.Documents {
					equal(t, fmt.Sprintf("document %d at target %d", i, target), got.Documents[i], whole.Documents[i])
				}
				equal(t, "problems", len(got.Problems), len(whole.Problems))
				for i := range got.Problems {
					equal(t, "problem", got.Problems[i], whole.Problems[i])
				}
			}
		})
	}
}

func TestALargeListThatBreaksIsAProblem(t *testing.T) {
	result, err := split(splitRequest{Target: 1}, []byte("---\n{\"kind\": \"List\", \"items\": [{\"a\": }]}"))
	if err != nil {
		t.Fatal(err)
	}
	cuts := result.(map[string]any)["cuts"].([]Cut)
	equal(t, "cuts", len(cuts), 1)
	for _, items := range []string{`{"a": 1}, {"b": `, `{"a": 1}], "x": [`, `]`} {
		_, problems := partSpans(Part{Items: true}, []byte(items))
		equal(t, "problems of "+items, len(problems), 1)
	}
}

// A key beside << is no duplicate; which of the two values holds is what kubectl
// makes of it: the later one in the text.
func TestKeysBesideAMergeAreReadAsKubectlReadsThem(t *testing.T) {
	for text, want := range map[string]string{
		"a: &a {x: 1, m: 2}\nb: {<<: *a, x: 3}\n":                     `{"a":{"x":1,"m":2},"b":{"x":3,"m":2}}`,
		"a: &a {x: 1, m: 2}\nb: {x: 3, <<: *a}\n":                     `{"a":{"x":1,"m":2},"b":{"x":1,"m":2}}`,
		"a: &a {x: 1}\nb: &b {x: 2, m: 4}\nc: {<<: [*a, *b], m: 5}\n": `{"a":{"x":1},"b":{"x":2,"m":4},"c":{"x":1,"m":5}}`,
		"a: &a {x: 1}\nb: &b {<<: *a, x: 2}\nc:\n  <<: *b\n  x: 3\n":  `{"a":{"x":1},"b":{"x":2},"c":{"x":3}}`,
		"a: {<<: {x: 1}, x: 2}\n":                                     `{"a":{"x":2}}`,
		"a: &a {x: 1}\nb:\n- <<: *a\n  x: 2\n- \"<<\": z\n":           `{"a":{"x":1},"b":[{"x":2},{"<<":"z"}]}`,
		"a: &a {x: 1}\nb: {<<: *a, x: 2, x: 3}\n":                     "line 2: key \"x\" already set in map",
		"a: &a {x: 1}\nb: {<<: *a, x: 2}\nc: {d: 1,\n  d: 2}\n":       "line 4: key \"d\" already set in map",
		"a: &a {x: 1, x: 2}\nb: {<<: *a, x: 3}\n":                     "line 1: key \"x\" already set in map",
		"a: &a {x: 1}\nb: {<<: *a, yes: 1, true: 2}\n":                "line 2: key \"true\" already set in map",
		"a: &a [1]\nb: {<<: *a, x: 3}\n":                              "map merge requires map or sequence of maps as the value",
	} {
		got, err := yamlToJSON([]byte(text))
		if err != nil {
			contains(t, text, err.Error(), want)
			continue
		}
		equal(t, text, native(t, string(got)), native(t, want))
	}
}
