package main

import (
	"bytes"
	"strconv"
)

// blockYAML reads the plain block style that kubectl, Helm and most people
// write: mappings and lists by indentation, one-line scalars, in ASCII. It gives
// up on everything else (flow collections, block scalars, anchors, tags, line
// continuations, scalars whose type is not obvious, duplicate keys, anything
// that may be an error), and the document then goes to the YAML library. What it
// does accept it reads as that library would, ten times as fast: the test holds
// the two against each other. Without it the scan of 500 documents of a
// repository takes a quarter more of the processor (bench/engines.py).
type blockYAML struct {
	text  []byte
	at    int // start of the current line
	line  int // of the current line, from 0
	end   int // of what peek looked at last, and that
	seen  blockLine
	from  int // where that begins; -1 for nothing
	json  []byte
	ok    bool
	depth int
	found func(node *wanted, line, column int) // for locate
	known bool                                 // the text was accepted before: what is not wanted is passed over
}

const (
	maxBlockDepth = 64
	maxBlockKeys  = 512  // of one mapping: each new key is compared with all before
	maxBlockKey   = 1000 // characters of a key: YAML takes 1,024 before its colon, if it is no "? " key
)

// blockToJSON converts a document, or gives up with ok false.
func blockToJSON(text []byte) (converted []byte, ok bool) {
	y := &blockYAML{text: text, ok: true, from: -1, json: make([]byte, 0, len(text))}
	y.document(nil)
	return y.json, y.ok
}

// locateBlock finds the places of wanted fields, or gives up with ok false. A known
// text is one that was converted before.
func locateBlock(text []byte, root *wanted, known bool, found func(node *wanted, line, column int)) bool {
	y := &blockYAML{text: text, ok: true, from: -1, found: found, known: known}
	y.document(root)
	return y.ok
}

// blockLine is one line that is not blank: its indentation, and what follows.
type blockLine struct {
	indent int
	body   []byte
}

// peek returns the next line that is not blank or a comment; ok is false at the
// end. It does not move past that line.
func (y *blockYAML) peek() (found blockLine, ok bool) {
	if y.from == y.at {
		return y.seen, true
	}
	for y.at < len(y.text) {
		end, indent, rest := y.here()
		body := bytes.TrimRight(rest, " ")
		if len(body) == 0 || body[0] == '#' {
			y.skip(end)
			continue
		}
		y.from, y.end, y.seen = y.at, end, blockLine{indent: indent, body: body}
		return y.seen, true
	}
	return blockLine{}, false
}

// here is the line at which y stands: where it ends, its indentation, and what follows that.
func (y *blockYAML) here() (end, indent int, rest []byte) {
	end = bytes.IndexByte(y.text[y.at:], '\n')
	if end < 0 {
		end = len(y.text)
	} else {
		end += y.at
	}
	rest = y.text[y.at:end]
	for indent < len(rest) && rest[indent] == ' ' {
		indent++
	}
	return end, indent, rest[indent:]
}

func (y *blockYAML) skip(end int) {
	y.at = end + 1
	y.line++
}

// next moves past the line that peek returned.
func (y *blockYAML) next() {
	y.at = min(y.end+1, len(y.text))
	y.line++
	if y.found != nil {
		y.json = y.json[:0] // nobody reads it
	}
}

// pass moves past the current line and the block below it, the items at its own
// indentation included where a mapping's key may have such.
func (y *blockYAML) pass(indent int, items bool) {
	y.next()
	for y.at < len(y.text) {
		end, at, rest := y.here()
		blank := len(rest) == 0 || rest[0] == '#'
		if !blank && at <= indent && (!items || at < indent || !isItem(rest)) {
			return
		}
		y.skip(end)
	}
}

// passes tells that nothing below a field is wanted, so that it need not be read again.
func (y *blockYAML) passes(child *wanted) bool {
	return y.known && (child == nil || len(child.children) == 0)
}

func (y *blockYAML) document(root *wanted) {
	if !y.known {
		for _, c := range y.text {
			if c != '\n' && (c < ' ' || c > '~') {
				y.ok = false
				return
			}
		}
	}
	first, ok := y.peek()
	if !ok || first.indent != 0 || bytes.HasPrefix(first.body, []byte("---")) {
		y.ok = false
		return
	}
	if root != nil {
		// What is not found has the place of the whole document.
		y.found(root, y.line+1, 1)
	}
	y.mapping(0, root)
	if _, more := y.peek(); more {
		y.ok = false
	}
}

// mapping reads the entries at this indentation, beginning with the current line.
func (y *blockYAML) mapping(indent int, node *wanted) {
	if y.depth++; y.depth > maxBlockDepth {
		y.ok = false
	}
	defer func() { y.depth-- }()
	y.json = append(y.json, '{')
	var names [][]byte
	for y.ok {
		line, more := y.peek()
		if !more || line.indent < indent {
			break
		}
		if line.indent > indent || isItem(line.body) {
			if line.indent == indent {
				break // the list that a key of the mapping around this one has
			}
			y.ok = false
			return
		}
		names = y.entry(indent, line.body, node, names)
	}
	y.json = append(y.json, '}')
}

// entry reads "key: value", which stands at column indent of the current line.
func (y *blockYAML) entry(indent int, body []byte, node *wanted, names [][]byte) [][]byte {
	name, rest, ok := blockKey(body)
	if !ok || len(body)-len(rest) > maxBlockKey || len(names) == maxBlockKeys {
		y.ok = false
		return names
	}
	for _, other := range names {
		if bytes.Equal(other, name) {
			y.ok = false
			return names
		}
	}
	if len(names) > 0 {
		y.json = append(y.json, ',')
	}
	y.json = append(append(append(y.json, '"'), name...), '"', ':')
	var child *wanted
	if node != nil {
		child = y.mark(node, string(bytes.ReplaceAll(name, []byte(`\"`), []byte(`"`))), indent)
	}
	if y.passes(child) {
		y.pass(indent, true)
	} else {
		y.value(indent, rest, child, true)
	}
	return append(names, name)
}

// mark tells where a wanted key or item stands.
func (y *blockYAML) mark(node *wanted, key string, indent int) *wanted {
	child := node.children[key]
	if child != nil {
		y.found(child, y.line+1, indent+1)
	}
	return child
}

// value reads what follows "key:" or "-" on the current line, or the block below
// it. inMapping says that a list may stand at the key's own indentation.
func (y *blockYAML) value(indent int, rest []byte, node *wanted, inMapping bool) {
	if rest = withoutComment(rest); len(rest) > 0 {
		y.next()
		y.scalar(rest)
		// A deeper line would continue the scalar.
		if line, more := y.peek(); more && line.indent > indent {
			y.ok = false
		}
		return
	}
	y.next()
	line, more := y.peek()
	switch {
	case more && line.indent > indent && isItem(line.body):
		y.list(line.indent, node)
	case more && line.indent > indent:
		y.mapping(line.indent, node)
	case more && inMapping && line.indent == indent && isItem(line.body):
		y.list(line.indent, node)
	default:
		y.json = append(y.json, "null"...)
	}
}

func isItem(body []byte) bool {
	return body[0] == '-' && (len(body) == 1 || body[1] == ' ')
}

// list reads the items at this indentation.
func (y *blockYAML) list(indent int, node *wanted) {
	if y.depth++; y.depth > maxBlockDepth {
		y.ok = false
	}
	defer func() { y.depth-- }()
	y.json = append(y.json, '[')
	for index := 0; y.ok; index++ {
		line, more := y.peek()
		if !more || line.indent < indent || line.indent == indent && !isItem(line.body) {
			break
		}
		if line.indent > indent {
			y.ok = false
			return
		}
		if index > 0 {
			y.json = append(y.json, ',')
		}
		y.item(indent, line.body, node, index)
	}
	y.json = append(y.json, ']')
}

// item reads "- value" or the first entry of a mapping, "- key: value".
func (y *blockYAML) item(indent int, body []byte, node *wanted, index int) {
	content := bytes.TrimLeft(body[1:], " ")
	column := indent + len(body) - len(content)
	var child *wanted
	if node != nil {
		child = y.mark(node, strconv.Itoa(index), column)
	}
	if y.passes(child) {
		y.pass(indent, false)
		return
	}
	if len(content) == 0 || content[0] == '#' || isItem(content) {
		y.ok = false
		return
	}
	if _, _, isKey := blockKey(content); !isKey {
		y.value(indent, content, child, false)
		return
	}
	y.json = append(y.json, '{')
	names := y.entry(column, content, child, nil)
	for y.ok {
		line, more := y.peek()
		if !more || line.indent < column {
			break
		}
		if line.indent > column || isItem(line.body) {
			y.ok = false
			return
		}
		names = y.entry(column, line.body, child, names)
	}
	y.json = append(y.json, '}')
}

// blockKey divides "key: value" when the key is certain to be a string: a plain
// word that begins with a letter and stands for no other type, or a quoted one.
// The name is as it stands between quotation marks in JSON.
func blockKey(body []byte) (name, rest []byte, ok bool) {
	if body[0] == '"' {
		return quotedKey(body)
	}
	if !isLetter(body[0]) && (body[0] != '.' || len(body) < 2 || body[1] != ':') {
		return nil, nil, false
	}
	end := 1
	for ; end < len(body); end++ {
		c := body[end]
		if c == ':' && (end+1 == len(body) || body[end+1] == ' ') {
			break
		}
		if !inKeys[c] {
			return nil, nil, false
		}
	}
	if end == len(body) || reserved(body[:end]) {
		return nil, nil, false
	}
	name = body[:end]
	if bytes.IndexByte(name, '"') >= 0 {
		name = bytes.ReplaceAll(name, []byte(`"`), []byte(`\"`))
	}
	return name, bytes.TrimLeft(body[end+1:], " "), true
}

// inKeys are the characters of keys that are not quoted.
var inKeys = func() (in [256]bool) {
	for c := range in {
		in[c] = isWord(byte(c)) || bytes.IndexByte([]byte(`./-:{}",=`), byte(c)) >= 0
	}
	return in
}()

// quotedKey takes no escape but that of the quotation mark, so that equal keys
// are written alike.
func quotedKey(body []byte) (name, rest []byte, ok bool) {
	for i := 1; i < len(body); i++ {
		switch body[i] {
		case '\\':
			i++
			if i == len(body) || body[i] != '"' {
				return nil, nil, false
			}
		case '"':
			if i+1 == len(body) || body[i+1] != ':' || i+2 < len(body) && body[i+2] != ' ' {
				return nil, nil, false
			}
			return body[1:i], bytes.TrimLeft(body[i+2:], " "), true
		}
	}
	return nil, nil, false
}

func isLetter(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' }
func isDigit(c byte) bool  { return c >= '0' && c <= '9' }
func isWord(c byte) bool   { return isLetter(c) || isDigit(c) || c == '_' }

// reserved words stand for booleans and null in YAML 1.1, in three spellings each.
func reserved(text []byte) bool {
	if len(text) > 5 {
		return false
	}
	var lower [5]byte
	for i, c := range text {
		if c >= 'A' && c <= 'Z' {
			c |= 0x20
		}
		lower[i] = c
	}
	switch string(lower[:len(text)]) {
	case "y", "n", "yes", "no", "on", "off", "true", "false", "null", "nan", "inf":
		return true
	}
	return false
}

// withoutComment cuts " # …" off a value that is not quoted. Quoted values are
// looked at by scalar.
func withoutComment(rest []byte) []byte {
	if len(rest) == 0 || rest[0] == '#' {
		return nil
	}
	if rest[0] == '"' || rest[0] == '\'' {
		return rest
	}
	if at := bytes.Index(rest, []byte(" #")); at >= 0 {
		rest = bytes.TrimRight(rest[:at], " ")
	}
	return rest
}

// scalar writes a one-line scalar as JSON, or gives up.
func (y *blockYAML) scalar(text []byte) {
	switch first := text[0]; {
	case first == '"':
		y.doubleQuoted(text)
	case first == '\'':
		y.singleQuoted(text)
	case isLetter(first) || first == '/' || first == '_':
		y.plain(text)
	case isDigit(first) || first == '-' && len(text) > 1 && isDigit(text[1]):
		y.number(text)
	case string(text) == "{}" || string(text) == "[]":
		y.json = append(y.json, text...)
	default:
		y.ok = false
	}
}

// plain is text that begins with a letter. A colon ends a key, so any but one
// inside a word (as in images) is left to the library.
func (y *blockYAML) plain(text []byte) {
	switch string(text) {
	case "true", "false", "null":
		y.json = append(y.json, text...)
		return
	}
	if reserved(text) || text[len(text)-1] == ':' || bytes.Contains(text, []byte(": ")) {
		y.ok = false
		return
	}
	y.quote(text)
}

// number is text that begins with a digit: a plain integer, a quantity such as
// 500m or 1Gi, or dotted numbers such as addresses and versions.
func (y *blockYAML) number(text []byte) {
	digits := text
	if digits[0] == '-' {
		digits = digits[1:]
	}
	end := 0
	for end < len(digits) && isDigit(digits[end]) {
		end++
	}
	switch {
	case end == len(digits):
		// Leading zeros mean octal.
		if len(digits) > 15 || len(digits) > 1 && digits[0] == '0' || string(text) == "-0" {
			y.ok = false
			return
		}
		y.json = append(y.json, text...)
	case text[0] != '-' && isUnit(digits[end:]), text[0] != '-' && isDotted(digits):
		y.quote(text)
	default:
		y.ok = false
	}
}

// isUnit: suffixes of quantities and durations that make no number of YAML.
func isUnit(suffix []byte) bool {
	switch string(suffix) {
	case "m", "k", "M", "G", "T", "P", "Ki", "Mi", "Gi", "Ti", "Pi", "s", "h", "d", "ms":
		return true
	}
	return false
}

// isDotted: at least two dots between digits, so no float.
func isDotted(text []byte) bool {
	dots := 0
	for i, c := range text {
		switch {
		case isDigit(c):
		case c == '.' && i > 0 && i+1 < len(text) && isDigit(text[i-1]) && isDigit(text[i+1]):
			dots++
		default:
			return false
		}
	}
	return dots >= 2
}

// doubleQuoted copies a string whose escapes mean the same in JSON. YAML 1.1 has
// no escape of the slash.
func (y *blockYAML) doubleQuoted(text []byte) {
	for i := 1; i < len(text); i++ {
		switch text[i] {
		case '\\':
			i++
			if i == len(text) || bytes.IndexByte([]byte(`"\nrtbf`), text[i]) < 0 {
				y.ok = false
				return
			}
		case '"':
			if !onlyComment(text[i+1:]) {
				y.ok = false
				return
			}
			y.json = append(y.json, text[:i+1]...)
			return
		}
	}
	y.ok = false
}

// singleQuoted has no escapes but two quotation marks for one.
func (y *blockYAML) singleQuoted(text []byte) {
	var plain []byte
	for i := 1; i < len(text); i++ {
		if text[i] != '\'' {
			plain = append(plain, text[i])
			continue
		}
		if i+1 < len(text) && text[i+1] == '\'' {
			plain = append(plain, '\'')
			i++
			continue
		}
		if !onlyComment(text[i+1:]) {
			break
		}
		y.quote(plain)
		return
	}
	y.ok = false
}

func onlyComment(rest []byte) bool {
	trimmed := bytes.TrimLeft(rest, " ")
	return len(trimmed) == 0 || trimmed[0] == '#' && len(trimmed) < len(rest)
}

// quote writes ASCII text as a JSON string.
func (y *blockYAML) quote(text []byte) {
	y.json = append(y.json, '"')
	for _, c := range text {
		if c == '"' || c == '\\' {
			y.json = append(y.json, '\\')
		}
		y.json = append(y.json, c)
	}
	y.json = append(y.json, '"')
}
