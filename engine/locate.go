package main

import (
	"bytes"
	"fmt"
	"slices"
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
	block  bool     // blockYAML has read it before
}

// Position in a file, all counted from 1, columns in characters. End is the column after the last
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
		out[i] = d.locate(body[at : at+d.Length])
		at += d.Length
	}
	return map[string]any{"positions": out}, nil
}

// locate finds the places of the paths in the text.
func (d locateDocument) locate(text []byte) []Position {
	paths := make([][]string, len(d.Paths))
	for p, path := range d.Paths {
		paths[p] = splitPath(path)
	}
	var out []Position
	if d.JSON {
		out = locateJSON(text, paths)
	} else {
		out = locateYAML(text, paths, d.block)
	}
	setEnds(text, out)
	for p := range out {
		out[p].Line += max(d.Line, 1) - 1
	}
	return out
}

// setEnds finds where the lines of places end. A line is measured once, however
// many places are on it: a document may be one line. The place of an empty
// document may be behind the text: that is its end.
func setEnds(text []byte, places []Position) {
	order := make([]int, len(places))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int { return places[a].Line - places[b].Line })
	line, rest, measured, end := 1, text, 0, 0
	for _, i := range order {
		place := &places[i]
		for line < place.Line {
			next := bytes.IndexByte(rest, '\n')
			if next < 0 {
				place.Line, place.Column = line, 1+utf8.RuneCount(rest)
				break
			}
			line, rest = line+1, rest[next+1:]
		}
		if measured != line {
			row, _, _ := bytes.Cut(rest, []byte("\n"))
			measured, end = line, 1+characters(bytes.TrimRight(row, " \t\r"))
		}
		place.End = max(place.Column, end)
	}
}

// characters is utf8.RuneCount, quicker where all is plain: JSON is often one long line.
func characters(text []byte) int {
	if printable(text) {
		return len(text)
	}
	return utf8.RuneCount(text)
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

func locateYAML(text []byte, paths [][]string, block bool) []Position {
	out := make([]Position, len(paths))
	tree := wantedOf(paths)
	for i := range out {
		out[i] = Position{Line: 1, Column: 1}
	}
	if locateBlock(text, tree, block, func(node *wanted, line, column int) {
		node.each(func(i int) { out[i] = Position{Line: line, Column: column} })
	}) {
		return out
	}
	text = asLines(text)
	lines := linesOf(text)
	var root yaml.Node
	if err := yaml.Unmarshal(text, &root); err != nil || len(root.Content) == 0 {
		for i := range out {
			out[i] = Position{Line: 1, Column: 1}
		}
		return out
	}
	node := root.Content[0]
	for i := range out {
		out[i] = lines.place(node.Line, node.Column)
	}
	locateNodes(node, tree, func(at *yaml.Node, child *wanted) {
		place := lines.place(at.Line, at.Column)
		child.each(func(i int) { out[i] = place })
	})
	return out
}

// locateNodes finds the wanted fields below a node. Each wanted key of a mapping
// is the first of its name.
func locateNodes(node *yaml.Node, tree *wanted, found func(at *yaml.Node, child *wanted)) {
	for range maxAliasChain {
		if node.Kind != yaml.AliasNode || node.Alias == nil {
			break
		}
		node = node.Alias
	}
	if len(tree.children) == 0 {
		return
	}
	switch node.Kind {
	case yaml.MappingNode:
		seen := map[string]bool{}
		for i := 0; i+1 < len(node.Content); i += 2 {
			key := node.Content[i]
			if child := tree.child([]byte(key.Value)); child != nil && !seen[key.Value] {
				seen[key.Value] = true
				found(key, child)
				locateNodes(node.Content[i+1], child, found)
			}
		}
	case yaml.SequenceNode:
		for _, child := range tree.children {
			if n, err := strconv.Atoi(child.key); err == nil && n >= 0 && n < len(node.Content) {
				found(node.Content[n], child)
				locateNodes(node.Content[n], child, found)
			}
		}
	}
}

// An alias may stand for an alias; a text that has more of them in a row is
// none that people write.
const maxAliasChain = 16

// wanted is the tree of the paths to find in a text.
type wanted struct {
	key      string
	children []*wanted
	byKey    map[string]*wanted // the same, where they are many
	ends     []int              // the paths that end here
}

// fewWanted are found by looking at all.
const fewWanted = 8

func (w *wanted) child(key []byte) *wanted {
	if w.byKey != nil {
		return w.byKey[string(key)]
	}
	for _, child := range w.children {
		if child.key == string(key) {
			return child
		}
	}
	return nil
}

func (w *wanted) step(key string) *wanted {
	if known := w.child([]byte(key)); known != nil {
		return known
	}
	made := &wanted{key: key}
	w.children = append(w.children, made)
	switch {
	case w.byKey != nil:
		w.byKey[key] = made
	case len(w.children) > fewWanted:
		w.byKey = make(map[string]*wanted, 2*fewWanted)
		for _, child := range w.children {
			w.byKey[child.key] = child
		}
	}
	return made
}

func wantedOf(paths [][]string) *wanted {
	root := &wanted{}
	for i, keys := range paths {
		node := root
		for _, key := range keys {
			node = node.step(key)
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
	// Lines are counted on from one offset to the next: a text may have as many
	// places as lines.
	order := make([]int, len(offsets))
	for i := range order {
		order[i] = i
	}
	slices.SortFunc(order, func(a, b int) int { return offsets[a] - offsets[b] })
	out := make([]Position, len(paths))
	line, column, at := 1, 1, 0
	for _, i := range order {
		passed := text[at:offsets[i]]
		line += bytes.Count(passed, []byte("\n"))
		if last := bytes.LastIndexByte(passed, '\n'); last >= 0 {
			passed, column = passed[last+1:], 1
		}
		column += characters(passed)
		at = offsets[i]
		out[i] = Position{Line: line, Column: column}
	}
	return out
}

func findOffsets(dec *jsontext.Decoder, text []byte, node *wanted, offsets []int) error {
	if len(node.children) == 0 {
		return skip(dec)
	}
	kind := dec.PeekKind()
	if kind != '{' && kind != '[' {
		return skip(dec)
	}
	if _, err := dec.ReadToken(); err != nil {
		return err
	}
	for index := 0; dec.PeekKind() != '}' && dec.PeekKind() != ']'; index++ {
		var digits [20]byte
		at := start(text, int(dec.InputOffset()))
		key := strconv.AppendInt(digits[:0], int64(index), 10)
		if kind == '{' {
			quoted, err := dec.ReadValue()
			if err != nil {
				return err
			}
			if key, err = memberName(quoted); err != nil {
				return err
			}
		}
		child := node.child(key)
		if child == nil {
			if err := skip(dec); err != nil {
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
