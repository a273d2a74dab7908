package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
	goyaml "sigs.k8s.io/yaml/goyaml.v2"
	nodes "sigs.k8s.io/yaml/goyaml.v3"
)

// toJSON turns one document into JSON as kubectl does, but refuses duplicate
// keys, of which kubectl takes the last without a word. It tells whether blockYAML
// has read it, which need not be asked where it has refused.
func toJSON(text []byte, span Span, refused bool) (converted []byte, block bool, problem *Problem) {
	if span.JSON {
		return text, false, nil
	}
	if rest := glued(text); rest != nil {
		message := fmt.Sprintf("invalid YAML: \"---\" must stand alone on its line, and %q follows it", shorten(string(rest)))
		return nil, false, unrendered(text, &Problem{Line: span.Line, Message: message}, span)
	}
	if !refused {
		if converted, ok := blockToJSON(text); ok {
			return converted, true, nil
		}
	}
	text = asLines(text)
	if len(text) > maxFlowYAML && looksLikeJSON(text) {
		problem = brokenJSON(text, span)
	}
	if err := tooMany(text); err != nil && problem == nil {
		return nil, false, &Problem{Line: span.Line, Message: err.Error()}
	}
	if problem == nil {
		converted, err := yamlToJSON(text)
		if err == nil {
			return converted, false, nil
		}
		problem = yamlProblem(err, text, span)
		if looksLikeJSON(text) && bytes.HasPrefix(bytes.TrimLeft(text, " \t\r\n{"), []byte{'"'}) {
			if broken := brokenJSON(text, span); broken != nil {
				problem = broken
			}
		}
	}
	return nil, false, unrendered(text, problem, span)
}

// Nobody writes larger documents in YAML's flow style: a larger text that begins
// like JSON and breaks is told as JSON, without asking the slow YAML library.
const maxFlowYAML = 1 << 20

// brokenJSON tells where a text breaks that was meant to be JSON, if it does.
func brokenJSON(text []byte, span Span) *Problem {
	dec := jsontext.NewDecoder(bytes.NewReader(text), trusted...)
	for {
		if _, err := dec.ReadValue(); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return &Problem{Line: span.Line + jsonLine(text, err) - 1, Message: jsonMessage(err)}
		}
	}
}

// yamlToJSON reads one YAML document with the library that kubectl reads it
// with, and converts it as kubectl does (sigs.k8s.io/yaml: YAMLToJSON).
func yamlToJSON(text []byte) ([]byte, error) {
	dec := goyaml.NewDecoder(bytes.NewReader(text))
	dec.SetStrict(true)
	var value any
	err := dec.Decode(&value)
	var duplicates *goyaml.TypeError
	switch {
	case errors.As(err, &duplicates) && bytes.Contains(text, []byte("<<")):
		// A key beside << that overrides a merged one is no duplicate, which the
		// strict decoder does not know.
		if fault := keyFault(text); fault != nil {
			return nil, fault
		}
		value = nil
		dec = goyaml.NewDecoder(bytes.NewReader(text))
		if err := dec.Decode(&value); err != nil {
			return nil, err
		}
	case errors.Is(err, io.EOF):
		return []byte("null"), nil
	case err != nil && strings.Contains(err.Error(), "invalid map key"):
		if fault := keyFault(text); fault != nil {
			return nil, fault
		}
		return nil, errors.New("a mapping or a list stands where a key is due")
	case err != nil:
		return nil, err
	}
	var more any
	if err := dec.Decode(&more); !errors.Is(err, io.EOF) {
		return nil, errors.New("another document follows without a line of --- between")
	}
	out, err := appendJSON(make([]byte, 0, len(text)), value, aliasFactor*len(text)+aliasSpare)
	if err != nil && !errors.Is(err, errAlias) {
		if fault := keyFault(text); fault != nil {
			return nil, fault
		}
	}
	return out, err
}

// appendJSON writes a value of the YAML library as JSON, numbers and keys as
// sigs.k8s.io/yaml writes them. Keys that become equal are an error: one of the
// values would be lost; so is more than so many bytes, which only aliases make.
func appendJSON(out []byte, value any, most int) ([]byte, error) {
	if len(out) > most {
		return out, errAlias
	}
	switch value := value.(type) {
	case map[any]any:
		named := make(map[string]any, len(value))
		for key, entry := range value {
			name, err := keyName(key)
			if err != nil {
				return out, err
			}
			if _, taken := named[name]; taken {
				return out, fmt.Errorf("key %q already set in map", name)
			}
			named[name] = entry
		}
		out = append(out, '{')
		for i, name := range slices.Sorted(maps.Keys(named)) {
			if i > 0 {
				out = append(out, ',')
			}
			var err error
			if out, err = appendJSON(append(quoteJSON(out, name), ':'), named[name], most); err != nil {
				return out, err
			}
		}
		return append(out, '}'), nil
	case []any:
		out = append(out, '[')
		for i, entry := range value {
			if i > 0 {
				out = append(out, ',')
			}
			var err error
			if out, err = appendJSON(out, entry, most); err != nil {
				return out, err
			}
		}
		return append(out, ']'), nil
	case string:
		return quoteJSON(out, value), nil
	default:
		written, err := json.Marshal(value)
		if err != nil {
			return out, fmt.Errorf("%v is no number of JSON", value)
		}
		return append(out, written...), nil
	}
}

func quoteJSON(out []byte, text string) []byte {
	// The only error is text that is no UTF-8, as !!binary makes it.
	quoted, _ := jsontext.AppendQuote(out, strings.ToValidUTF8(text, "\uFFFD"))
	return quoted
}

func keyName(key any) (string, error) {
	switch key := key.(type) {
	case string:
		return key, nil
	case int:
		return strconv.Itoa(key), nil
	case int64:
		return strconv.FormatInt(key, 10), nil
	case float64:
		// In 32 bits, as sigs.k8s.io/yaml has it.
		switch text := strconv.FormatFloat(key, 'g', -1, 32); text {
		case "+Inf", "-Inf", "NaN":
			return strings.ToLower(strings.Replace(strings.Trim(text, "+"), "I", ".i", 1)), nil
		default:
			return text, nil
		}
	case bool:
		return strconv.FormatBool(key), nil
	case nil:
		return "", errors.New("null stands where a key is due")
	default:
		return "", fmt.Errorf("%v stands where a key is due", key)
	}
}

// keyFault looks for the first key that stands twice in its mapping, or that is
// none of JSON. Keys that << merges stand elsewhere. The error has the form of
// the library's own.
func keyFault(text []byte) error {
	var root nodes.Node
	if err := nodes.Unmarshal(text, &root); err != nil {
		return err
	}
	return keyFaultIn(&root)
}

func keyFaultIn(node *nodes.Node) error {
	if node.Kind == nodes.MappingNode {
		seen := map[string]bool{}
		for i := 0; i+1 < len(node.Content); i += 2 {
			key := node.Content[i]
			if key.Kind == nodes.AliasNode {
				key = key.Alias
			}
			own := key.Value
			if plain := key.Kind == nodes.ScalarNode && key.Style == 0; plain {
				own = plainKey(own)
			}
			switch {
			case key.ShortTag() == "!!merge":
				continue
			case key.Kind == nodes.MappingNode:
				return fmt.Errorf("line %d: a mapping stands where a key is due", node.Content[i].Line)
			case key.Kind == nodes.SequenceNode:
				return fmt.Errorf("line %d: a list stands where a key is due", node.Content[i].Line)
			case key.ShortTag() == "!!null":
				return fmt.Errorf("line %d: null stands where a key is due", node.Content[i].Line)
			case seen[own]:
				return fmt.Errorf("line %d: key %q already set in map", node.Content[i].Line, own)
			}
			seen[own] = true
		}
	}
	for _, child := range node.Content {
		if err := keyFaultIn(child); err != nil {
			return err
		}
	}
	return nil
}

// plainKey is the name of a key without quotation marks as YAML 1.1 has it, where
// yes and true are one.
func plainKey(text string) string {
	var key any
	if err := goyaml.Unmarshal([]byte(text), &key); err != nil {
		return text
	}
	name, err := keyName(key)
	if err != nil {
		return text
	}
	return name
}

// yamlProblem turns "yaml: line 3: …", which counts from the first line of the
// document's text, into a problem at the line of the file.
func yamlProblem(err error, text []byte, span Span) *Problem {
	message := strings.TrimPrefix(err.Error(), "yaml: ")
	message = strings.TrimPrefix(message, "unmarshal errors:\n  ")
	message, _, _ = strings.Cut(message, "\n")
	problem := &Problem{Line: span.Line, Message: "invalid YAML: " + message}
	var line int
	if _, scanErr := fmt.Sscanf(message, "line %d: ", &line); scanErr == nil {
		problem.Line = span.Line + linesOf(text).place(line, 1).Line - 1
		_, rest, _ := strings.Cut(message, ": ")
		problem.Message = "invalid YAML: " + rest
	}
	// Files that are put together, of which one does not begin with a separator.
	if strings.HasSuffix(problem.Message, `key "apiVersion" already set in map`) {
		problem.Message += ": is a line --- missing between two documents?"
	}
	return problem
}

// unrendered takes the place of a problem when the text is a template of Helm's
// (or of another that writes {{ }}): what the parser says of it helps nobody.
// The line is the first that has a {{ outside of quotation marks, as it is there
// that YAML breaks.
func unrendered(text []byte, problem *Problem, span Span) *Problem {
	line := span.Line
	for row := range bytes.Lines(text) {
		before, rest, found := bytes.Cut(row, []byte("{{"))
		if found && bytes.Contains(rest, []byte("}}")) && !bytes.ContainsAny(before, "\"'#") {
			return &Problem{Part: problem.Part, Line: line, Message: "a Helm template: what stands in {{ }} is not filled in yet. Render it first with `helm template`"}
		}
		line++
	}
	return problem
}

const maxQuoted = 60

// shorten cuts a text that is quoted in a message.
func shorten(text string) string {
	if len(text) <= maxQuoted {
		return text
	}
	return strings.ToValidUTF8(text[:maxQuoted], "") + "…"
}
