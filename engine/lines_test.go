package main

import (
	"strings"
	"testing"
)

// Line ends that only some readers take for one.
var otherEnds = map[string]string{"a carriage return": "\r", "NEL": "\u0085", "U+2028": "\u2028", "U+2029": "\u2029"}

func TestTextAfterACommentThatEndsOtherwiseIsJudged(t *testing.T) {
	const pod = "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\n"
	for name, end := range otherEnds {
		for form, text := range map[string]string{
			"the first line":     "# c" + end + pod,
			"all on one line":    "# c" + end + strings.ReplaceAll(pod, "\n", end),
			"behind a marker":    "--- # c" + end + pod,
			"behind two markers": "# c\n---\n--- # c" + end + pod,
			"after a document":   "kind: Pod\napiVersion: v1\nmetadata: {name: b}\n--- # c" + end + pod,
			"behind a directive": "%YAML 1.1" + end + "---\n" + pod,
		} {
			t.Run(name+", "+form, func(t *testing.T) {
				answer := loaded(t, newEngine(), text)
				if n := len(answer.Documents); n == 0 || answer.Documents[n-1].Name != "a" {
					t.Errorf("the Pod is not among %d documents, %v is told", n, problemsOf(answer))
				}
				judgedOrTold(t, podReader(t), []byte(text))
			})
		}
	}
}

func podReader(t *testing.T) *Engine {
	t.Helper()
	e := newEngine()
	install(t, e, "p", "v1", everyPart)
	return e
}

func TestTextsMeanWhatKubectlReads(t *testing.T) {
	const head = "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\ndata:\n  a: "
	const inJSON = `{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"a": "x` + "\u0085 y\u2028z" + `"}}`
	for name, one := range map[string]struct{ text, want string }{
		"a block scalar without its end":         {head + "|\n    x", "x\n"},
		"a folded scalar without its end":        {head + ">\n    x", "x\n"},
		"a block scalar that ends with \\r":      {head + "|\n    x\r", "x\n"},
		"a block scalar that ends with \\r\\n":   {head + "|\n    x\r\n", "x\n"},
		"a block scalar that is stripped":        {head + "|-\n    x", "x"},
		"a block scalar that keeps its ends":     {head + "|+\n    x\n", "x\n"},
		"a block scalar before a marker":         {head + "|\n    x\n---\n", "x\n"},
		"carriage returns within a block scalar": {head + "|\r\n    x\r\n    y", "x\ny\n"},
		"\\r\\r\\n within a block scalar":        {head + "|\n    x\r\r\n    y\n", "x\ny\n"},
		"a lone \\r within a block scalar":       {head + "|\n    x\r    y\n", "x\ny\n"},
		"NEL within a block scalar":              {head + "|\n    x\u0085    y\n", "x\ny\n"},
		"U+2028 within a block scalar":           {head + "|\n    x\u2028    y\n", "x\u2028y\n"},
		"JSON first in a file":                   {inJSON, "x\u0085 y\u2028z"},
		"JSON where YAML is read":                {"---\n" + inJSON, "x y\u2028z"},
	} {
		t.Run(name, func(t *testing.T) {
			objects := kubectlReads([]byte(one.text))
			equal(t, "documents of kubectl", len(objects), 1)
			equal(t, "kubectl reads", objects[0][0]["data"].(map[string]any)["a"].(string), one.want)
			for _, target := range []int{1, 1 << 20} {
				result, err := split(splitRequest{Target: target}, []byte(one.text))
				if err != nil {
					t.Fatal(err)
				}
				for _, cut := range result.(map[string]any)["cuts"].([]Cut) {
					answer := loaded(t, podReader(t), one.text[cut.Offset:cut.Offset+cut.Length])
					equal(t, "documents", len(answer.Documents), 1)
					equal(t, "read", answer.Documents[0].object["data"].(map[string]any)["a"].(string), one.want)
				}
			}
		})
	}
}

func TestPlacesAreInTheLinesOfTheFile(t *testing.T) {
	for name, end := range otherEnds {
		text := "# c" + end + "a: 1\nb: {c: 2," + end + " d: 3}\r\n\"é\": {e: |\n   x" + end + "   y\n}\n"
		text = strings.Replace(text, "{e: |", "\r\n  e: |", 1)
		text = strings.Replace(text, "\n}\n", "\n  f: 4", 1)
		places := locateYAML([]byte(text), [][]string{{"a"}, {"b", "d"}, {"é", "f"}, {"é", "e"}}, false)
		for i, want := range []string{"a: 1", "d: 3", "f: 4", "e: |"} {
			line := strings.Split(text, "\n")[places[i].Line-1]
			equal(t, name+": at the place", string([]rune(line)[places[i].Column-1:])[:4], want)
		}
	}
}

func TestAProblemBehindOtherLineEndsIsAtItsLine(t *testing.T) {
	for name, end := range otherEnds {
		answer := loaded(t, newEngine(), "a: b"+end+"c: d\ne: f\ne: g\n")
		equal(t, name+": problems", len(answer.Problems), 1)
		equal(t, name+": line", answer.Problems[0].Line, 3)
	}
}

func TestAFileOfCommentsIsReadInOnePass(t *testing.T) {
	text := []byte(strings.Repeat("# é\r", 1<<20))
	if spans := splitFile(text); len(spans) != 0 {
		t.Errorf("%d documents of comments", len(spans))
	}
	if table := linesOf(text); len(table) != 1+1<<20 {
		t.Errorf("%d lines", len(table))
	}
}

func TestALargeJSONTextWithLineEndsOfYAMLIsRead(t *testing.T) {
	text := `---` + "\n" + `{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}, "data": {"a": "x` + "\u0085" + `y", "b": "` + strings.Repeat("z", maxFlowYAML) + `"}}`
	answer := loaded(t, newEngine(), text)
	if len(answer.Documents) != 1 {
		t.Error(len(answer.Documents), problemsOf(answer))
	}
}
