package main

import (
	"bytes"
	"encoding/binary"
	"strconv"
	"sync"

	"github.com/go-json-experiment/json/jsontext"
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
	ok    bool
	depth int
	names [][]byte // of the mappings under way, as they stand between quotation marks in JSON

	// What becomes of what is read: JSON is written, values are made of what is
	// read of it, or places are found.
	writes bool
	json   []byte
	made   *values
	found  func(node *wanted, line, column int)
	known  bool // the text was accepted before: what is not wanted is passed over
}

const (
	maxBlockDepth = 64
	maxBlockKeys  = 512  // of one mapping: each new key is compared with all before
	maxBlockKey   = 1000 // characters of a key: YAML takes 1,024 before its colon, if it is no "? " key
)

// blockReaders keep their lists of names.
var blockReaders = sync.Pool{New: func() any { return &blockYAML{} }}

func newBlockReader(text []byte) *blockYAML {
	y := blockReaders.Get().(*blockYAML)
	*y = blockYAML{text: text, ok: true, from: -1, names: y.names[:0]}
	return y
}

// blockToJSON converts a document, or gives up with ok false.
func blockToJSON(text []byte) (converted []byte, ok bool) {
	y := newBlockReader(text)
	defer y.done()
	y.writes, y.json = true, make([]byte, 0, len(text))
	y.document(nil, nil)
	return y.json, y.ok
}

// blockToValue is parseJSON of what blockToJSON makes of a document, without the way
// over JSON.
func blockToValue(text []byte, reads *Reads, made *values) (object map[string]any, ok bool) {
	y := newBlockReader(text)
	defer y.done()
	y.made = made
	value := y.document(nil, reads)
	return value, y.ok
}

// locateBlock finds the places of wanted fields, or gives up with ok false. A known
// text is one that was converted before.
func locateBlock(text []byte, root *wanted, known bool, found func(node *wanted, line, column int)) bool {
	y := newBlockReader(text)
	defer y.done()
	y.found, y.known = found, known
	y.document(root, nil)
	return y.ok
}

func (y *blockYAML) done() {
	names := y.names[:cap(y.names)]
	clear(names)
	*y = blockYAML{names: names[:0]}
	blockReaders.Put(y)
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

func (y *blockYAML) document(root *wanted, reads *Reads) map[string]any {
	if !y.known && !printable(y.text) {
		y.ok = false
		return nil
	}
	first, ok := y.peek()
	if !ok || first.indent != 0 || isItem(first.body) || bytes.HasPrefix(first.body, []byte("---")) {
		y.ok = false
		return nil
	}
	if root != nil {
		// What is not found has the place of the whole document.
		y.found(root, y.line+1, 1)
	}
	object := y.mapping(0, first.body, root, reads)
	if _, more := y.peek(); more {
		y.ok = false
	}
	return object
}

// printable tells whether a text has nothing but printable ASCII and line ends. It
// looks at eight bytes at a time.
func printable(text []byte) bool {
	const (
		ones  = 0x0101010101010101
		highs = 0x80 * ones
		lows  = 0x7f * ones
	)
	for ; len(text) >= 8; text = text[8:] {
		word := binary.LittleEndian.Uint64(text)
		low := word & lows
		ends := ^((word^'\n'*ones)&lows + lows | word ^ '\n'*ones) & highs
		controls := ^(low + 0x60*ones) & highs
		if word&highs|controls&^ends|(low+ones)&highs != 0 {
			return false
		}
	}
	for _, c := range text {
		if c != '\n' && (c < ' ' || c > '~') {
			return false
		}
	}
	return true
}

func (y *blockYAML) write(text string) {
	if y.writes {
		y.json = append(y.json, text...)
	}
}

// deeper counts the mappings and lists under way.
func (y *blockYAML) deeper() {
	if y.depth++; y.depth > maxBlockDepth {
		y.ok = false
	}
}

// mapping reads the entries at a column, of which the first is what is left of the
// current line.
func (y *blockYAML) mapping(column int, body []byte, node *wanted, reads *Reads) map[string]any {
	y.deeper()
	y.write("{")
	names, before := len(y.names), y.made.begin()
	for y.ok {
		y.entry(column, body, node, reads, names)
		line, more := y.peek()
		if !more || line.indent < column {
			break
		}
		if line.indent > column || isItem(line.body) {
			y.ok = false
		}
		body = line.body
	}
	y.write("}")
	y.names = y.names[:names]
	y.depth--
	if reads == nil {
		return nil
	}
	return y.made.object(before)
}

// entry reads "key: value", which stands at a column of the current line. The names of
// the mapping's other entries begin at a number.
func (y *blockYAML) entry(column int, body []byte, node *wanted, reads *Reads, names int) {
	name, rest, ok := blockKey(body)
	if !ok || len(body)-len(rest) > maxBlockKey || len(y.names)-names == maxBlockKeys {
		y.ok = false
		return
	}
	for _, other := range y.names[names:] {
		if bytes.Equal(other, name) {
			y.ok = false
			return
		}
	}
	if y.writes {
		if len(y.names) > names {
			y.json = append(y.json, ',')
		}
		y.json = append(append(append(y.json, '"'), name...), '"', ':')
	}
	y.names = append(y.names, name)
	switch {
	case node != nil:
		if child := y.mark(node, unquoted(name), column); y.passes(child) {
			y.pass(column, true)
		} else {
			y.value(column, rest, child, nil, true)
		}
	case reads != nil:
		plain := unquoted(name)
		child := reads.child(plain)
		if child == nil {
			y.value(column, rest, nil, nil, true)
			return
		}
		at := y.made.member(plain, child)
		y.ok = y.ok && y.made.made <= maxKept
		value := y.value(column, rest, nil, child, true)
		y.made.entries[at].value = value
	default:
		y.value(column, rest, nil, nil, true)
	}
}

// unquoted is a name without the escapes that it has in JSON, which are those of
// quotation marks.
func unquoted(name []byte) []byte {
	if bytes.IndexByte(name, '\\') < 0 {
		return name
	}
	return bytes.ReplaceAll(name, []byte(`\"`), []byte(`"`))
}

// mark tells where a wanted key or item stands.
func (y *blockYAML) mark(node *wanted, key []byte, indent int) *wanted {
	child := node.child(key)
	if child != nil {
		y.found(child, y.line+1, indent+1)
	}
	return child
}

// value reads what follows "key:" or "-" on the current line, or the block below
// it. inMapping says that a list may stand at the key's own indentation.
func (y *blockYAML) value(indent int, rest []byte, node *wanted, reads *Reads, inMapping bool) any {
	if rest = withoutComment(rest); len(rest) > 0 {
		y.next()
		value := y.scalar(rest, reads != nil)
		// A deeper line would continue the scalar.
		if line, more := y.peek(); more && line.indent > indent {
			y.ok = false
		}
		return value
	}
	y.next()
	line, more := y.peek()
	switch {
	case more && (line.indent > indent || inMapping && line.indent == indent) && isItem(line.body):
		return y.list(line.indent, node, reads)
	case more && line.indent > indent:
		if object := y.mapping(line.indent, line.body, node, reads); object != nil {
			return object
		}
		return nil
	default:
		y.write("null")
		return y.made.null()
	}
}

func isItem(body []byte) bool {
	return body[0] == '-' && (len(body) == 1 || body[1] == ' ')
}

// list reads the items at this indentation.
func (y *blockYAML) list(indent int, node *wanted, reads *Reads) any {
	y.deeper()
	y.write("[")
	child, before := reads.each(), y.made.begin()
	for index := 0; y.ok; index++ {
		line, more := y.peek()
		if !more || line.indent < indent || line.indent == indent && !isItem(line.body) {
			break
		}
		if line.indent > indent {
			y.ok = false
			break
		}
		if index > 0 {
			y.write(",")
		}
		if value := y.item(indent, line.body, node, child, index); child != nil {
			y.made.item(value)
			y.ok = y.ok && y.made.made <= maxKept
		}
	}
	y.write("]")
	y.depth--
	if reads == nil {
		return nil
	}
	return y.made.list(before)
}

// item reads "- value" or the first entry of a mapping, "- key: value".
func (y *blockYAML) item(indent int, body []byte, node *wanted, reads *Reads, index int) any {
	content := bytes.TrimLeft(body[1:], " ")
	column := indent + len(body) - len(content)
	var child *wanted
	if node != nil {
		var digits [20]byte
		child = y.mark(node, strconv.AppendInt(digits[:0], int64(index), 10), column)
	}
	if y.passes(child) {
		y.pass(indent, false)
		return nil
	}
	if len(content) == 0 || content[0] == '#' || isItem(content) {
		y.ok = false
		return nil
	}
	if _, _, isKey := blockKey(content); !isKey {
		return y.value(indent, content, child, reads, false)
	}
	if object := y.mapping(column, content, child, reads); object != nil {
		return object
	}
	return nil
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

// scalar reads a one-line scalar, or gives up. Its value is made where it is kept.
func (y *blockYAML) scalar(text []byte, kept bool) any {
	switch first := text[0]; {
	case first == '"':
		return y.doubleQuoted(text, kept)
	case first == '\'':
		return y.singleQuoted(text, kept)
	case isLetter(first) || first == '/' || first == '_':
		return y.plain(text, kept)
	case isDigit(first) || first == '-' && len(text) > 1 && isDigit(text[1]):
		return y.number(text, kept)
	}
	switch string(text) {
	case "{}":
		y.write("{}")
		if kept {
			return map[string]any{}
		}
	case "[]":
		y.write("[]")
		if kept {
			return []any{}
		}
	default:
		y.ok = false
	}
	return nil
}

// plain is text that begins with a letter. A colon ends a key, so any but one
// inside a word (as in images) is left to the library.
func (y *blockYAML) plain(text []byte, kept bool) any {
	switch string(text) {
	case "true":
		y.write("true")
		return true
	case "false":
		y.write("false")
		return false
	case "null":
		y.write("null")
		return y.made.null()
	}
	if reserved(text) || text[len(text)-1] == ':' || bytes.Contains(text, []byte(": ")) {
		y.ok = false
		return nil
	}
	return y.str(text, kept)
}

// number is text that begins with a digit: a plain integer, a quantity such as
// 500m or 1Gi, or dotted numbers such as addresses and versions.
func (y *blockYAML) number(text []byte, kept bool) any {
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
			return nil
		}
		if y.writes {
			y.json = append(y.json, text...)
		}
		if kept {
			return y.made.number(text)
		}
		return nil
	case text[0] != '-' && isUnit(digits[end:]), text[0] != '-' && isDotted(digits):
		return y.str(text, kept)
	default:
		y.ok = false
		return nil
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

// doubleQuoted reads a string whose escapes mean the same in JSON. YAML 1.1 has
// no escape of the slash.
func (y *blockYAML) doubleQuoted(text []byte, kept bool) any {
	escaped := false
	for i := 1; i < len(text); i++ {
		switch text[i] {
		case '\\':
			i++
			if escaped = true; i == len(text) || bytes.IndexByte([]byte(`"\nrtbf`), text[i]) < 0 {
				y.ok = false
				return nil
			}
		case '"':
			if !onlyComment(text[i+1:]) {
				y.ok = false
				return nil
			}
			if y.writes {
				y.json = append(y.json, text[:i+1]...)
			}
			switch {
			case !kept:
				return nil
			case escaped:
				plain, err := jsontext.AppendUnquote(nil, text[:i+1])
				y.ok = y.ok && err == nil
				return string(plain)
			}
			return y.made.text(text[1:i])
		}
	}
	y.ok = false
	return nil
}

// singleQuoted has no escapes but two quotation marks for one.
func (y *blockYAML) singleQuoted(text []byte, kept bool) any {
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
		return y.str(plain, kept)
	}
	y.ok = false
	return nil
}

func onlyComment(rest []byte) bool {
	trimmed := bytes.TrimLeft(rest, " ")
	return len(trimmed) == 0 || trimmed[0] == '#' && len(trimmed) < len(rest)
}

// str is an ASCII text, written as a JSON string.
func (y *blockYAML) str(text []byte, kept bool) any {
	if y.writes {
		y.json = append(y.json, '"')
		for _, c := range text {
			if c == '"' || c == '\\' {
				y.json = append(y.json, '\\')
			}
			y.json = append(y.json, c)
		}
		y.json = append(y.json, '"')
	}
	if !kept {
		return nil
	}
	return y.made.text(text)
}
