package main

import (
	"bytes"
	"errors"
	"io"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
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
	Part    int     `json:"part"`
	Line    int     `json:"line"`
	Message string  `json:"message"`
	Object  string  `json:"object,omitempty"` // partialObject, foreignObject; empty: it cannot be told
	of      *source // what holds the item that it is about, and the item's path there
	item    string
}

// What a document is that is read and is no Kubernetes object.
const (
	partialObject = "partial" // it has some of the fields by which one knows an object
	foreignObject = "foreign" // it has none: another program's file
)

var byteOrderMark = []byte("\ufeff")

// splitFile finds the documents of a file as kubectl does: JSON values one after
// the other, and, from the first text that is none, YAML documents between lines
// that begin with "---" (apimachinery: YAMLOrJSONDecoder). No text is left out
// but comments and markers: what cannot be read is told when it is parsed.
func splitFile(text []byte) []Span {
	start := 0
	if bytes.HasPrefix(text, byteOrderMark) {
		start = len(byteOrderMark)
	}
	spans, end := splitJSON(text, start, 1)
	if end == len(text) {
		return spans
	}
	return append(spans, splitYAML(text, end, 1+bytes.Count(text[:end], []byte("\n")))...)
}

func looksLikeJSON(text []byte) bool {
	trimmed := bytes.TrimLeft(text, " \t\r\n")
	return len(trimmed) > 0 && trimmed[0] == '{'
}

// splitJSON finds the JSON values that a text begins with, from an offset and its
// line on, and where the first text is that is none: len(text) when all is JSON.
// Duplicate names are left to the parser, which refuses the one document that
// has them and not all that come after.
func splitJSON(text []byte, from, line int) (spans []Span, end int) {
	if !looksLikeJSON(text[from:]) {
		return nil, from
	}
	dec := jsontext.NewDecoder(bytes.NewBuffer(text[from:]), trusted...)
	end = from
	for {
		value, err := dec.ReadValue()
		if errors.Is(err, io.EOF) {
			return spans, len(text)
		}
		if err != nil {
			return spans, end
		}
		start := from + int(dec.InputOffset()) - len(value)
		line += bytes.Count(text[end:start], []byte("\n"))
		spans = append(spans, Span{Offset: start, Length: len(value), Line: line, JSON: true})
		line += bytes.Count(value, []byte("\n"))
		end = start + len(value)
	}
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
	if errors.Is(err, errKept) || errors.Is(err, errItems) {
		return err.Error()
	}
	message := strings.TrimPrefix(err.Error(), "jsontext: ")
	return "invalid JSON: " + message
}

// splitYAML divides what begins at an offset, on that line.
func splitYAML(text []byte, start, line int) []Span {
	var spans []Span
	flush := func(end int) {
		doc := text[start:end]
		if blank(doc) {
			return
		}
		// JSON values between two lines of --- are read as JSON, where that is the same.
		if !hasWideBreak(doc) {
			if values, last := splitJSON(text[:end], start, line); last == end {
				spans = append(spans, values...)
				return
			}
		}
		spans = append(spans, Span{Offset: start, Length: end - start, Line: line})
	}
	for at := start; at < len(text); {
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
			if glued(text[at:end]) == nil {
				// What follows the comment's end belongs to the document.
				start = at + afterBreak(text[at:end])
				line += bytes.Count(text[at:start], []byte("\n"))
			}
		case '.':
			// What comes after the end of a document is another one.
			flush(at)
			line += bytes.Count(text[start:end], []byte("\n"))
			start = end
		}
		at = end
	}
	flush(len(text))
	return spans
}

// marker tells a line that starts a document ('-'), as kubectl has it, or one
// that ends a document ('.') from others (0).
func marker(line []byte) byte {
	if bytes.HasPrefix(line, []byte("---")) {
		return '-'
	}
	rest, found := bytes.CutPrefix(line, []byte("..."))
	if found && (len(rest) == 0 || strings.IndexByte(" \t\r\n", rest[0]) >= 0) {
		return '.'
	}
	return 0
}

// glued is what follows "---" on the first line of a text and is no comment:
// kubectl refuses it, also where YAML does not. It is nil when nothing does.
func glued(text []byte) []byte {
	rest, found := bytes.CutPrefix(text, []byte("---"))
	if !found {
		return nil
	}
	line, _, _ := bytes.Cut(rest, []byte("\n"))
	if line = bytes.TrimSpace(line); len(line) == 0 || line[0] == '#' {
		return nil
	}
	return line
}

// blank tells whether a YAML document has nothing but comments, directives
// and its own markers.
func blank(doc []byte) bool {
	for len(doc) > 0 {
		if c := doc[0]; isLetter(c) || c == '{' {
			return false // without a look for the end of its line: JSON is often one
		}
		line := doc[:afterBreak(doc)]
		doc = doc[len(line):]
		text := bytes.TrimSpace(line)
		if len(text) > 0 && text[0] != '#' && line[0] != '%' && !bytes.Equal(text, []byte("---")) && !bytes.Equal(text, []byte("...")) {
			return false
		}
	}
	return true
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
	problems := []Problem{}
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
	end := 0       // of the span before
	alone := false // what comes next cannot be read behind it
	for _, span := range splitFile(text) {
		raw := text[span.Offset : span.Offset+span.Length]
		if !span.JSON && (looksLikeJSON(raw) || bytes.HasPrefix(raw, byteOrderMark)) {
			// On its own it would be read as a file begins: the marker before it says that it does not.
			span.Line -= bytes.Count(text[end:span.Offset], []byte("\n"))
			span.Length += span.Offset - end
			span.Offset = end
		}
		end = span.Offset + span.Length
		var list listing
		if span.JSON && span.Length > target {
			// What is no JSON is told when it is loaded, by its own line.
			if found, err := listItems(raw); err == nil {
				list = found
			}
		}
		// An object with items that is named otherwise is judged itself, too.
		if !list.named() || list.items != '[' {
			add(span, false, alone)
			// JSON files begin with an object: another value is read as YAML, and so would be what follows it.
			alone = span.JSON && raw[0] != '{' && cuts[len(cuts)-1].Offset == span.Offset
			continue
		}
		line, counted := span.Line, 0
		for i, item := range list.spans {
			line += bytes.Count(raw[counted:item.Offset], []byte("\n"))
			counted = item.Offset
			item.Line = line
			item.Offset += span.Offset
			add(item, true, i == 0)
		}
		if partial := list.partial(); partial != "" {
			problems = append(problems, Problem{Line: span.Line, Message: partial})
		}
	}
	return map[string]any{"cuts": cuts, "problems": problems}, nil
}
