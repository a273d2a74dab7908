package main

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/go-json-experiment/json/jsontext"
	yaml "sigs.k8s.io/yaml/goyaml.v3"
)

type locateRequest struct {
	Documents []locateDocument `json:"documents"`
}

// locateDocument is the text of one document (the next Length bytes of the
// body) and the paths whose places in it are wanted.
type locateDocument struct {
	Length int      `json:"length"`
	Line   int      `json:"line"` // of the text's first byte in its file
	JSON   bool     `json:"json"`
	Paths  []string `json:"paths"`
}

// Position in a file, all counted from 1. End is the column after the last
// character of the line, blanks at its end not counted.
type Position struct {
	Line   int `json:"line"`
	Column int `json:"column"`
	End    int `json:"end"`
}

// locate finds the line and column of fields. A field that is not there has
// the place of the deepest field above it that is: "no limits" points at the
// container.
func locate(r locateRequest, body []byte) (any, error) {
	out := make([][]Position, len(r.Documents))
	at := 0
	for i, d := range r.Documents {
		if d.Length < 0 || at+d.Length > len(body) {
			return nil, fmt.Errorf("document %d reaches past the body", i)
		}
		text := body[at : at+d.Length]
		at += d.Length
		paths := make([][]string, len(d.Paths))
		for p, path := range d.Paths {
			paths[p] = splitPath(path)
		}
		if d.JSON {
			out[i] = locateJSON(text, paths)
		} else {
			out[i] = locateYAML(text, paths)
		}
		setEnds(text, out[i])
		for p := range out[i] {
			out[i][p].Line += max(d.Line, 1) - 1
		}
	}
	return map[string]any{"positions": out}, nil
}

// setEnds finds where the lines of places end.
func setEnds(text []byte, places []Position) {
	lines := bytes.Split(text, []byte("\n"))
	for i, place := range places {
		end := place.Column
		if place.Line >= 1 && place.Line <= len(lines) {
			end = max(end, 1+utf8.RuneCount(bytes.TrimRight(lines[place.Line-1], " \t\r")))
		}
		places[i].End = end
	}
}

// splitPath divides spec.containers[0].image and metadata.labels['a.b/c'] into
// their keys.
func splitPath(path string) []string {
	var keys []string
	for path != "" {
		switch {
		case path[0] == '.':
			path = path[1:]
		case path[0] == '[':
			rest := path[1:]
			if len(rest) > 0 && (rest[0] == '\'' || rest[0] == '"') {
				if end := strings.IndexByte(rest[1:], rest[0]); end >= 0 {
					keys = append(keys, rest[1:1+end])
					path = strings.TrimPrefix(rest[end+2:], "]")
					continue
				}
			}
			key, after, _ := strings.Cut(rest, "]")
			keys = append(keys, key)
			path = after
		default:
			end := strings.IndexAny(path, ".[")
			if end < 0 {
				end = len(path)
			}
			keys = append(keys, path[:end])
			path = path[end:]
		}
	}
	return keys
}

func locateYAML(text []byte, paths [][]string) []Position {
	out := make([]Position, len(paths))
	tree := wantedOf(paths)
	for i := range out {
		out[i] = Position{Line: 1, Column: 1}
	}
	if locateBlock(text, tree, func(node *wanted, line, column int) {
		node.each(func(i int) { out[i] = Position{Line: line, Column: column} })
	}) {
		return out
	}
	var root yaml.Node
	if err := yaml.Unmarshal(text, &root); err != nil || len(root.Content) == 0 {
		for i := range out {
			out[i] = Position{Line: 1, Column: 1}
		}
		return out
	}
	for i, keys := range paths {
		node := root.Content[0]
		out[i] = Position{Line: node.Line, Column: node.Column}
		for _, key := range keys {
			place, value := yamlChild(node, key)
			if value == nil {
				break
			}
			node = value
			out[i] = Position{Line: place.Line, Column: place.Column}
		}
	}
	return out
}

// yamlChild returns where a key or an element stands, and its value.
func yamlChild(node *yaml.Node, key string) (place, value *yaml.Node) {
	for range 16 {
		if node.Kind != yaml.AliasNode || node.Alias == nil {
			break
		}
		node = node.Alias
	}
	switch node.Kind {
	case yaml.MappingNode:
		for i := 0; i+1 < len(node.Content); i += 2 {
			if node.Content[i].Value == key {
				return node.Content[i], node.Content[i+1]
			}
		}
	case yaml.SequenceNode:
		if n, err := strconv.Atoi(key); err == nil && n >= 0 && n < len(node.Content) {
			return node.Content[n], node.Content[n]
		}
	}
	return nil, nil
}

// wanted is the tree of the paths to find in a JSON text.
type wanted struct {
	children map[string]*wanted
	ends     []int // the paths that end here
}

func wantedOf(paths [][]string) *wanted {
	root := &wanted{}
	for i, keys := range paths {
		node := root
		for _, key := range keys {
			if node.children == nil {
				node.children = map[string]*wanted{}
			}
			next := node.children[key]
			if next == nil {
				next = &wanted{}
				node.children[key] = next
			}
			node = next
		}
		node.ends = append(node.ends, i)
	}
	return root
}

// each visits the paths that end here or below.
func (w *wanted) each(visit func(i int)) {
	for _, i := range w.ends {
		visit(i)
	}
	for _, child := range w.children {
		child.each(visit)
	}
}

func locateJSON(text []byte, paths [][]string) []Position {
	root := wantedOf(paths)
	offsets := make([]int, len(paths))
	dec := jsontext.NewDecoder(bytes.NewBuffer(text), trusted...)
	// A text that cannot be read any further leaves the places found so far.
	_ = findOffsets(dec, text, root, offsets)
	out := make([]Position, len(paths))
	for i, offset := range offsets {
		before := text[:offset]
		out[i] = Position{
			Line:   1 + bytes.Count(before, []byte("\n")),
			Column: offset - bytes.LastIndexByte(before, '\n'),
		}
	}
	return out
}

func findOffsets(dec *jsontext.Decoder, text []byte, node *wanted, offsets []int) error {
	if len(node.children) == 0 {
		return dec.SkipValue()
	}
	kind := dec.PeekKind()
	if kind != '{' && kind != '[' {
		return dec.SkipValue()
	}
	if _, err := dec.ReadToken(); err != nil {
		return err
	}
	for index := 0; dec.PeekKind() != '}' && dec.PeekKind() != ']'; index++ {
		key := strconv.Itoa(index)
		at := start(text, int(dec.InputOffset()))
		if kind == '{' {
			name, err := dec.ReadToken()
			if err != nil {
				return err
			}
			key = name.String()
		}
		child := node.children[key]
		if child == nil {
			if err := dec.SkipValue(); err != nil {
				return err
			}
			continue
		}
		child.each(func(i int) { offsets[i] = at })
		if err := findOffsets(dec, text, child, offsets); err != nil {
			return err
		}
	}
	_, err := dec.ReadToken()
	return err
}

// start passes the white space and the comma before the next token.
func start(text []byte, at int) int {
	for at < len(text) && bytes.IndexByte([]byte(" \t\r\n,"), text[at]) >= 0 {
		at++
	}
	return at
}
