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
		"a comment close to the marker":        {"a: b\n---# no marker\n", []string{"1:a: b\n---# no marker\n"}},
		"blanks after the marker":              {"a: b\n---  \t\nc: d", []string{"1:a: b\n", "3:c: d"}},
		"content after the marker":             {"a: b\n--- {c: d}\n---\ne: f", []string{"1:a: b\n", "2:--- {c: d}\n", "4:e: f"}},
		"carriage returns":                     {"a: b\r\n---\r\nc: d\r\n", []string{"1:a: b\r\n", "3:c: d\r\n"}},
		"a byte order mark":                    {"\xef\xbb\xbfa: b\n---\nc: d", []string{"1:a: b\n", "3:c: d"}},
		"a word that starts like a marker":     {"a: b\n---x: y\n----\n", []string{"1:a: b\n---x: y\n----\n"}},
		"a marker in a block scalar":           {"a: |\n  ---\n  x\n---\nc: d", []string{"1:a: |\n  ---\n  x\n", "5:c: d"}},
		"an end marker":                        {"a: b\n...\nc: d\n", []string{"1:a: b\n...\n", "3:c: d\n"}},
		"an end and a start":                   {"a: b\n...\n---\nc: d\n", []string{"1:a: b\n...\n", "4:c: d\n"}},
		"directives":                           {"%YAML 1.1\n# c\n---\na: b\n", []string{"4:a: b\n"}},
		"nothing":                              {"", []string{}},
		"blank lines":                          {"\n \n\r\n", []string{}},
		"only comments":                        {"# a\n---\n  # b\n---\n", []string{}},
		"comments before":                      {"# a\n\na: b", []string{"1:# a\n\na: b"}},
		"JSON":                                 {` {"a": 1} `, []string{`1*:{"a": 1}`}},
		"a stream of JSON":                     {"{\"a\": 1}\n\n{\n}{}", []string{`1*:{"a": 1}`, "3*:{\n}", "4*:{}"}},
		"JSON between markers":                 {"{\"a\": 1}\n---\n{\"b\": 2}\n", []string{"1*:{\"a\": 1}\n", "3*:{\"b\": 2}\n"}},
		"JSON after YAML":                      {"a: b\n---\n{\"b\": 2}\n", []string{"1:a: b\n", "3*:{\"b\": 2}\n"}},
		"flow style":                           {"{a: b}", []string{"1:{a: b}"}},
		"flow style with quotes":               {`{a: "b", "c": [d]}`, []string{`1:{a: "b", "c": [d]}`}},
		"flow style between markers":           {"a: b\n---\n{c: \"d\"}\n", []string{"1:a: b\n", "3:{c: \"d\"}\n"}},
		"two of JSON where one is due":         {"---\n{\"a\": 1}\n{\"b\": 2}\n", []string{"2:{\"a\": 1}\n{\"b\": 2}\n"}},
		"duplicate names are the parser's job": {`{"a": 1, "a": 2}{}`, []string{`1*:{"a": 1, "a": 2}`, "1*:{}"}},
	} {
		t.Run(name, func(t *testing.T) {
			spans, problems := splitFile([]byte(one.text))
			equal(t, "documents", shown(one.text, spans), one.want)
			equal(t, "problems", len(problems), 0)
		})
	}
}

func TestJSONThatBreaksLeavesTheDocumentsBefore(t *testing.T) {
	text := "{\"a\": 1}\n{\"b\": 2}\n{\"c\": \n\n]"
	spans, problems := splitFile([]byte(text))
	equal(t, "documents", shown(text, spans), []string{`1*:{"a": 1}`, `2*:{"b": 2}`})
	equal(t, "problems", len(problems), 1)
	equal(t, "line", problems[0].Line, 5)
	contains(t, "message", problems[0].Message, "invalid JSON: ")
	text = "{\"a\": 1} junk"
	spans, problems = splitFile([]byte(text))
	equal(t, "documents", len(spans), 1)
	equal(t, "problems", len(problems), 1)
}

func TestYAMLProblemsPointIntoTheFile(t *testing.T) {
	for name, one := range map[string]struct {
		text string
		line int
		part string
	}{
		"an unclosed list":        {"a: b\n---\nc: d\ne: [f\n", 4, "did not find expected"},
		"duplicate keys":          {"# x\na: b\nc: 1\na: c\n", 4, `key "a" already set`},
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
		"YAML documents":                 yamls,
		"JSON documents":                 strings.Repeat(pod(1)+"\n", 20),
		"a list":                         list("List", "v1", 0, 30),
		"a typed list":                   list("PodList", "v1", 0, 30),
		"two lists":                      list("List", "v1", 0, 7) + list("List", "v1", 7, 5),
		"typed lists of two versions":    list("PodList", "v1", 0, 7) + list("PodList", "v1beta1", 7, 7),
		"lists between documents":        pod(90) + "\n" + list("List", "v1", 0, 9) + pod(91) + "\n" + pod(92),
		"YAML around a list":             yamls + "---\n" + list("List", "v1", 0, 9) + yamls,
		"a byte order mark":              "\xef\xbb\xbf" + yamls,
		"an empty list":                  `{"apiVersion":"v1","kind":"List","items":[]}`,
		"a document beyond the target":   yamls + "---\n" + strings.Replace(pod(5), ":", ":"+strings.Repeat(" ", 4000), 1) + "\n---\n" + pod(6),
		"a broken document in the midst": yamls + "---\na: [b\n" + yamls,
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
