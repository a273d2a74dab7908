package main

import (
	"bytes"
	"fmt"
	"slices"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// Batch is a set of parsed documents, kept from load to release.
type Batch struct {
	documents []*Document
	reads     *Reads // what policies read when it was loaded: more was not kept
}

type loadRequest struct {
	Batch  string `json:"batch"`
	Format string `json:"format"` // "list": one page of an API server; "files"
	// WholeKinds (as "group/kind") are kept entire, for the inventory.
	WholeKinds []string `json:"wholeKinds"`
	// Namespace is where documents of files lie that name none.
	Namespace string `json:"namespace"`
	Parts     []Part `json:"parts"`
}

// Part is one file, or one cut of a large file, within the body.
type Part struct {
	Length int    `json:"length"`
	Items  bool   `json:"items"` // elements of a JSON list, divided by commas
	Kind   string `json:"kind"`  // of such elements, where they have none
	API    string `json:"apiVersion"`
	Line   int    `json:"line"` // of the part's first byte in its file
}

type loadAnswer struct {
	Documents       []*Document `json:"documents"`
	Problems        []Problem   `json:"problems"`
	Continue        string      `json:"continue,omitempty"`
	ResourceVersion string      `json:"resourceVersion,omitempty"`
}

// source is one document's text before it is parsed.
type source struct {
	span Span
	part int
	text []byte
}

func (e *Engine) load(r loadRequest, body []byte) (any, error) {
	answer := loadAnswer{Documents: []*Document{}, Problems: []Problem{}}
	var sources []source
	switch r.Format {
	case "list":
		found, ok, err := listItems(body)
		if err != nil {
			return nil, fmt.Errorf("%w: %s", errNoList, jsonMessage(err))
		}
		if !ok {
			return nil, errNoList
		}
		answer.Continue, answer.ResourceVersion = found.metadata.Continue, found.metadata.ResourceVersion
		for _, span := range found.spans {
			sources = append(sources, source{span: span, text: body[span.Offset : span.Offset+span.Length]})
		}
	case "files":
		var err error
		if sources, answer.Problems, err = partSources(r.Parts, body); err != nil {
			return nil, err
		}
	default:
		return nil, fmt.Errorf("unknown format %q", r.Format)
	}

	reader := e.reader(r)
	loaded := make([]loadedSource, len(sources))
	e.parallel(len(sources), func(i int) {
		loaded[i] = reader.readSafely(sources[i])
	})
	batch := &Batch{reads: reader.policies}
	for _, one := range loaded {
		answer.Problems = append(answer.Problems, one.problems...)
		for _, document := range one.documents {
			index := len(batch.documents)
			batch.documents = append(batch.documents, document)
			if path := templatePath(document.APIVersion, document.Kind); reader.manifests && path != nil {
				pod := document.template(path)
				pod.Parent = &index
				applyDefaults(pod.APIVersion, pod.Kind, pod.object)
				batch.documents = append(batch.documents, pod)
			}
		}
	}
	answer.Documents = append(answer.Documents, batch.documents...)
	e.mu.Lock()
	defer e.mu.Unlock()
	if _, taken := e.batches[r.Batch]; taken {
		return nil, fmt.Errorf("batch %q is loaded already", r.Batch)
	}
	e.batches[r.Batch] = batch
	return answer, nil
}

func partSources(parts []Part, body []byte) (sources []source, problems []Problem, err error) {
	problems = []Problem{}
	at := 0
	for i, part := range parts {
		if part.Length < 0 || at+part.Length > len(body) {
			return nil, nil, fmt.Errorf("part %d reaches past the body", i)
		}
		text := body[at : at+part.Length]
		at += part.Length
		spans, found := partSpans(part, text)
		first := max(part.Line, 1) - 1
		for _, problem := range found {
			problem.Part, problem.Line = i, problem.Line+first
			problems = append(problems, problem)
		}
		for _, span := range spans {
			raw := text[span.Offset : span.Offset+span.Length]
			span.Line += first
			sources = append(sources, source{span: span, part: i, text: raw})
		}
	}
	return sources, problems, nil
}

func partSpans(part Part, text []byte) ([]Span, []Problem) {
	if !part.Items {
		return splitFile(text)
	}
	var spans []Span
	dec := jsontext.NewDecoder(bytes.NewBuffer(append(append([]byte("["), text...), ']')), trusted...)
	if _, err := dec.ReadToken(); err != nil {
		return nil, []Problem{{Line: 1, Message: jsonMessage(err)}}
	}
	line, counted := 1, 0
	for dec.PeekKind() != ']' {
		value, err := dec.ReadValue()
		if err != nil {
			return spans, []Problem{{Line: line, Message: jsonMessage(err)}}
		}
		offset := int(dec.InputOffset()) - len(value) - 1
		line += bytes.Count(text[counted:offset], []byte("\n"))
		counted = offset
		spans = append(spans, Span{Offset: offset, Length: len(value), Line: line, JSON: true, Kind: part.Kind, API: part.API})
	}
	if _, err := dec.ReadToken(); err != nil || int(dec.InputOffset()) != len(text)+2 {
		return spans, []Problem{{Line: line, Message: "invalid JSON: the list ends before the part does"}}
	}
	return spans, nil
}

// documentReader parses sources of one load, with the trees to parse along
// made once for each kind.
type documentReader struct {
	manifests bool
	namespace string
	options   []jsontext.Options
	policies  *Reads
	reads     func(apiVersion, kind string) *Reads
}

func (e *Engine) reader(r loadRequest) documentReader {
	reader := documentReader{manifests: r.Format == "files", namespace: r.Namespace}
	if !reader.manifests {
		reader.options = trusted
	}
	e.mu.Lock()
	policies := newReads()
	policies.merge(e.reads)
	e.mu.Unlock()
	reader.policies = policies.settle()
	plain := readsFor(policies, "", "", reader.manifests)
	workloads := map[string]*Reads{}
	if reader.manifests {
		for key := range templatePaths {
			apiGroup, kind, _ := strings.Cut(key, "/")
			workloads[key] = readsFor(policies, apiGroup+"/v1", kind, true)
		}
	}
	reader.reads = func(apiVersion, kind string) *Reads {
		key := groupOf(apiVersion) + "/" + kind
		if slices.Contains(r.WholeKinds, key) {
			return everything()
		}
		if reads := workloads[key]; reads != nil {
			return reads
		}
		return plain
	}
	return reader
}

type loadedSource struct {
	documents []*Document
	problems  []Problem
}

// readSafely turns a panic in a parser into a problem of that document: one
// document that no parser was ready for must not take the others with it.
func (r documentReader) readSafely(s source) (out loadedSource) {
	defer func() {
		if p := recover(); p != nil {
			out = loadedSource{problems: []Problem{{Part: s.part, Line: s.span.Line, Message: fmt.Sprintf("cannot be read: %v", p)}}}
		}
	}()
	return r.read(s)
}

func (r documentReader) read(s source) loadedSource {
	raw, problem := toJSON(s.text, s.span)
	if problem != nil {
		problem.Part = s.part
		return loadedSource{problems: []Problem{*problem}}
	}
	return r.readJSON(s, raw, "", 0)
}

const maxListDepth = 8

func (r documentReader) readJSON(s source, raw []byte, item string, depth int) loadedSource {
	fail := func(message string) loadedSource {
		return loadedSource{problems: []Problem{{Part: s.part, Line: s.span.Line, Message: message}}}
	}
	invalid := func(err error) loadedSource {
		out := fail(jsonMessage(err))
		if s.span.JSON {
			out.problems[0].Line += jsonLine(raw, err) - 1
		}
		return out
	}
	apiVersion, kind, isObject, err := identify(raw)
	if err != nil {
		return invalid(err)
	}
	if string(bytes.TrimSpace(raw)) == "null" {
		return loadedSource{} // an empty document, which kubectl passes over too
	}
	if !isObject {
		return fail("not a Kubernetes object: it is no mapping")
	}
	if kind == "" {
		apiVersion, kind = s.span.API, s.span.Kind
	}
	if apiVersion == "" {
		apiVersion = s.span.API
	}
	if strings.HasSuffix(kind, "List") {
		if found, ok, err := listItems(raw); err == nil && ok {
			if depth == maxListDepth {
				return fail("lists within lists, more than 8 deep")
			}
			return r.readList(s, raw, found, item, depth)
		}
	}
	if kind == "" || apiVersion == "" {
		missing := "kind"
		if kind != "" {
			missing = "apiVersion"
		}
		return fail("not a Kubernetes object: it has no " + missing)
	}
	parsed, err := parseJSON(raw, r.reads(apiVersion, kind), r.options...)
	if err != nil {
		return invalid(err)
	}
	object := parsed.(map[string]any)
	object["apiVersion"], object["kind"] = apiVersion, kind
	document := &Document{
		APIVersion: apiVersion, Kind: kind, object: object, Part: s.part,
		Offset: s.span.Offset, Length: s.span.Length, Line: s.span.Line, Item: item, JSON: s.span.JSON,
	}
	if r.manifests {
		document.settle(r.namespace)
	}
	document.describe()
	if document.Name == "" && document.GenerateName == "" && len(document.Problems) == 0 {
		document.Problems = append(document.Problems, "metadata.name is missing")
	}
	if r.manifests {
		applyDefaults(apiVersion, kind, object)
	}
	return loadedSource{documents: []*Document{document}}
}

func (r documentReader) readList(s source, raw []byte, found listing, item string, depth int) loadedSource {
	var out loadedSource
	line, counted := s.span.Line, 0
	for i, span := range found.spans {
		element := s
		element.span.Kind, element.span.API = span.Kind, span.API
		path := item
		if s.span.JSON {
			// The item's own place in the file: its lines are found there.
			line += bytes.Count(raw[counted:span.Offset], []byte("\n"))
			counted = span.Offset
			element.span.Offset, element.span.Length, element.span.Line = s.span.Offset+span.Offset, span.Length, line
		} else {
			path = fmt.Sprintf("%sitems[%d].", item, i)
		}
		one := r.readJSON(element, raw[span.Offset:span.Offset+span.Length], path, depth+1)
		out.documents = append(out.documents, one.documents...)
		out.problems = append(out.problems, one.problems...)
	}
	return out
}

// identify reads apiVersion and kind of a JSON object without parsing it. Of a
// list, whose kind may come after its items, one item with duplicate keys must
// not take the others with it: each is checked when it is parsed.
func identify(raw []byte) (apiVersion, kind string, isObject bool, err error) {
	dec := jsontext.NewDecoder(bytes.NewBuffer(raw), trusted...)
	if dec.PeekKind() != '{' {
		_, err := dec.ReadValue()
		return "", "", false, err
	}
	if _, err := dec.ReadToken(); err != nil {
		return "", "", false, err
	}
	for dec.PeekKind() != '}' && (apiVersion == "" || kind == "") {
		name, err := dec.ReadValue()
		if err != nil {
			return "", "", true, err
		}
		field := string(name)
		if (field == `"apiVersion"` || field == `"kind"`) && dec.PeekKind() == '"' {
			token, err := dec.ReadToken()
			if err != nil {
				return "", "", true, err
			}
			if field == `"kind"` {
				kind = token.String()
			} else {
				apiVersion = token.String()
			}
			continue
		}
		if err := dec.SkipValue(); err != nil {
			return "", "", true, err
		}
	}
	return apiVersion, kind, true, nil
}
