package plan

import "slices"

// smallSize is how many entries are found by looking at all; beyond it they are hashed.
const smallSize = 32

// table finds the positions of entries by their hashes.
type table struct {
	heads map[uint64]int32
	next  []int32 // of each entry, the position after it with the same hash, or -1
}

func (t *table) add(hashed uint64, at int32) {
	head, there := t.heads[hashed]
	if !there {
		head = -1
	}
	t.next = append(t.next, head)
	t.heads[hashed] = at
}

func newTable(n int) *table { return &table{heads: make(map[uint64]int32, 2*n)} }

// Set is a set that an evaluation makes: each value once, the first of equal ones.
// What compares values takes the watch of the evaluation, here as everywhere.
type Set struct {
	items   []any // as they were added, or sorted while there are few
	table   *table
	ordered []any // nil until asked for
	sealed  bool
}

// Len is the number of elements.
func (s *Set) Len() int { return len(s.items) }

// has tells whether there is an equal element.
func (s *Set) has(w *watch, value any) bool {
	_, there := s.find(w, value)
	return there
}

func (s *Set) find(w *watch, value any) (any, bool) {
	if s.table == nil {
		for _, item := range s.items {
			if equal(w, item, value) {
				return item, true
			}
		}
		return nil, false
	}
	at, there := s.table.heads[hash(w, value)]
	for there && at >= 0 {
		if equal(w, s.items[at], value) {
			return s.items[at], true
		}
		at = s.table.next[at]
	}
	return nil, false
}

// add adds a value unless there is an equal one.
func (s *Set) add(w *watch, value any) {
	if s.has(w, value) {
		return
	}
	if s.table == nil && len(s.items) == smallSize {
		s.table = newTable(smallSize)
		for at, item := range s.items {
			s.table.add(hash(w, item), int32(at))
		}
	}
	if s.table != nil {
		s.table.add(hash(w, value), int32(len(s.items)))
	}
	s.items = append(s.items, value)
	s.ordered = nil
}

// sorted is the elements in OPA's order. It must not be changed.
func (s *Set) sorted(w *watch) []any {
	if s.ordered == nil && len(s.items) > 0 {
		ordered := s.items
		if !slices.IsSortedFunc(ordered, w.compare) {
			ordered = slices.Clone(ordered)
			slices.SortFunc(ordered, w.compare)
		}
		s.ordered = slices.Clip(ordered)
	}
	return s.ordered
}

type entry struct{ key, value any }

// Object is an object that an evaluation makes; its keys may be of any type.
type Object struct {
	entries []entry
	table   *table
	order   []int32 // positions of the entries by key, nil until asked for
	sealed  bool    // it is the value of something else, too, and must not change
}

// Len is the number of entries.
func (o *Object) Len() int { return len(o.entries) }

func (o *Object) get(w *watch, key any) (any, bool) {
	if at := o.find(w, key); at >= 0 {
		return o.entries[at].value, true
	}
	return nil, false
}

func (o *Object) find(w *watch, key any) int {
	if o.table == nil {
		for at := range o.entries {
			if equal(w, o.entries[at].key, key) {
				return at
			}
		}
		return -1
	}
	at, there := o.table.heads[hash(w, key)]
	for there && at >= 0 {
		if equal(w, o.entries[at].key, key) {
			return int(at)
		}
		at = o.table.next[at]
	}
	return -1
}

// insert puts a value under a key, in place of one that was there.
func (o *Object) insert(w *watch, key, value any) {
	if at := o.find(w, key); at >= 0 {
		o.entries[at].value = value
		return
	}
	if o.table == nil && len(o.entries) == smallSize {
		o.table = newTable(smallSize)
		for at := range o.entries {
			o.table.add(hash(w, o.entries[at].key), int32(at))
		}
	}
	if o.table != nil {
		o.table.add(hash(w, key), int32(len(o.entries)))
	}
	if o.entries == nil {
		o.entries = make([]entry, 0, 4)
	}
	o.entries = append(o.entries, entry{key, value})
	o.order = nil
}

// sorted is the positions of the entries in the order of their keys.
func (o *Object) sorted(w *watch) []int32 {
	if o.order == nil && len(o.entries) > 0 {
		order := make([]int32, len(o.entries))
		for i := range order {
			order[i] = int32(i)
		}
		slices.SortFunc(order, func(a, b int32) int { return compare(w, o.entries[a].key, o.entries[b].key) })
		o.order = order
	}
	return o.order
}

// copied is a shallow copy of an object of either kind, which may be changed.
func copied(w *watch, object any) *Object {
	out := &Object{entries: make([]entry, 0, sizeOf(object)+1)}
	eachUnordered(object, func(key, value any) bool {
		out.insert(w, key, value)
		return true
	})
	return out
}
