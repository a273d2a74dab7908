package main

import (
	"bytes"
	"fmt"

	"github.com/go-json-experiment/json/jsontext"
)

// parseJSON decodes one JSON value, keeping only what reads names. A value of
// another shape than the tree expects keeps its type (an array stays an
// array), so that rules see wrong types as wrong types.
func parseJSON(raw []byte, reads *Reads, options ...jsontext.Options) (any, error) {
	made := newValues()
	defer made.done()
	return made.decode(raw, reads, false, options...)
}

// parseOnce is parseJSON of what comes from an API server, but for names that
// are read and stand there twice: to look only at those costs nothing.
func parseOnce(raw []byte, reads *Reads) (any, error) {
	made := newValues()
	defer made.done()
	return made.decode(raw, reads, true, trusted...)
}

// Documents written by people are checked as strictly as kubectl does; lists
// from an API server were encoded by it and need no second check.
var trusted = []jsontext.Options{jsontext.AllowDuplicateNames(true), jsontext.AllowInvalidUTF8(true)}

func (v *values) decode(raw []byte, reads *Reads, once bool, options ...jsontext.Options) (any, error) {
	return v.decodeNext(jsontext.NewDecoder(bytes.NewBuffer(raw), options...), reads, once)
}

func (v *values) decodeNext(dec *jsontext.Decoder, reads *Reads, once bool) (any, error) {
	if v.made > maxKept {
		return nil, errKept
	}
	switch dec.PeekKind() {
	case '{':
		if reads.empty() {
			return map[string]any{}, skip(dec)
		}
		if _, err := dec.ReadToken(); err != nil {
			return nil, err
		}
		before := v.begin()
		for dec.PeekKind() != '}' {
			quoted, err := dec.ReadValue()
			if err != nil {
				return nil, err
			}
			name, err := memberName(quoted)
			if err != nil {
				return nil, err
			}
			child := reads.child(name)
			if child == nil {
				// Nothing is allocated for names that nobody reads.
				if err := skip(dec); err != nil {
					return nil, err
				}
				continue
			}
			at := v.member(name, child)
			value, err := v.decodeNext(dec, child, once)
			if err != nil {
				return nil, err
			}
			v.entries[at].value = value
		}
		members := len(v.entries) - before
		object := v.object(before)
		if once && len(object) < members {
			return nil, fmt.Errorf("duplicate object member name %q", v.twice(before, members))
		}
		_, err := dec.ReadToken()
		return object, err
	case '[':
		if _, err := dec.ReadToken(); err != nil {
			return nil, err
		}
		child, before := reads.each(), v.begin()
		for dec.PeekKind() != ']' {
			if child == nil {
				if err := skip(dec); err != nil {
					return nil, err
				}
				continue
			}
			value, err := v.decodeNext(dec, child, once)
			if err != nil {
				return nil, err
			}
			v.item(value)
		}
		_, err := dec.ReadToken()
		return v.list(before), err
	}
	value, err := dec.ReadValue()
	if err != nil {
		return nil, err
	}
	switch value.Kind() {
	case 'n':
		return v.null(), nil
	case 't', 'f':
		return value[0] == 't', nil
	case '"':
		return v.quoted(value), nil
	case '0':
		return v.number(value), nil
	}
	return nil, fmt.Errorf("unexpected %s", value.Kind())
}

// skip passes over a value, which is at hand as a whole: the decoder's own SkipValue goes
// token by token, and takes longer. What is wrong is told in the words of that.
func skip(dec *jsontext.Decoder) error {
	if _, err := dec.ReadValue(); err != nil {
		return dec.SkipValue()
	}
	return nil
}

// quoted is the text that a JSON string stands for.
func (v *values) quoted(value jsontext.Value) any {
	if text := value[1 : len(value)-1]; printable(text) && bytes.IndexByte(text, '\\') < 0 {
		return v.text(text)
	}
	// The error is text that is no UTF-8, which has been allowed: its place is taken.
	text, _ := jsontext.AppendUnquote(nil, value)
	return string(text)
}

// twice is the first name that stands twice among entries that were made.
func (v *values) twice(begin, members int) string {
	seen := map[string]bool{}
	for _, one := range v.entries[begin : begin+members] {
		if seen[one.key] {
			return one.key
		}
		seen[one.key] = true
	}
	return ""
}
