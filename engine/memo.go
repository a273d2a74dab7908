package main

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"slices"
	"sort"
	"sync"
	"sync/atomic"

	"github.com/open-policy-agent/opa/v1/ast"
)

// Memo remembers what a policy found by what it can see of a document. Rego is
// pure, and replicas of one workload differ only in what hardly any rule reads,
// so nine evaluations in ten need not be made twice.
type Memo struct {
	mu       sync.RWMutex
	outcomes map[string]*outcome
	bytes    int64

	asked, known atomic.Int32 // see pays
}

const (
	// What all memos together may hold, in bytes, or a share of the memory that
	// the collector works to stay under, where that is less. The collector takes
	// as much again.
	mostRemembered  = 32 << 20
	rememberedShare = 8
	// A document of which a policy sees more than this is hardly seen twice.
	maxKey = 16 << 10
	// About what an outcome takes beside its key and its texts.
	outcomeBytes = 256

	// Of so many documents one in eight must have been seen before. Else the next
	// ones are evaluated without being looked up or remembered.
	trial    = 256
	fewKnown = trial / 8
	pause    = 8 * trial
)

func newMemo() *Memo { return &Memo{outcomes: map[string]*outcome{}} }

// pays tells whether to look the next document up. Of Pods that all differ what a
// policy found never comes back, and to remember it takes a tenth of the time and
// most of the memory. What it lets go of is told in bytes.
func (m *Memo) pays() (pays bool, dropped int64) {
	switch n := m.asked.Add(1); {
	case n <= trial:
		return true, 0
	case n == trial+1 && m.known.Load() < fewKnown:
		return false, m.empty()
	case n == trial+1 || n > trial+pause:
		m.known.Store(0)
		m.asked.Store(0)
		return true, 0
	}
	return false, 0
}

func (m *Memo) get(key []byte) *outcome {
	m.mu.RLock()
	defer m.mu.RUnlock()
	found := m.outcomes[string(key)]
	if found != nil {
		m.known.Add(1)
	}
	return found
}

// put tells how many bytes more there are now.
func (m *Memo) put(key []byte, found *outcome) int64 {
	if len(key) > maxKey {
		return 0
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.outcomes[string(key)] != nil {
		return 0
	}
	m.outcomes[string(key)] = found
	size := outcomeBytes + len(key)
	for _, one := range found.findings {
		size += len(one.Msg) + len(one.Details)
	}
	m.bytes += int64(size)
	return int64(size)
}

// empty forgets in place: sets of tasks that are kept hold on to their memos. It
// tells how many bytes were let go of.
func (m *Memo) empty() int64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.outcomes = map[string]*outcome{}
	dropped := m.bytes
	m.bytes = 0
	return dropped
}

// forgetIfFull empties all memos when together they hold too much: what is
// common comes back at once.
func (e *Engine) forgetIfFull() {
	if e.remembered.Load() <= e.rememberable {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.remembered.Load() <= e.rememberable {
		return
	}
	e.remembered.Store(0)
	for _, policy := range e.policies {
		policy.forget()
	}
}

// rememberable is how many bytes memos may hold under a soft limit of memory.
func rememberable(limit int64) int64 {
	return min(limit/rememberedShare, mostRemembered)
}

// visibleFields are what a policy can see of a review: parts of the object and of the
// request, and whether the object's name and namespace beside them. The request is nil
// where it is not read, or tells every request from all others.
type visibleFields struct {
	object, request *sortedReads
	name, namespace bool
}

// visibleFieldsOf is nil for a policy whose outcomes are not worth remembering, or must
// not be: it sees whole documents, what is unique to each, other documents, or
// something that is not in its input at all.
func visibleFieldsOf(policy *Policy, review *Reads) *visibleFields {
	if !policy.pure || policy.useInventory || policy.reads.whole || review == nil || review.whole || review.any != nil {
		return nil
	}
	if metadata := policy.reads.keys["metadata"]; policy.reads.any != nil || metadata != nil {
		if policy.reads.any != nil || metadata.whole || metadata.any != nil {
			return nil
		}
		for _, unique := range []string{"name", "generateName", "uid", "creationTimestamp", "resourceVersion"} {
			if metadata.keys[unique] != nil {
				return nil
			}
		}
	}
	visible := &visibleFields{
		object:    sorted(policy.reads),
		name:      review.keys["name"] != nil,
		namespace: review.keys["namespace"] != nil,
	}
	if request := policy.request; request != nil && !request.whole && request.any == nil && request.keys["uid"] == nil {
		visible.request = sorted(request)
	}
	return visible
}

// pure tells whether modules call only built-ins that give the same at any time.
func pure(compiler *ast.Compiler) bool {
	deterministic := true
	for _, module := range compiler.Modules {
		ast.WalkTerms(module, func(term *ast.Term) bool {
			if ref, ok := term.Value.(ast.Ref); ok {
				if builtin := ast.BuiltinMap[ref.String()]; builtin != nil && builtin.Nondeterministic {
					deterministic = false
				}
			}
			return !deterministic
		})
	}
	return deterministic
}

// key writes all that the policy can see of a document; equal keys mean equal
// outcomes.
func (s *visibleFields) key(into []byte, d *Document) []byte {
	into = appendText(into, d.APIVersion)
	into = appendText(into, d.Kind)
	if s.name {
		into = appendText(into, d.storedName())
	}
	if s.namespace {
		into = appendText(into, d.Namespace)
	}
	if s.request != nil && d.request != nil {
		into = s.request.write(into, d.request)
	} else if s.request != nil {
		into = s.request.write(into, nil)
	}
	start := len(into)
	into = s.object.write(into, d.object)
	if d.plain == nil {
		return into
	}
	// What is found in an addition is told apart by what was there before it.
	end := len(into)
	into = s.object.write(into, d.plain)
	if bytes.Equal(into[start:end], into[end:]) {
		return into[:end]
	}
	for _, one := range d.added {
		into = appendText(into, one.what)
	}
	return into
}

// sortedReads is Reads with its keys in a fixed order.
type sortedReads struct {
	whole bool
	names []string
	nodes []*sortedReads
	any   *sortedReads
}

func sorted(r *Reads) *sortedReads {
	out := &sortedReads{whole: r.whole}
	for name := range r.keys {
		out.names = append(out.names, name)
	}
	sort.Strings(out.names)
	for _, name := range out.names {
		out.nodes = append(out.nodes, sorted(r.keys[name]))
	}
	if r.any != nil {
		out.any = sorted(r.any)
	}
	return out
}

// appendText writes a text after its length: a mark at its end could stand in
// the text itself.
func appendText(into []byte, text string) []byte {
	return append(binary.AppendUvarint(into, uint64(len(text))), text...)
}

// write encodes the visible part of a value, each with its type and its length
// or end, so that no two values are written alike.
func (r *sortedReads) write(into []byte, value any) []byte {
	switch value := value.(type) {
	case nil:
		return append(into, 'n')
	case bool:
		if value {
			return append(into, 't')
		}
		return append(into, 'f')
	case string:
		return appendText(append(into, '"'), value)
	case json.Number:
		return appendText(append(into, '#'), string(value))
	case []any:
		into = append(into, '[')
		child := r.any
		if r.whole {
			child = r
		}
		if child != nil {
			for _, entry := range value {
				into = child.write(into, entry)
			}
		}
		return append(into, ']')
	case map[string]any:
		into = append(into, '{')
		if r.whole || r.any != nil {
			into = r.writeAll(into, value)
		} else {
			for i, name := range r.names {
				if entry, ok := value[name]; ok {
					into = r.nodes[i].write(appendText(into, name), entry)
				}
			}
		}
		return append(into, '}')
	}
	return append(into, '?')
}

func (r *sortedReads) writeAll(into []byte, object map[string]any) []byte {
	names := make([]string, 0, len(object))
	for name := range object {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		child := r
		if !r.whole {
			child = r.any
			if at, ok := slices.BinarySearch(r.names, name); ok {
				child = r.nodes[at]
			}
		}
		into = child.write(appendText(into, name), object[name])
	}
	return into
}
