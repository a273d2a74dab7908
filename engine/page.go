package main

import (
	"bytes"
	"errors"

	"github.com/go-json-experiment/json/jsontext"
)

// readPage reads one page of an API server's list.
func (e *Engine) readPage(reader documentReader, body []byte) (found listing, documents []*Document, problems []Problem, err error) {
	if found, documents, err = reader.readTyped(body); err == nil {
		return found, documents, nil, nil
	}
	if found, err = listItems(body); err != nil {
		return found, nil, nil, err
	}
	sources := make([]source, len(found.spans))
	for i, span := range found.spans {
		sources[i] = source{span: span, text: body[span.Offset : span.Offset+span.Length], depth: 1}
	}
	documents, problems = e.readAll(reader, sources)
	return found, documents, problems, nil
}

var errNotTyped = errors.New("the items of the list say themselves what they are, or come before its kind")

// readTyped reads a page as an API server writes it of built-in kinds: the list says what its items
// are, before them, and they do not. So each is parsed where it stands, and nothing is gone through
// twice. On any error the page is to be read thoroughly, which tells what is wrong.
func (r documentReader) readTyped(body []byte) (found listing, documents []*Document, err error) {
	defer func() {
		if recover() != nil { // see readSafely
			err = errNotTyped
		}
	}()
	found, err = readListing(body, func(l *listing, dec *jsontext.Decoder) error {
		if l.items = dec.PeekKind(); l.items != '[' || l.apiVersion == "" || !l.named() || l.itemKind() == "" {
			return errNotTyped
		}
		if _, err := dec.ReadToken(); err != nil {
			return err
		}
		kind := l.itemKind()
		reads := r.reads(l.apiVersion, kind)
		for dec.PeekKind() != ']' {
			if len(documents) == maxItems {
				return errItems
			}
			before := int(dec.InputOffset())
			begin := before + max(0, bytes.IndexByte(body[before:], '{'))
			made := newValues()
			value, err := made.decodeNext(dec, reads, false)
			if err == nil {
				if object, isObject := value.(map[string]any); isObject && object["kind"] == nil && object["apiVersion"] == nil {
					span := Span{Offset: begin, Length: int(dec.InputOffset()) - begin, JSON: true, Kind: kind, API: l.apiVersion}
					documents = append(documents, r.document(source{span: span}, object, made, l.apiVersion, kind, "", false))
				} else {
					err = errNotTyped
				}
			}
			made.done()
			if err != nil {
				return err
			}
		}
		_, err := dec.ReadToken()
		return err
	})
	return found, documents, err
}
