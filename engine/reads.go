package main

import (
	"encoding/json"
	"sort"
)

// Reads is the part of a document that policies can see: a tree of keys. A
// node without children means the whole value below it. Documents are parsed
// along this tree and the rest is skipped, which is most of a live Pod
// (managedFields, status, volumes): parsing is the larger part of a scan.
type Reads struct {
	whole bool
	keys  map[string]*Reads
	any   *Reads // elements of an array, or keys not known before the run
	name  string // the key that it lies under, once the tree is settled
}

func newReads() *Reads { return &Reads{} }

func everything() *Reads { return &Reads{whole: true} }

func orNew(r *Reads) *Reads {
	if r == nil {
		return newReads()
	}
	return r
}

// step returns the child for a key, making it if there is none. The key "*"
// stands for any key or index.
func (r *Reads) step(key string) *Reads {
	if r.whole {
		return r
	}
	if key == "*" {
		if r.any == nil {
			r.any = &Reads{}
		}
		return r.any
	}
	if r.keys == nil {
		r.keys = map[string]*Reads{}
	}
	child, ok := r.keys[key]
	if !ok {
		child = &Reads{}
		r.keys[key] = child
	}
	return child
}

// add marks the value at path, and all below it, as read.
func (r *Reads) add(path ...string) *Reads {
	node := r
	for _, key := range path {
		node = node.step(key)
	}
	if !node.whole {
		*node = Reads{whole: true}
	}
	return r
}

// merge adds all that other reads.
func (r *Reads) merge(other *Reads) {
	if r.whole {
		return
	}
	if other.whole {
		*r = Reads{whole: true}
		return
	}
	for key, child := range other.keys {
		r.step(key).merge(child)
	}
	if other.any != nil {
		r.step("*").merge(other.any)
	}
}

// child returns what is read below key: nil when nothing is. The tree must have
// been settled.
func (r *Reads) child(key []byte) *Reads {
	if r.whole {
		return r
	}
	if named := r.keys[string(key)]; named != nil {
		return named
	}
	return r.any
}

// each is what is read of the elements of a list: nil when nothing is.
func (r *Reads) each() *Reads {
	if r == nil || r.whole {
		return r
	}
	return r.any
}

// empty: whether nothing that is in a value is read.
func (r *Reads) empty() bool { return !r.whole && r.any == nil && len(r.keys) == 0 }

// at is what is read below a key; nil when nothing is, or nothing above it.
func (r *Reads) at(key string) *Reads {
	if r == nil {
		return nil
	}
	return r.child([]byte(key))
}

// same tells whether two values are alike in what is read. The tree must have been
// settled. Numbers are compared as they are written.
func (r *Reads) same(a, b any) bool {
	if r == nil {
		return true
	}
	switch a := a.(type) {
	case map[string]any:
		b, ok := b.(map[string]any)
		if !ok || (r.whole || r.any != nil) && len(a) != len(b) {
			return false
		}
		if !r.whole && r.any == nil {
			for name, child := range r.keys {
				one, there := a[name]
				other, too := b[name]
				if there != too || there && !child.same(one, other) {
					return false
				}
			}
			return true
		}
		for name, one := range a {
			if other, too := b[name]; !too || !r.at(name).same(one, other) {
				return false
			}
		}
		return true
	case []any:
		b, ok := b.([]any)
		if !ok || len(a) != len(b) {
			return false
		}
		child := r.each()
		for i := range a {
			if !child.same(a[i], b[i]) {
				return false
			}
		}
		return true
	}
	return a == b
}

// fill sets a field that is absent, null or empty, where it is read.
func (r *Reads) fill(object map[string]any, key string, value any) {
	if (object[key] == nil || object[key] == "") && r.at(key) != nil {
		object[key] = value
	}
}

// fillNumber is fill for a number for which zero, too, means that it is not set.
func (r *Reads) fillNumber(object map[string]any, key string, value any) {
	if (object[key] == nil || object[key] == json.Number("0")) && r.at(key) != nil {
		object[key] = value
	}
}

// reach tells whether something at a path, or below it, is read. The tree must
// have been settled.
func (r *Reads) reach(path []string) bool {
	node := r
	for _, key := range path {
		if node.whole {
			return true
		}
		if node = node.child([]byte(key)); node == nil {
			return false
		}
	}
	return true
}

// covers tells whether all that other reads is read here, too. The tree must
// have been settled.
func (r *Reads) covers(other *Reads) bool {
	if r.whole || other.whole {
		return r.whole
	}
	for key, child := range other.keys {
		if own := r.child([]byte(key)); own == nil || !own.covers(child) {
			return false
		}
	}
	return other.any == nil || r.any != nil && r.any.covers(other.any)
}

// settle adds to every named key what is read of any key, so that parsing finds
// all of it in one place.
func (r *Reads) settle() *Reads {
	for name, child := range r.keys {
		if r.any != nil {
			child.merge(r.any)
		}
		child.name = name
		child.settle()
	}
	if r.any != nil {
		r.any.settle()
	}
	return r
}

// paths lists what is read, for tests and for the answer to compile.
func (r *Reads) paths() []string {
	var out []string
	var walk func(prefix string, node *Reads)
	walk = func(prefix string, node *Reads) {
		if node.whole {
			out = append(out, prefix)
			return
		}
		for key, child := range node.keys {
			next := key
			if prefix != "" {
				next = prefix + "." + key
			}
			walk(next, child)
		}
		if node.any != nil {
			walk(prefix+"[*]", node.any)
		}
	}
	walk("", r)
	sort.Strings(out)
	return out
}
