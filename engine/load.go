package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/go-json-experiment/json/jsontext"
)

// Batch is a set of parsed documents, kept from load to release.
type Batch struct {
	documents []*Document
	reads     *Reads   // what policies read when it was loaded: more was not kept
	parts     [][]byte // of files: their texts, to tell where in them something was found
}

type loadRequest struct {
	Batch  string `json:"batch"`
	Format string `json:"format"` // "list": one page of an API server; "files"; "review": an AdmissionReview
	// WholeKinds (as "group/kind", the group may be *) are kept entire, for the inventory.
	WholeKinds []string `json:"wholeKinds"`
	// Namespace is where documents of files lie that name none.
	Namespace string `json:"namespace"`
	// Surroundings are objects by which the API server would change Pods: see gather.
	Surroundings []json.RawMessage `json:"surroundings"`
	// NoCustomWorkloads leaves Pod templates in objects of kinds that are not built in alone.
	NoCustomWorkloads bool `json:"noCustomWorkloads"`
	// Following is about how many bytes will be loaded after this.
	Following int    `json:"following"`
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
	Request         *Request    `json:"request,omitempty"`
}

// source is one document's text before it is parsed.
type source struct {
	span  Span
	part  int
	text  []byte
	depth int     // of the lists that it is an item of
	whole *source // what was read, of which it may be an item
}

func (e *Engine) load(r loadRequest, body []byte) (any, error) {
	answer := loadAnswer{Documents: []*Document{}, Problems: []Problem{}}
	// What follows is told with the first, before memory was used that the ballast would clear.
	weights.count(len(body) + r.Following)
	reader := e.reader(r)
	around, err := surroundingsOf(r.Surroundings)
	if err != nil {
		return nil, err
	}
	reader.around = around
	var documents []*Document
	switch r.Format {
	case "list":
		found, read, problems, err := e.readPage(reader, body)
		if err != nil {
			return nil, fmt.Errorf("%w: %s", errNoList, jsonMessage(err))
		}
		if !found.named() || found.items != '[' && found.items != 'n' {
			return nil, errNoList
		}
		answer.Continue, answer.ResourceVersion = found.metadata.Continue, found.metadata.ResourceVersion
		documents = read
		answer.Problems = append(answer.Problems, problems...)
	case "files":
		sources, problems, err := partSources(r.Parts, body)
		if err != nil {
			return nil, err
		}
		answer.Problems = append(answer.Problems, problems...)
		documents, problems = e.readAll(reader, sources)
		answer.Problems = append(answer.Problems, problems...)
	case "review":
		found, err := reader.readAsked(body)
		if err != nil {
			return nil, err
		}
		reader.request = &found.Request
		if documents, err = reader.reviewed(body, found); err != nil {
			return nil, err
		}
		answer.Request = &found.Request
	default:
		return nil, fmt.Errorf("unknown format %q", r.Format)
	}
	batch := &Batch{reads: reader.trees.policies, documents: documents}
	if r.Format == "files" {
		batch.parts = partTexts(r.Parts, body)
	}
	if reader.templates {
		batch.documents = reader.withTemplates(documents)
	}
	answer.Documents = append(answer.Documents, batch.documents...)
	answer.Problems = foldProblems(answer.Problems)
	e.mu.Lock()
	defer e.mu.Unlock()
	if _, taken := e.batches[r.Batch]; taken {
		return nil, fmt.Errorf("batch %q is loaded already", r.Batch)
	}
	e.batches[r.Batch] = batch
	return answer, nil
}

func (e *Engine) readAll(reader documentReader, sources []source) (documents []*Document, problems []Problem) {
	loaded := make([]loadedSource, len(sources))
	e.parallel(len(sources), func(i int) {
		loaded[i] = reader.readSafely(sources[i])
	})
	for _, one := range loaded {
		documents = append(documents, one.documents...)
		problems = append(problems, one.problems...)
	}
	return documents, problems
}

// withTemplates puts after each workload the Pod that it would make. Such a Pod
// gets its defaults here even in a live cluster: the API server applies some of
// them (host ports, requests from limits) to Pods alone. Pods that have not been
// through its admission yet are changed as they will be there.
func (r documentReader) withTemplates(documents []*Document) []*Document {
	out := make([]*Document, 0, len(documents))
	for _, document := range documents {
		index := len(out)
		out = append(out, document)
		if r.manifests && document.Kind == "Pod" && document.APIVersion == "v1" {
			document.admit(r.seen(document.APIVersion, document.Kind), r.around)
			document.needContainers()
		}
		for _, at := range document.templates() {
			pod := document.template(at)
			pod.Parent = &index
			applyDefaults(pod.APIVersion, pod.Kind, pod.object, r.trees.policies)
			pod.admit(r.trees.policies, r.around)
			switch {
			case len(document.custom) > 0 && !at.due:
			case r.manifests && !at.due:
				pod.needContainers()
			default:
				pod.needMain()
			}
			out = append(out, pod)
		}
	}
	return out
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
			one := source{span: span, part: i, text: raw}
			if part.Items {
				one.depth = 1
			}
			sources = append(sources, one)
		}
	}
	return sources, problems, nil
}

// partTexts are the texts of parts that lie within a body.
func partTexts(parts []Part, body []byte) [][]byte {
	texts := make([][]byte, len(parts))
	at := 0
	for i, part := range parts {
		texts[i] = body[at : at+part.Length]
		at += part.Length
	}
	return texts
}

func partSpans(part Part, text []byte) ([]Span, []Problem) {
	if !part.Items {
		return splitFile(text), nil
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

// documentReader parses the sources of one load.
type documentReader struct {
	manifests bool // written by people, and not yet defaulted
	templates bool // workloads are followed by the Pods that they would make
	custom    bool // those of kinds that are not built in, too
	around    *surroundings
	namespace string
	request   *Request // the review that the sources are of
	options   []jsontext.Options
	trees     *trees
	whole     []string // kinds
}

func (e *Engine) reader(r loadRequest) documentReader {
	reader := documentReader{
		manifests: r.Format == "files", templates: r.Format != "list", custom: r.Format != "list" && !r.NoCustomWorkloads,
		namespace: r.Namespace, trees: e.treesFor(r.Format), whole: r.WholeKinds, around: &surroundings{},
	}
	if !reader.manifests {
		reader.options = trusted
	}
	return reader
}

func (r documentReader) reads(apiVersion, kind string) *Reads {
	key := groupOf(apiVersion) + "/" + kind
	if amongKinds(r.whole, groupOf(apiVersion), kind) {
		return everything()
	}
	if reads := r.trees.workloads[key]; reads != nil {
		return reads
	}
	return r.trees.plain
}

// seen is what of a document's kind anything can see, beside the engine itself.
func (r documentReader) seen(apiVersion, kind string) *Reads {
	if amongKinds(r.whole, groupOf(apiVersion), kind) {
		return everything()
	}
	return r.trees.policies
}

// trees are what to parse documents along, by kind. They change only with the
// policies.
type trees struct {
	policies  *Reads
	request   *Reads // of an AdmissionReview; nil when no policy reads of it
	plain     *Reads
	workloads map[string]*Reads // by group/kind
}

func (e *Engine) treesFor(format string) *trees {
	e.mu.Lock()
	defer e.mu.Unlock()
	if known := e.trees[format]; known != nil {
		return known
	}
	policies := newReads()
	for _, policy := range e.policies {
		policies.merge(policy.reads)
	}
	var request *Reads
	for _, policy := range e.policies {
		if policy.request != nil && format != "list" {
			request = orNew(request)
			request.step("request").merge(policy.request)
		}
	}
	if request != nil {
		request.settle()
	}
	out := &trees{request: request, policies: policies.settle(), workloads: map[string]*Reads{}}
	own := newReads()
	if format == "files" {
		own.step("items") // whether it is there: see readItems
	}
	out.plain = readsFor(policies, own, "", "", format == "files", false)
	if format != "list" {
		for key, known := range knownKinds {
			if known.Template == "" {
				continue
			}
			apiGroup, kind := cutKind(key)
			out.workloads[key] = readsFor(policies, own, apiGroup+"/v1", kind, format == "files", true)
		}
	}
	e.trees[format] = out
	return out
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
	document, refused := r.readBlock(s)
	if document != nil {
		return loadedSource{documents: []*Document{document}}
	}
	raw, block, problem := toJSON(s.text, s.span, refused)
	if problem != nil {
		problem.Part = s.part
		return loadedSource{problems: []Problem{*problem}}
	}
	s.whole = &s
	out := r.readJSON(s, raw, "", s.depth)
	for _, document := range out.documents {
		document.block = block
	}
	return out
}

// readBlock reads an object without the way over JSON if blockYAML can read it and tells
// that it refused it if not. All that holds objects goes over JSON.
func (r documentReader) readBlock(s source) (document *Document, refused bool) {
	if s.span.JSON || !r.manifests {
		return nil, false
	}
	apiVersion, kind := topField(s.text, "apiVersion"), topField(s.text, "kind")
	if apiVersion == "" || kind == "" || strings.HasSuffix(kind, "List") || kind == "AdmissionReview" || wireKinds[apiVersion+"/"+kind] != "" ||
		r.custom && isCustom(apiVersion, kind) && (bytes.Contains(s.text, []byte("containers")) || hasTemplate(apiVersion, kind)) {
		return nil, false
	}
	made := newValues()
	defer made.done()
	object, ok := blockToValue(s.text, r.reads(apiVersion, kind), made)
	if !ok {
		return nil, true
	}
	if _, hasItems := object["items"]; hasItems || object["apiVersion"] != apiVersion || object["kind"] != kind {
		return nil, false
	}
	document = r.document(s, object, made, apiVersion, kind, "", false)
	document.block = true
	return document, false
}

// topField is the value of a field at the beginning of a line, if it is a plain word.
func topField(text []byte, name string) string {
	for at := 0; at < len(text); {
		found := bytes.Index(text[at:], []byte(name))
		if found < 0 {
			break
		}
		start := at + found
		at = start + len(name)
		if start > 0 && text[start-1] != '\n' || at == len(text) || text[at] != ':' {
			continue
		}
		value, _, _ := bytes.Cut(text[at+1:], []byte("\n"))
		return string(bytes.TrimSpace(value))
	}
	return ""
}

// objectLikeness tells a file of another program from an object that lacks
// something, or one of which somebody has mistaken a field's capitals. A list is
// like its items; a text is never a file of another program, since what is no
// YAML is one too.
func objectLikeness(raw []byte) string {
	var fields map[string]json.RawMessage
	if json.Unmarshal(raw, &fields) == nil {
		for name := range fields {
			switch strings.ToLower(name) {
			case "apiversion", "kind", "metadata", "spec", "items":
				return partialObject
			}
		}
		return foreignObject
	}
	var items []json.RawMessage
	if json.Unmarshal(raw, &items) != nil {
		return partialObject
	}
	for _, item := range items {
		if bytes.HasPrefix(bytes.TrimSpace(item), []byte("{")) && objectLikeness(item) == partialObject {
			return partialObject
		}
	}
	return foreignObject
}

const maxListDepth = 8

func (r documentReader) readJSON(s source, raw []byte, item string, depth int) loadedSource {
	fail := func(message string) loadedSource {
		problem := Problem{Part: s.part, Line: s.span.Line, Message: message}
		if item != "" && !s.span.JSON {
			problem.of, problem.item = s.whole, item
		}
		return loadedSource{problems: []Problem{problem}}
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
	if string(bytes.TrimSpace(raw)) == "null" && depth == 0 {
		return loadedSource{} // an empty document, which kubectl passes over too
	}
	none := func(message string) loadedSource {
		out := fail("not a Kubernetes object: " + message)
		if depth == 0 {
			out.problems[0].Object = objectLikeness(raw)
		}
		return out
	}
	if !isObject {
		return none("it is no mapping")
	}
	if kind == "" {
		apiVersion, kind = s.span.API, s.span.Kind
	}
	if apiVersion == "" {
		apiVersion = s.span.API
	}
	if r.manifests {
		if what := wireKinds[apiVersion+"/"+kind]; what != "" {
			return fail("a " + kind + ", " + what + statusMessage(raw))
		}
	}
	named := strings.HasSuffix(kind, "List")
	if named && r.manifests {
		out, isList := r.readItems(s, raw, item, depth, fail)
		if isList {
			return out
		}
		if builtInGroups[groupOf(apiVersion)] {
			return fail("a " + kind + " without items: it holds nothing, and no object is of that kind")
		}
	}
	if r.manifests && kind == "AdmissionReview" && groupOf(apiVersion) == "admission.k8s.io" {
		documents, err := r.inReview(s, raw, item)
		if err != nil {
			return fail(err.Error())
		}
		return loadedSource{documents: documents}
	}
	if kind == "" || apiVersion == "" {
		missing := "kind"
		if kind != "" {
			missing = "apiVersion"
		}
		return none("it has no " + missing)
	}
	reads, custom := r.reads(apiVersion, kind), r.custom && isCustom(apiVersion, kind) && (mayHoldTemplate(raw) || hasTemplate(apiVersion, kind))
	if custom {
		reads = everything()
	}
	options := r.options
	if !s.span.JSON || r.request != nil { // made of YAML just now, without a key twice; or looked at once more
		options = trusted
	}
	made := newValues()
	defer made.done()
	parsed, err := made.decode(raw, reads, r.request != nil, options...)
	if err != nil {
		return invalid(err)
	}
	object := parsed.(map[string]any)
	document := r.document(s, object, made, apiVersion, kind, item, custom)
	out := loadedSource{documents: []*Document{document}}
	if _, hasItems := object["items"]; hasItems && !named && r.manifests {
		// kubectl would apply the items and not the object; what else reads the
		// file may apply the object.
		items, _ := r.readItems(s, raw, item, depth, fail)
		out.documents = append(out.documents, items.documents...)
		out.problems = append(out.problems, items.problems...)
	}
	return out
}

// document is a decoded object, judged as the API server would store it.
func (r documentReader) document(s source, object map[string]any, made *values, apiVersion, kind, item string, custom bool) *Document {
	object["apiVersion"], object["kind"] = apiVersion, kind
	document := &Document{
		APIVersion: apiVersion, Kind: kind, object: object, Part: s.part,
		Offset: s.span.Offset, Length: s.span.Length, Line: s.span.Line, Item: item, JSON: s.span.JSON,
		usual: !made.unusual,
	}
	if custom {
		searched := object
		if _, hasItems := object["items"]; hasItems && r.manifests {
			searched = cloneShallow(object)
			delete(searched, "items") // which are documents of their own
		}
		document.custom = customTemplates(searched, apiVersion, kind)
	}
	if r.manifests {
		document.settle(r.namespace)
		if made.nulls {
			document.dropNulls()
		}
	}
	document.describe()
	if r.templates { // what is in a list has been decoded
		document.checkFields()
	}
	if r.request != nil {
		document.settleReviewed(r.request)
	}
	if !r.manifests && kind == "Pod" && apiVersion == "v1" {
		document.needMain()
	}
	if document.Name == "" && document.GenerateName == "" && len(document.Problems) == 0 {
		document.Problems = append(document.Problems, Wrong{Path: "metadata.name", Message: "metadata.name is missing"})
	}
	if r.manifests {
		document.store()
		applyDefaults(apiVersion, kind, object, r.seen(apiVersion, kind))
	}
	return document
}

// readItems reads the items of a list; isList is false when it is none. As for
// kubectl, everything with "items" is one, and within a list what has a list there.
func (r documentReader) readItems(s source, raw []byte, item string, depth int, fail func(string) loadedSource) (out loadedSource, isList bool) {
	found, err := listItems(raw)
	switch {
	case err != nil:
		return fail(jsonMessage(err)), true
	case found.items == 0 || found.items != '[' && depth > 0:
		return out, false
	case depth == maxListDepth:
		return fail("lists within lists, more than 8 deep"), true
	case found.items != '[' && found.items != 'n':
		return fail("items is no list"), true
	}
	out = r.readList(s, raw, found, item, depth)
	if partial := found.partial(); partial != "" {
		out.problems = append(out.problems, fail(partial).problems...)
	}
	return out, true
}

func (r documentReader) readList(s source, raw []byte, found listing, item string, depth int) (out loadedSource) {
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
		quoted, err := dec.ReadValue()
		if err != nil {
			return "", "", true, err
		}
		name, err := memberName(quoted)
		if err != nil {
			return "", "", true, err
		}
		isKind := string(name) == "kind"
		if (isKind || string(name) == "apiVersion") && dec.PeekKind() == '"' {
			token, err := dec.ReadToken()
			if err != nil {
				return "", "", true, err
			}
			if isKind {
				kind = token.String()
			} else {
				apiVersion = token.String()
			}
			continue
		}
		if err := skip(dec); err != nil {
			return "", "", true, err
		}
	}
	return apiVersion, kind, true, nil
}
