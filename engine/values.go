package main

import (
	"encoding/json"
	"hash/maphash"
	"sync"

	"aksp.dev/engine/plan"
)

// values makes decoded values. Most texts and numbers of a document were in one before:
// those met lately are kept, each at the place of its hash, and stand for themselves again
// without an allocation. What is made of a document is made in order, so that objects and
// lists have the room that they need. Not for several goroutines at once.
type values struct {
	texts   [1 << 10]any
	numbers [1 << 7]any
	entries []entry // of the objects and lists under way
	made    int     // how many entries there were
	nulls   bool    // something that was made is null
	unusual bool    // something that was made is a number that is left to topdown
}

type entry struct {
	key   string
	value any
}

// longestKept is the length of texts that are kept, mostKept how many entries have room that is.
const (
	longestKept = 64
	mostKept    = 1 << 16
)

var (
	makers   = sync.Pool{New: func() any { return &values{} }}
	textSeed = maphash.MakeSeed()
)

func newValues() *values {
	v := makers.Get().(*values)
	v.entries, v.nulls, v.unusual = v.entries[:0], false, false
	v.made = 0
	return v
}

// done lets others use it. What was made stays.
func (v *values) done() {
	if cap(v.entries) > mostKept {
		v.entries = nil
	}
	clear(v.entries[:cap(v.entries)])
	makers.Put(v)
}

func (v *values) text(text []byte) any {
	if len(text) > longestKept {
		return string(text)
	}
	at := &v.texts[maphash.Bytes(textSeed, text)%uint64(len(v.texts))]
	if known, ok := (*at).(string); ok && known == string(text) {
		return *at
	}
	*at = string(text)
	return *at
}

func (v *values) number(text []byte) any {
	at := &v.numbers[maphash.Bytes(textSeed, text)%uint64(len(v.numbers))]
	if known, ok := (*at).(json.Number); ok && string(known) == string(text) {
		return *at
	}
	made := json.Number(text)
	if !plan.Usual(made) {
		v.unusual = true
		return made
	}
	if len(text) <= longestKept {
		*at = made
	}
	return made
}

func (v *values) null() any {
	if v != nil {
		v.nulls = true
	}
	return nil
}

// begin is where the entries of an object or a list begin.
func (v *values) begin() int {
	if v == nil {
		return 0
	}
	return len(v.entries)
}

// member begins a member of an object, of which something is read. Its value is to be
// put at the entry's place. What is read by name has that name at hand.
func (v *values) member(key []byte, reads *Reads) (at int) {
	name := reads.name
	if name != string(key) {
		name, _ = v.text(key).(string)
	}
	v.made++
	v.entries = append(v.entries, entry{key: name})
	return len(v.entries) - 1
}

func (v *values) item(value any) {
	v.made++
	v.entries = append(v.entries, entry{value: value})
}

// object is what has been made since its beginning.
func (v *values) object(begin int) map[string]any {
	entries := v.entries[begin:]
	object := make(map[string]any, len(entries))
	for i := range entries {
		object[entries[i].key] = entries[i].value
	}
	v.entries = v.entries[:begin]
	return object
}

// list is what has been made since its beginning.
func (v *values) list(begin int) []any {
	entries := v.entries[begin:]
	list := make([]any, len(entries))
	for i := range entries {
		list[i] = entries[i].value
	}
	v.entries = v.entries[:begin]
	return list
}
