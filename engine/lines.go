package main

import (
	"bytes"
	"unicode/utf8"
)

// A file has as many lines as "\n" ends, for aksp as for editors, git and kubectl. For the YAML
// library a lone "\r", NEL (U+0085), U+2028 and U+2029 end lines as well.

// asLines is a YAML text as kubectl hands it to the library (apimachinery:
// LineReader): "\r\n" is "\n", and the last line ends, too. Without its end a block
// scalar would lack its last "\n".
func asLines(text []byte) []byte {
	if bytes.Contains(text, []byte("\r\n")) {
		text = bytes.ReplaceAll(text, []byte("\r\n"), []byte("\n"))
	}
	if len(text) > 0 && text[len(text)-1] != '\n' {
		text = append(text[:len(text):len(text)], '\n')
	}
	return text
}

// wideBreaks end lines of YAML 1.1, and are text in JSON.
var wideBreaks = [][]byte{[]byte("\u0085"), []byte("\u2028"), []byte("\u2029")}

func hasWideBreak(text []byte) bool {
	for _, end := range wideBreaks {
		if bytes.Contains(text, end) {
			return true
		}
	}
	return false
}

// afterBreak is where the first line of a text ends for the YAML library, its end
// included.
func afterBreak(text []byte) int {
	for at, c := range text {
		switch c {
		case '\n':
			return at + 1
		case '\r':
			if bytes.HasPrefix(text[at:], []byte("\r\n")) {
				return at + 2
			}
			return at + 1
		case '\xc2', '\xe2':
			for _, end := range wideBreaks {
				if bytes.HasPrefix(text[at:], end) {
					return at + len(end)
				}
			}
		}
	}
	return len(text)
}

// lineTable turns places of the YAML library into places in the file. It is nil where
// the two count lines alike.
type lineTable []Position

func linesOf(text []byte) lineTable {
	if bytes.IndexByte(text, '\r') < 0 && !hasWideBreak(text) {
		return nil
	}
	table := lineTable{{Line: 1, Column: 1}}
	for at := table[0]; len(text) > 0; table = append(table, at) {
		end := afterBreak(text)
		if text[end-1] == '\n' {
			at.Line, at.Column = at.Line+1, 1
		} else {
			at.Column += utf8.RuneCount(text[:end])
		}
		text = text[end:]
	}
	return table
}

// place is where the library's line and column are in the file.
func (t lineTable) place(line, column int) Position {
	if t == nil {
		return Position{Line: line, Column: column}
	}
	start := t[min(max(line, 1), len(t))-1]
	return Position{Line: start.Line, Column: start.Column + column - 1}
}
