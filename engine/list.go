package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
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
	items jsontext.Kind // what stands in "items": '[', 'n' or something else; 0 when nothing does
	spans []Span        // offsets are relative to the list's own text
}

// partial says why a list is not all there is. An API server gives a list in
// parts when it is asked with a limit, and says in each that more follow.
func (l listing) partial() string {
	switch {
	case l.metadata.RemainingItemCount != nil && *l.metadata.RemainingItemCount > 0:
		return fmt.Sprintf("this list is a part: %d more objects follow (metadata.remainingItemCount)", *l.metadata.RemainingItemCount)
	case l.metadata.Continue != "":
		return "this list is a part: more objects follow (metadata.continue)"
	default:
		return ""
	}
}

// wireKinds are what an API server answers with beside objects. They stand for
// objects that are not there to be judged.
var wireKinds = map[string]string{
	"v1/Status":                                "an API server's answer that it could not do what it was asked",
	"meta.k8s.io/v1/Table":                     "a table of objects, without their fields: ask for JSON or YAML",
	"meta.k8s.io/v1/PartialObjectMetadata":     "the metadata of an object, without its other fields",
	"meta.k8s.io/v1/PartialObjectMetadataList": "the metadata of objects, without their other fields",
}

// statusMessage is what a Status says.
func statusMessage(raw []byte) string {
	var status struct {
		Message string `json:"message"`
	}
	if json.Unmarshal(raw, &status) != nil || status.Message == "" {
		return ""
	}
	return ": " + status.Message
}

// named tells whether the kind says that it is a list.
func (l listing) named() bool { return strings.HasSuffix(l.kind, "List") }

// listItems reads a JSON value as a Kubernetes list, which an object may be. For kubectl any object with
// "items" is one, whatever its kind; a server's answer has a kind that says so.
func listItems(raw []byte) (found listing, err error) {
	if found, err = readListing(raw, (*listing).readItems); err != nil {
		return found, err
	}
	// Items of a typed list (PodList) carry no kind of their own, those of
	// kind List do.
	if kind := found.itemKind(); kind != "" {
		for i := range found.spans {
			found.spans[i].Kind, found.spans[i].API = kind, found.apiVersion
		}
	}
	return found, nil
}

// itemKind is the kind of a typed list's items; empty where the list does not say it.
func (l listing) itemKind() string { return strings.TrimSuffix(l.kind, "List") }

// readListing reads a JSON value as a Kubernetes list, its items by a function of the caller.
func readListing(raw []byte, readItems func(*listing, *jsontext.Decoder) error) (found listing, err error) {
	dec := jsontext.NewDecoder(bytes.NewBuffer(raw), trusted...)
	if dec.PeekKind() != '{' {
		_, err := dec.ReadValue()
		return found, err
	}
	if _, err = dec.ReadToken(); err != nil {
		return found, err
	}
	seen := map[string]bool{}
	for dec.PeekKind() != '}' {
		quoted, err := dec.ReadValue()
		if err != nil {
			return found, err
		}
		name, err := memberName(quoted)
		if err != nil {
			return found, err
		}
		// Converted at once: the decoder reuses its buffer.
		switch name := string(name); name {
		case "items", "kind", "apiVersion", "metadata":
			if seen[name] {
				return found, fmt.Errorf("duplicate object member name %q", name)
			}
			seen[name] = true
			if name == "items" {
				if err := readItems(&found, dec); err != nil {
					return found, err
				}
				continue
			}
			value, err := dec.ReadValue()
			if err != nil {
				return found, err
			}
			// A field of a wrong type leaves its zero value.
			switch name {
			case "kind":
				_ = json.Unmarshal(value, &found.kind)
			case "apiVersion":
				_ = json.Unmarshal(value, &found.apiVersion)
			default:
				_ = json.Unmarshal(value, &found.metadata)
			}
		default:
			if err := skip(dec); err != nil {
				return found, err
			}
		}
	}
	if _, err := dec.ReadToken(); err != nil {
		return found, err
	}
	// What follows may be objects that nobody would judge.
	if _, err := dec.ReadToken(); !errors.Is(err, io.EOF) {
		return found, errMore
	}
	return found, nil
}

func (l *listing) readItems(dec *jsontext.Decoder) error {
	if l.items = dec.PeekKind(); l.items != '[' {
		return skip(dec)
	}
	if _, err := dec.ReadToken(); err != nil {
		return err
	}
	for dec.PeekKind() != ']' {
		if len(l.spans) == maxItems {
			return errItems
		}
		value, err := dec.ReadValue()
		if err != nil {
			return err
		}
		end := int(dec.InputOffset())
		l.spans = append(l.spans, Span{Offset: end - len(value), Length: len(value), JSON: true})
	}
	_, err := dec.ReadToken()
	return err
}

// memberName is the name of an object's member, as it stands in JSON, without
// its quotation marks and escapes.
func memberName(quoted []byte) ([]byte, error) {
	plain := quoted[1 : len(quoted)-1]
	if bytes.IndexByte(plain, '\\') < 0 {
		return plain, nil
	}
	return jsontext.AppendUnquote(nil, quoted)
}

var (
	errNoList = errors.New("the answer is no Kubernetes list")
	errMore   = errors.New("something follows the list")
)
