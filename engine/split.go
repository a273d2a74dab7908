package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
	"sigs.k8s.io/yaml"
	nodes "sigs.k8s.io/yaml/goyaml.v3"
)

// Span is one document within a file.
type Span struct {
	Offset int    // bytes from the start of the part
	Length int    // bytes
	Line   int    // of its first byte, counted from 1
	JSON   bool   // text is JSON, else YAML
	Kind   string // for an item of a list without a kind of its own
	API    string
}

// Problem is text that could not be read: it becomes a gap in the report.
type Problem struct {
	Part    int    `json:"part"`
	Line    int    `json:"line"`
	Message string `json:"message"`
}

// splitFile finds the documents of a file: JSON values one after the other,
// or YAML documents between lines that start with "---", as Kubernetes'
// own YAML reader divides them.
func splitFile(text []byte) ([]Span, []Problem) {
	text, bom := bytes.CutPrefix(text, []byte("\xef\xbb\xbf"))
	skipped := 0
	if bom {
		skipped = 3
	}
	if looksLikeJSON(text) {
		spans, problem := splitJSON(text)
		if problem == nil {
			return shift(spans, skipped), nil
		}
		// "{a: b}" and "{...}\n---\n{...}" start like JSON but are YAML.
		if yamlSpans := splitYAML(text); len(yamlSpans) > 1 || isYAML(text) {
			return shift(yamlSpans, skipped), nil
		}
		return shift(spans, skipped), []Problem{*problem}
	}
	return shift(splitYAML(text), skipped), nil
}

// isYAML is asked of what starts like JSON and is none. Nobody writes large
// documents in YAML's flow style; a large JSON text that breaks is told as JSON.
func isYAML(text []byte) bool {
	if len(text) > maxFlowYAML {
		return false
	}
	_, problem := toJSON(text, Span{})
	return problem == nil
}

const maxFlowYAML = 1 << 20

func shift(spans []Span, by int) []Span {
	for i := range spans {
		spans[i].Offset += by
	}
	return spans
}

func looksLikeJSON(text []byte) bool {
	trimmed := bytes.TrimLeft(text, " \t\r\n")
	return len(trimmed) > 0 && trimmed[0] == '{'
}

// splitJSON leaves duplicate names to the parser, which refuses the one
// document that has them and not all that come after.
func splitJSON(text []byte) ([]Span, *Problem) {
	var spans []Span
	dec := jsontext.NewDecoder(bytes.NewBuffer(text), trusted...)
	line, counted := 1, 0
	for dec.PeekKind() != jsontext.KindInvalid {
		value, err := dec.ReadValue()
		if err != nil {
			return spans, &Problem{Line: jsonLine(text, err), Message: jsonMessage(err)}
		}
		start := int(dec.InputOffset()) - len(value)
		line += bytes.Count(text[counted:start], []byte("\n"))
		counted = start
		spans = append(spans, Span{Offset: start, Length: len(value), Line: line, JSON: true})
	}
	if rest := bytes.TrimSpace(text[int(dec.InputOffset()):]); len(rest) > 0 {
		_, err := dec.ReadToken()
		return spans, &Problem{Line: jsonLine(text, err), Message: jsonMessage(err)}
	}
	return spans, nil
}

// jsonLine is the line of a text, counted from 1, where JSON breaks.
func jsonLine(text []byte, err error) int {
	var syntax *jsontext.SyntacticError
	if !errors.As(err, &syntax) {
		return 1
	}
	return 1 + bytes.Count(text[:min(int(syntax.ByteOffset), len(text))], []byte("\n"))
}

func jsonMessage(err error) string {
	message := strings.TrimPrefix(err.Error(), "jsontext: ")
	return "invalid JSON: " + message
}

func splitYAML(text []byte) []Span {
	var spans []Span
	start, line := 0, 1
	flush := func(end int) {
		if doc := text[start:end]; !blank(doc) {
			spans = append(spans, Span{Offset: start, Length: end - start, Line: line, JSON: isJSON(doc)})
		}
	}
	for at := 0; at < len(text); {
		next := bytes.IndexByte(text[at:], '\n')
		end := len(text)
		if next >= 0 {
			end = at + next + 1
		}
		switch marker(text[at:end]) {
		case '-':
			flush(at)
			line += bytes.Count(text[start:at], []byte("\n"))
			start = at
			if rest := text[at+3 : end]; len(bytes.TrimSpace(rest)) == 0 || bytes.TrimSpace(rest)[0] == '#' {
				line++
				start = end
			}
		case '.':
			// What comes after the end of a document is another one.
			flush(end)
			line += bytes.Count(text[start:end], []byte("\n"))
			start = end
		}
		at = end
	}
	flush(len(text))
	return spans
}

// marker tells a line that starts a document ('-') or ends one ('.') from others (0).
func marker(line []byte) byte {
	for _, mark := range []string{"---", "..."} {
		rest, found := bytes.CutPrefix(line, []byte(mark))
		if found && (len(rest) == 0 || strings.IndexByte(" \t\r\n", rest[0]) >= 0) {
			return mark[0]
		}
	}
	return 0
}

// isJSON: one JSON value and nothing else. YAML's flow style looks much like it.
func isJSON(doc []byte) bool {
	return looksLikeJSON(doc) && jsontext.Value(doc).IsValid(trusted...)
}

// blank tells whether a YAML document has nothing but comments, directives
// and its own markers.
func blank(doc []byte) bool {
	for line := range bytes.Lines(doc) {
		text := bytes.TrimSpace(line)
		if len(text) > 0 && text[0] != '#' && line[0] != '%' && !bytes.Equal(text, []byte("---")) && !bytes.Equal(text, []byte("...")) {
			return false
		}
	}
	return true
}

// toJSON turns one document into JSON as Kubernetes does, refusing duplicate
// keys, which kubectl and the API server refuse too.
func toJSON(text []byte, span Span) ([]byte, *Problem) {
	if span.JSON {
		return text, nil
	}
	if converted, ok := blockToJSON(text); ok {
		return converted, nil
	}
	converted, err := yaml.YAMLToJSONStrict(text)
	if err != nil {
		return nil, yamlProblem(err, span)
	}
	if followed(text) {
		return nil, &Problem{Line: span.Line, Message: "invalid YAML: another document follows without a line of --- between"}
	}
	return converted, nil
}

// followed tells whether something stands after the first YAML document, which
// the library would drop without a word. A block mapping, which has nothing but
// its own entries until the next marker, need not be asked, unless its lines
// end in ways that only YAML knows.
func followed(text []byte) bool {
	content := text
	for blankLine := true; blankLine && len(content) > 0; {
		content = bytes.TrimLeft(bytes.TrimPrefix(content, []byte("---")), " \t\r\n")
		if blankLine = len(content) > 0 && content[0] == '#'; blankLine {
			_, content, _ = bytes.Cut(content, []byte("\n"))
		}
	}
	if len(content) > 0 && isWord(content[0]) && !oddLines.Match(text) {
		return false
	}
	dec := nodes.NewDecoder(bytes.NewReader(text))
	var first, second nodes.Node
	if err := dec.Decode(&first); err != nil {
		return false
	}
	return !errors.Is(dec.Decode(&second), io.EOF)
}

var oddLines = regexp.MustCompile("\r[^\n]|\u0085|\u2028|\u2029")

// yamlProblem turns "yaml: line 3: …", which counts from the document's first
// line, into a problem at the line of the file.
func yamlProblem(err error, span Span) *Problem {
	message := strings.TrimPrefix(err.Error(), "error converting YAML to JSON: ")
	message = strings.TrimPrefix(message, "yaml: ")
	message = strings.TrimPrefix(message, "unmarshal errors:\n  ")
	message, _, _ = strings.Cut(message, "\n")
	problem := &Problem{Line: span.Line, Message: "invalid YAML: " + message}
	var line int
	if _, scanErr := fmt.Sscanf(message, "line %d: ", &line); scanErr == nil {
		problem.Line = span.Line + line - 1
		_, rest, _ := strings.Cut(message, ": ")
		problem.Message = "invalid YAML: " + rest
	}
	return problem
}

type splitRequest struct {
	// Target is about how many bytes one cut should have.
	Target int `json:"target"`
}

// Cut is a run of documents that can be sent to load on its own. Items says
// that it is a run of elements of a JSON list, divided by commas.
type Cut struct {
	Offset int    `json:"offset"`
	Length int    `json:"length"`
	Line   int    `json:"line"`
	Items  bool   `json:"items"`
	Kind   string `json:"kind,omitempty"`
	API    string `json:"apiVersion,omitempty"`
}

// split divides a large file into runs of documents, so that its parent can
// have them judged one after the other and never holds all of them parsed.
func split(r splitRequest, text []byte) (any, error) {
	target := max(r.Target, 1)
	spans, problems := splitFile(text)
	if problems == nil {
		problems = []Problem{}
	}
	cuts := []Cut{}
	// add lengthens the last cut or starts another; what stands between the items
	// of two lists belongs to neither.
	add := func(span Span, items, apart bool) {
		if n := len(cuts); n > 0 && !apart {
			last := &cuts[n-1]
			if last.Items == items && span.Offset+span.Length-last.Offset <= target {
				last.Length = span.Offset + span.Length - last.Offset
				return
			}
		}
		cuts = append(cuts, Cut{Offset: span.Offset, Length: span.Length, Line: span.Line, Items: items, Kind: span.Kind, API: span.API})
	}
	for _, span := range spans {
		raw := text[span.Offset : span.Offset+span.Length]
		if !span.JSON || span.Length <= target {
			add(span, false, false)
			continue
		}
		items, ok, err := listItems(raw)
		if err != nil {
			problems = append(problems, Problem{Line: span.Line, Message: jsonMessage(err)})
			continue
		}
		if !ok {
			add(span, false, false)
			continue
		}
		line, counted := span.Line, 0
		for i, item := range items.spans {
			line += bytes.Count(raw[counted:item.Offset], []byte("\n"))
			counted = item.Offset
			item.Line = line
			item.Offset += span.Offset
			add(item, true, i == 0)
		}
	}
	return map[string]any{"cuts": cuts, "problems": problems}, nil
}
