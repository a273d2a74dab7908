package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"

	"github.com/go-json-experiment/json/jsontext"
)

// Request is what an AdmissionReview says besides its objects.
type Request struct {
	APIVersion   string `json:"apiVersion"` // of the review
	Kind         string `json:"kind"`
	UID          string `json:"uid"`
	Operation    string `json:"operation"`
	Group        string `json:"group"` // of the object, as version and kindName
	Version      string `json:"version"`
	KindName     string `json:"kindName"`
	Resource     string `json:"resource"` // the plural
	SubResource  string `json:"subResource"`
	Namespace    string `json:"namespace"`
	Name         string `json:"name"`
	User         string `json:"user"`
	DryRun       bool   `json:"dryRun"`
	HasObject    bool   `json:"hasObject"`
	HasOldObject bool   `json:"hasOldObject"`
}

// apiVersion is the object's, which its own text should say too.
func (r *Request) apiVersion() string {
	if r.Group == "" {
		return r.Version
	}
	return r.Group + "/" + r.Version
}

// reviewVersion is the one version of AdmissionReview that API servers send to
// a webhook that names no older one.
const reviewVersion = "admission.k8s.io/v1"

func badReview(format string, arguments ...any) error {
	return &codedError{code: "BadReview", message: fmt.Sprintf(format, arguments...)}
}

// review is an AdmissionReview taken apart: its objects are still text.
type review struct {
	Request
	hasRequest  bool
	object, old Span
}

// readReview takes an AdmissionReview apart. What is malformed anywhere in it,
// or doubled where it is read, makes it unfit. To compare all other names, too,
// would take five times as long, and an API server writes none twice.
func readReview(body []byte) (*review, error) {
	out := &review{}
	in := &reviewReader{dec: jsontext.NewDecoder(bytes.NewBuffer(body), trusted...)}
	err := in.object("the body", func(name string) error {
		switch name {
		case "apiVersion":
			return in.text(name, &out.APIVersion)
		case "kind":
			return in.text(name, &out.Kind)
		case "request":
			out.hasRequest = in.dec.PeekKind() != 'n'
			if !out.hasRequest {
				return in.dec.SkipValue()
			}
			return in.request(out)
		}
		return in.dec.SkipValue()
	})
	if err == nil {
		if _, end := in.dec.ReadToken(); end != io.EOF {
			err = errors.New("something follows the review")
			if end != nil {
				err = end
			}
		}
	}
	var bad *codedError
	switch {
	case errors.As(err, &bad):
		return nil, err
	case err != nil:
		return nil, badReview("the body is no AdmissionReview: %s", jsonMessage(err))
	case out.Kind != "AdmissionReview":
		return nil, badReview("the body is no AdmissionReview: its kind is %q", out.Kind)
	case out.APIVersion != reviewVersion:
		return nil, badReview("the AdmissionReview has the version %q, not %q", out.APIVersion, reviewVersion)
	case !out.hasRequest:
		return nil, badReview("the AdmissionReview has no request")
	}
	return out, nil
}

// readAsked is readReview for a review that somebody waits for an answer to.
func readAsked(body []byte) (*review, error) {
	found, err := readReview(body)
	if err == nil && found.UID == "" {
		return nil, badReview("the AdmissionReview's request has no uid")
	}
	return found, err
}

type reviewReader struct{ dec *jsontext.Decoder }

// object calls member for each field of an object; it must read the value.
func (in *reviewReader) object(what string, member func(name string) error) error {
	if in.dec.PeekKind() != '{' {
		value, err := in.dec.ReadValue()
		if err != nil {
			return err
		}
		return badReview("%s is %s, not an object", what, kindName(value))
	}
	if _, err := in.dec.ReadToken(); err != nil {
		return err
	}
	seen := map[string]bool{}
	for in.dec.PeekKind() != '}' {
		token, err := in.dec.ReadToken()
		if err != nil {
			return err
		}
		name := token.String()
		if seen[name] {
			return badReview("%s has a duplicate field %q", what, name)
		}
		seen[name] = true
		if err := member(name); err != nil {
			return err
		}
	}
	_, err := in.dec.ReadToken()
	return err
}

func (in *reviewReader) text(what string, into *string) error {
	switch in.dec.PeekKind() {
	case 'n':
		return in.dec.SkipValue()
	case '"':
		token, err := in.dec.ReadToken()
		if err == nil {
			*into = token.String()
		}
		return err
	}
	value, err := in.dec.ReadValue()
	if err != nil {
		return err
	}
	return badReview("%s is %s, not a string", what, kindName(value))
}

// texts reads some string fields of an object that may be null.
func (in *reviewReader) texts(what string, fields map[string]*string) error {
	if in.dec.PeekKind() == 'n' {
		return in.dec.SkipValue()
	}
	return in.object(what, func(name string) error {
		if into := fields[name]; into != nil {
			return in.text(what+"."+name, into)
		}
		return in.dec.SkipValue()
	})
}

// span is where an object's text stands; it is empty for null.
func (in *reviewReader) span(what string) (Span, error) {
	value, err := in.dec.ReadValue()
	if err != nil || value.Kind() == 'n' {
		return Span{}, err
	}
	if value.Kind() != '{' {
		return Span{}, badReview("%s is %s, not an object", what, kindName(value))
	}
	end := int(in.dec.InputOffset())
	return Span{Offset: end - len(value), Length: len(value), Line: 1, JSON: true}, nil
}

func (in *reviewReader) request(out *review) error {
	return in.object("request", func(name string) (err error) {
		what := "request." + name
		switch name {
		case "uid":
			return in.text(what, &out.UID)
		case "operation":
			return in.text(what, &out.Operation)
		case "subResource":
			return in.text(what, &out.SubResource)
		case "namespace":
			return in.text(what, &out.Namespace)
		case "name":
			return in.text(what, &out.Name)
		case "kind":
			return in.texts(what, map[string]*string{"group": &out.Group, "version": &out.Version, "kind": &out.KindName})
		case "resource":
			return in.texts(what, map[string]*string{"resource": &out.Resource})
		case "userInfo":
			return in.texts(what, map[string]*string{"username": &out.User})
		case "dryRun":
			value, err := in.dec.ReadValue()
			out.DryRun = err == nil && value.Kind() == 't'
			return err
		case "object":
			out.object, err = in.span(what)
			out.HasObject = out.object.Length > 0
			return err
		case "oldObject":
			out.old, err = in.span(what)
			out.HasOldObject = out.old.Length > 0
			return err
		}
		return in.dec.SkipValue()
	})
}

func kindName(value jsontext.Value) string {
	switch value.Kind() {
	case 'n':
		return typeName(nil)
	case 't', 'f':
		return typeName(true)
	case '"':
		return typeName("")
	case '0':
		return typeName(json.Number(""))
	case '[':
		return typeName([]any{})
	}
	return typeName(map[string]any{})
}

// reviewed are the documents of a review: its object, and of an update also
// what was there before. When an object goes there is nothing to judge.
func (r documentReader) reviewed(body []byte, found *review) ([]*Document, error) {
	var documents []*Document
	var err error
	if !found.HasObject {
		return nil, nil
	}
	for _, old := range []bool{false, true} {
		span, what := found.object, "request.object"
		if old {
			span, what = found.old, "request.oldObject"
		}
		if span.Length == 0 {
			continue
		}
		span.API, span.Kind = found.apiVersion(), found.KindName
		one := r.readSafely(source{span: span, text: body[span.Offset : span.Offset+span.Length]})
		if len(one.problems) > 0 {
			// What cannot be read cannot be judged, and must not pass for having been.
			return nil, badReview("%s: %s", what, one.problems[0].Message)
		}
		for _, document := range one.documents {
			document.Old = old
			if !old {
				if document.request, err = r.asked(body); err != nil {
					return nil, err
				}
			}
			documents = append(documents, document)
		}
	}
	return documents, nil
}

// inReview is the object of an AdmissionReview among manifests, at its place in
// the file. It is judged as at admission: the API server has set its defaults.
func (r documentReader) inReview(s source, raw []byte, item string) ([]*Document, error) {
	found, err := readReview(raw)
	if err != nil {
		return nil, err
	}
	if found.Operation != "CREATE" && found.Operation != "UPDATE" || !found.HasObject {
		return nil, badReview("the AdmissionReview is of operation %q, and only a CREATE or an UPDATE with an object is judged", found.Operation)
	}
	within := r
	within.manifests, within.options, within.request = false, trusted, &found.Request
	documents, err := within.reviewed(raw, found)
	if err != nil {
		return nil, err
	}
	documents = slices.DeleteFunc(documents, func(d *Document) bool { return d.Old })
	for _, d := range documents {
		d.Part, d.Reviewed = s.part, true
		if s.span.JSON {
			d.Line = s.span.Line + bytes.Count(raw[:found.object.Offset], []byte("\n"))
			d.Offset, d.Length = s.span.Offset+found.object.Offset, found.object.Length
			continue
		}
		d.Offset, d.Length, d.Line, d.JSON, d.Item = s.span.Offset, s.span.Length, s.span.Line, false, item+"request.object."
	}
	return documents, nil
}

// asked is what policies read of the request beside the object, which is the
// document. What was there before, and the Pods of templates, nobody asks for.
func (r documentReader) asked(body []byte) (map[string]any, error) {
	if r.trees.request == nil {
		return nil, nil
	}
	parsed, err := parseOnce(body, r.trees.request)
	if err != nil {
		return nil, badReview("the AdmissionReview cannot be read: %s", jsonMessage(err))
	}
	review, _ := parsed.(map[string]any)
	request, _ := review["request"].(map[string]any)
	for _, field := range alwaysThere {
		delete(request, field)
	}
	return request, nil
}

// settleReviewed gives a document the name and the namespace of its request,
// where it says none itself. Of a Namespace, the request calls its name its
// namespace; the object lies in none.
func (d *Document) settleReviewed(found *Request) {
	if d.Name == "" {
		d.Name = found.Name
	}
	isNamespace := d.Kind == "Namespace" && groupOf(d.APIVersion) == ""
	switch {
	case d.Namespace == "" && !isNamespace:
		d.Namespace = found.Namespace
	case d.Namespace != "" && found.Namespace != "" && d.Namespace != found.Namespace:
		// An API server sends no such review, and nobody can tell where the object lies.
		d.problem("metadata.namespace", "%s is not the namespace of the request")
	}
}
