package main

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

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

// review is an AdmissionReview taken apart.
type review struct {
	Request
	hasRequest  bool
	object, old reviewedObject
	// What policies read of the request beside the object, which is the document;
	// nil when they read nothing of it.
	asked map[string]any
}

// reviewedObject is an object of a review: where its text stands, and what is read of
// it, decoded with the review. That is nil where the text tells first what is read.
type reviewedObject struct {
	Span
	object map[string]any
	made   *values
}

// readReview takes an AdmissionReview apart. What is malformed anywhere in it,
// or doubled where it is read, makes it unfit. To compare all other names, too,
// would take five times as long, and an API server writes none twice.
func (r documentReader) readReview(body []byte) (*review, error) {
	out := &review{}
	if r.trees.request != nil {
		out.asked = map[string]any{}
	}
	in := &reviewReader{reader: r, body: body, dec: jsontext.NewDecoder(bytes.NewBuffer(body), trusted...), texts: newValues()}
	defer in.texts.done()
	err := in.object("the body", func(name string) error {
		switch name {
		case "apiVersion":
			return in.text("", name, &out.APIVersion)
		case "kind":
			return in.text("", name, &out.Kind)
		case "request":
			out.hasRequest = in.dec.PeekKind() != 'n'
			if !out.hasRequest {
				return skip(in.dec)
			}
			return in.request(out)
		}
		return skip(in.dec)
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
func (r documentReader) readAsked(body []byte) (*review, error) {
	found, err := r.readReview(body)
	if err == nil && found.UID == "" {
		return nil, badReview("the AdmissionReview's request has no uid")
	}
	return found, err
}

type reviewReader struct {
	reader documentReader
	body   []byte
	dec    *jsontext.Decoder
	texts  *values
}

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
	var few [16]string
	seen, more := few[:0], map[string]bool(nil)
	for in.dec.PeekKind() != '}' {
		name, err := in.string()
		if err != nil {
			return err
		}
		if slices.Contains(seen, name) || more[name] {
			return badReview("%s has a duplicate field %q", what, name)
		}
		if len(seen) < len(few) {
			seen = append(seen, name)
		} else {
			if more == nil {
				more = map[string]bool{}
			}
			more[name] = true
		}
		if err := member(name); err != nil {
			return err
		}
	}
	_, err := in.dec.ReadToken()
	return err
}

func (in *reviewReader) text(what, name string, into *string) error {
	switch in.dec.PeekKind() {
	case 'n':
		return skip(in.dec)
	case '"':
		text, err := in.string()
		*into = text
		return err
	}
	value, err := in.dec.ReadValue()
	if err != nil {
		return err
	}
	return badReview("%s is %s, not a string", strings.TrimPrefix(what+"."+name, "."), kindName(value))
}

// string reads a name, or a value that is a string.
func (in *reviewReader) string() (string, error) {
	quoted, err := in.dec.ReadValue()
	if err != nil {
		return "", err
	}
	text, _ := in.texts.quoted(quoted).(string)
	return text, nil
}

// textField is a string field of an object, and where it goes.
type textField struct {
	name string
	into *string
}

// textsOf reads some string fields of an object that may be null.
func (in *reviewReader) textsOf(what string, fields ...textField) error {
	if in.dec.PeekKind() == 'n' {
		return skip(in.dec)
	}
	return in.object(what, func(name string) error {
		for _, one := range fields {
			if one.name == name {
				return in.text(what, name, one.into)
			}
		}
		return skip(in.dec)
	})
}

// document is an object of the review; it is empty for null. It is decoded at once
// where the request has told its kind before, as an API server does.
func (in *reviewReader) document(what string, of *Request) (reviewedObject, error) {
	r, apiVersion := in.reader, of.apiVersion()
	if in.dec.PeekKind() != '{' || of.KindName == "" || r.custom && isCustom(apiVersion, of.KindName) {
		span, err := in.span(what)
		return reviewedObject{Span: span}, err
	}
	before := in.dec.InputOffset()
	made := newValues()
	parsed, err := made.decodeNext(in.dec, r.reads(apiVersion, of.KindName), true)
	if err != nil {
		var malformed *jsontext.SyntacticError
		if !errors.As(err, &malformed) {
			err = badReview("%s: %s", what, jsonMessage(err))
		}
		return reviewedObject{}, err
	}
	span := in.since(before)
	return reviewedObject{Span: span, object: parsed.(map[string]any), made: made}, nil
}

// since is where the value stands that was read after the name that ended there.
func (in *reviewReader) since(before int64) Span {
	end := int(in.dec.InputOffset())
	text := bytes.TrimLeft(in.body[before:end], " \t\r\n:")
	return Span{Offset: end - len(text), Length: len(text), Line: 1, JSON: true}
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
	var read *Reads
	if out.asked != nil {
		read = in.reader.trees.request.child([]byte("request"))
	}
	return in.object("request", func(name string) error {
		before := in.dec.InputOffset()
		err := in.field(out, name)
		if err != nil || read == nil || slices.Contains(alwaysThere, name) {
			return err
		}
		child := read.child([]byte(name))
		if child == nil {
			return nil
		}
		span := in.since(before)
		value, err := parseOnce(in.body[span.Offset:span.Offset+span.Length], child)
		if err != nil {
			return badReview("the AdmissionReview cannot be read: %s", jsonMessage(err))
		}
		out.asked[name] = value
		return nil
	})
}

func (in *reviewReader) field(out *review, name string) (err error) {
	switch name {
	case "uid":
		return in.text("request", name, &out.UID)
	case "operation":
		return in.text("request", name, &out.Operation)
	case "subResource":
		return in.text("request", name, &out.SubResource)
	case "namespace":
		return in.text("request", name, &out.Namespace)
	case "name":
		return in.text("request", name, &out.Name)
	case "kind":
		return in.textsOf("request.kind", textField{"group", &out.Group}, textField{"version", &out.Version}, textField{"kind", &out.KindName})
	case "resource":
		return in.textsOf("request.resource", textField{"resource", &out.Resource})
	case "userInfo":
		return in.textsOf("request.userInfo", textField{"username", &out.User})
	case "dryRun":
		value, err := in.dec.ReadValue()
		out.DryRun = err == nil && value.Kind() == 't'
		return err
	case "object":
		out.object, err = in.document("request.object", &out.Request)
		out.HasObject = out.object.Length > 0
		return err
	case "oldObject":
		out.old, err = in.document("request.oldObject", &out.Request)
		out.HasOldObject = out.old.Length > 0
		return err
	}
	return skip(in.dec)
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
	if !found.HasObject {
		return nil, nil
	}
	for _, old := range []bool{false, true} {
		from, what := &found.object, "request.object"
		if old {
			from, what = &found.old, "request.oldObject"
		}
		if from.Length == 0 {
			continue
		}
		from.API, from.Kind = found.apiVersion(), found.KindName
		one := r.readReviewed(source{span: from.Span, text: body[from.Offset : from.Offset+from.Length]}, from)
		if len(one.problems) > 0 {
			// What cannot be read cannot be judged, and must not pass for having been.
			return nil, badReview("%s: %s", what, one.problems[0].Message)
		}
		for _, document := range one.documents {
			document.Old = old
			if !old {
				// What was there before, and the Pods of templates, nobody asks for.
				document.request = found.asked
			}
			documents = append(documents, document)
		}
	}
	return documents, nil
}

// readReviewed is what was decoded with the review, if it is of the kind that the
// request says, and so of that by which it was decoded.
func (r documentReader) readReviewed(s source, from *reviewedObject) loadedSource {
	if from.made == nil {
		return r.readSafely(s)
	}
	defer from.made.done()
	apiVersion, kind, _, err := identify(s.text)
	if err != nil || cmp.Or(apiVersion, s.span.API) != s.span.API || cmp.Or(kind, s.span.Kind) != s.span.Kind || s.span.API == "" {
		return r.readSafely(s)
	}
	return loadedSource{documents: []*Document{r.document(s, from.object, from.made, s.span.API, s.span.Kind, "", false)}}
}

// inReview is the object of an AdmissionReview among manifests, at its place in
// the file. It is judged as at admission: the API server has set its defaults.
func (r documentReader) inReview(s source, raw []byte, item string) ([]*Document, error) {
	found, err := r.readReview(raw)
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
