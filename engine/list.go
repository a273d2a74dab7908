package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// listing is a Kubernetes list: its metadata, and where its items are.
type listing struct {
	apiVersion, kind string
	metadata         struct {
		Continue           string `json:"continue"`
		ResourceVersion    string `json:"resourceVersion"`
		RemainingItemCount *int64 `json:"remainingItemCount"`
	}
	spans []Span // offsets are relative to the list's own text
}

// listItems reads a JSON object as a Kubernetes list. ok is false when it is
// none: a list is what has "items" and a kind that ends in "List".
func listItems(raw []byte) (found listing, ok bool, err error) {
	dec := jsontext.NewDecoder(bytes.NewBuffer(raw), trusted...)
	if _, err = dec.ReadToken(); err != nil {
		return found, false, err
	}
	hasItems := false
	for dec.PeekKind() != '}' {
		nameValue, err := dec.ReadValue()
		if err != nil {
			return found, false, err
		}
		// Copied at once: the decoder reuses its buffer.
		switch name := string(nameValue); name {
		case `"items"`:
			if dec.PeekKind() != '[' {
				if err := dec.SkipValue(); err != nil {
					return found, false, err
				}
				continue
			}
			hasItems = true
			if _, err := dec.ReadToken(); err != nil {
				return found, false, err
			}
			for dec.PeekKind() != ']' {
				value, err := dec.ReadValue()
				if err != nil {
					return found, false, err
				}
				end := int(dec.InputOffset())
				found.spans = append(found.spans, Span{Offset: end - len(value), Length: len(value), JSON: true})
			}
			if _, err := dec.ReadToken(); err != nil {
				return found, false, err
			}
		case `"kind"`, `"apiVersion"`, `"metadata"`:
			value, err := dec.ReadValue()
			if err != nil {
				return found, false, err
			}
			// A field of a wrong type leaves its zero value: then this is no list.
			switch name {
			case `"kind"`:
				_ = json.Unmarshal(value, &found.kind)
			case `"apiVersion"`:
				_ = json.Unmarshal(value, &found.apiVersion)
			default:
				_ = json.Unmarshal(value, &found.metadata)
			}
		default:
			if err := dec.SkipValue(); err != nil {
				return found, false, err
			}
		}
	}
	if _, err := dec.ReadToken(); err != nil {
		return found, false, err
	}
	if !hasItems || !strings.HasSuffix(found.kind, "List") {
		return found, false, nil
	}
	// Items of a typed list (PodList) carry no kind of their own, those of
	// kind List do.
	if itemKind := strings.TrimSuffix(found.kind, "List"); itemKind != "" {
		for i := range found.spans {
			found.spans[i].Kind, found.spans[i].API = itemKind, found.apiVersion
		}
	}
	return found, true, nil
}

var errNoList = errors.New("the answer is no Kubernetes list")
