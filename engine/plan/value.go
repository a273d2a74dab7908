package plan

import (
	"cmp"
	"encoding/json"
	"fmt"
	"hash/maphash"
	"math"
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
)

// A value is what encoding/json decodes with UseNumber (nil for null, bool,
// json.Number, string, []any, map[string]any), or what only an evaluation makes:
// int (a number that was counted), *Array (under construction), *Object and *Set.
// Decoded values are never changed; so documents, parameters and data may be
// shared by any number of evaluations. What an evaluation makes is its own.

// undefined is the value of a local that has none.
type undefinedValue struct{}

var undefined any = undefinedValue{}

func isUndefined(v any) bool {
	_, is := v.(undefinedValue)
	return is
}

// Array is a list that an evaluation makes.
type Array struct{ items []any }

// newArray has room for so many items, with the list itself where they are few.
func newArray(room int) *Array {
	if room > 4 {
		return &Array{items: make([]any, 0, room)}
	}
	out := &struct {
		Array
		few [4]any
	}{}
	out.items = out.few[:0:room]
	return &out.Array
}

// listOf is the entries of a list of either kind.
func listOf(v any) ([]any, bool) {
	switch v := v.(type) {
	case []any:
		return v, true
	case *Array:
		return v.items, true
	}
	return nil, false
}

// rank orders the types, as OPA does: null, boolean, number, string, array, object, set.
func rank(v any) int {
	switch v.(type) {
	case undefinedValue:
		return -1
	case nil:
		return 0
	case bool:
		return 1
	case json.Number, int:
		return 2
	case string:
		return 3
	case []any, *Array:
		return 4
	case map[string]any, *Object:
		return 5
	case *Set:
		return 6
	}
	panic(foreign{v})
}

// foreign is what a value must not be.
type foreign struct{ value any }

func (f foreign) Error() string { return fmt.Sprintf("a value of type %T", f.value) }

// equal is cheaper than compare for what differs in length or type.
func equal(w *watch, a, b any) bool {
	w.step()
	switch a := a.(type) {
	case string:
		b, ok := b.(string)
		return ok && a == b
	case bool:
		b, ok := b.(bool)
		return ok && a == b
	case nil:
		return b == nil
	}
	ra := rank(a)
	if ra != rank(b) {
		return false
	}
	switch ra {
	case 4:
		x, _ := listOf(a)
		y, _ := listOf(b)
		return slices.EqualFunc(x, y, func(a, b any) bool { return equal(w, a, b) })
	case 5:
		return equalObjects(w, a, b)
	case 6:
		x, y := a.(*Set), b.(*Set)
		if x.Len() != y.Len() {
			return false
		}
		for _, item := range x.items {
			if !y.has(w, item) {
				return false
			}
		}
		return true
	}
	return compare(w, a, b) == 0
}

func equalObjects(w *watch, a, b any) bool {
	if sizeOf(a) != sizeOf(b) {
		return false
	}
	same := true
	eachUnordered(a, func(key, value any) bool {
		other, ok := member(w, b, key)
		same = ok && equal(w, value, other)
		return same
	})
	return same
}

// compare orders all values, as ast.Compare does.
func compare(w *watch, a, b any) int {
	w.step()
	ra, rb := rank(a), rank(b)
	if ra != rb {
		return cmp.Compare(ra, rb)
	}
	switch ra {
	case 1:
		x, y := a.(bool), b.(bool)
		switch {
		case x == y:
			return 0
		case y:
			return -1
		}
		return 1
	case 2:
		return compareNumbers(a, b)
	case 3:
		return strings.Compare(a.(string), b.(string))
	case 4:
		x, _ := listOf(a)
		y, _ := listOf(b)
		return slices.CompareFunc(x, y, w.compare)
	case 5:
		return compareObjects(w, a, b)
	case 6:
		return slices.CompareFunc(a.(*Set).sorted(w), b.(*Set).sorted(w), w.compare)
	}
	return 0
}

// compareObjects goes through the keys of both in order: the smaller key, then the smaller value.
func compareObjects(w *watch, a, b any) int {
	x, y := sortedKeys(w, a), sortedKeys(w, b)
	for i := range min(len(x), len(y)) {
		if order := compare(w, x[i], y[i]); order != 0 {
			return order
		}
		one, _ := member(w, a, x[i])
		other, _ := member(w, b, y[i])
		if order := compare(w, one, other); order != 0 {
			return order
		}
	}
	return cmp.Compare(len(x), len(y))
}

func sortedKeys(w *watch, object any) []any {
	switch object := object.(type) {
	case map[string]any:
		keys := make([]any, 0, len(object))
		for key := range object {
			keys = append(keys, key)
		}
		slices.SortFunc(keys, func(a, b any) int { return strings.Compare(a.(string), b.(string)) })
		return keys
	case *Object:
		keys := make([]any, len(object.entries))
		for i, at := range object.sorted(w) {
			keys[i] = object.entries[at].key
		}
		return keys
	}
	return nil
}

// whole is the integer that a number's text is, if it is one of up to 18 digits.
func whole(v any) (int, bool) {
	switch v := v.(type) {
	case int:
		return v, true
	case json.Number:
		return wholeText(string(v))
	}
	return 0, false
}

func wholeText(text string) (int, bool) {
	digits := text
	negative := strings.HasPrefix(digits, "-")
	if negative {
		digits = digits[1:]
	}
	if len(digits) == 0 || len(digits) > 18 {
		return 0, false
	}
	n := 0
	for i := range len(digits) {
		digit := digits[i] - '0'
		if digit > 9 {
			return 0, false
		}
		n = n*10 + int(digit)
	}
	if negative {
		n = -n
	}
	return n, true
}

func compareNumbers(a, b any) int {
	if x, ok := whole(a); ok {
		if y, ok := whole(b); ok {
			return cmp.Compare(x, y)
		}
	}
	return ast.NumberCompare(numberOf(a), numberOf(b))
}

var seed = maphash.MakeSeed()

// hash is the same for values that are equal.
func hash(w *watch, v any) uint64 {
	w.step()
	switch v := v.(type) {
	case nil:
		return 1
	case bool:
		if v {
			return 2
		}
		return 3
	case string:
		return maphash.String(seed, v)
	case int:
		return hashFloat(float64(v))
	case json.Number:
		if n, ok := wholeText(string(v)); ok {
			return hashFloat(float64(n))
		}
		if f, ok := ast.Number(v).Float64(); ok {
			return hashFloat(f)
		}
		return maphash.String(seed, string(v))
	case []any, *Array:
		items, _ := listOf(v)
		sum := uint64(4)
		for _, item := range items {
			sum = sum*31 + hash(w, item)
		}
		return sum
	case map[string]any, *Object:
		sum := uint64(5)
		eachUnordered(v, func(key, value any) bool {
			sum += hash(w, key)*31 + hash(w, value)*17
			return true
		})
		return sum
	case *Set:
		sum := uint64(6)
		for _, item := range v.items {
			sum += hash(w, item) * 13
		}
		return sum
	}
	panic(foreign{v})
}

func hashFloat(f float64) uint64 {
	if f == 0 {
		f = 0 // minus zero
	}
	return math.Float64bits(f) * 0x9e3779b97f4a7c15
}

// sizeOf is the number of entries of a list, an object or a set, -1 for all else.
func sizeOf(v any) int {
	switch v := v.(type) {
	case []any:
		return len(v)
	case *Array:
		return len(v.items)
	case map[string]any:
		return len(v)
	case *Object:
		return len(v.entries)
	case *Set:
		return v.Len()
	}
	return -1
}

// member is what lies in an object under a key.
func member(w *watch, object, key any) (any, bool) {
	switch object := object.(type) {
	case map[string]any:
		if text, ok := key.(string); ok {
			value, ok := object[text]
			return value, ok
		}
	case *Object:
		return object.get(w, key)
	}
	return nil, false
}

// dot is what a reference finds in a value of any type: in a list by position,
// in a set the element itself.
func dot(w *watch, source, key any) (any, bool) {
	switch source := source.(type) {
	case map[string]any, *Object:
		return member(w, source, key)
	case *Set:
		return source.find(w, key)
	case []any, *Array:
		items, _ := listOf(source)
		at, ok := position(key)
		if ok && at >= 0 && at < len(items) {
			return items[at], true
		}
	}
	return nil, false
}

// position is a number as OPA takes it for an index: 1.0 is one, too.
func position(key any) (int, bool) {
	switch key := key.(type) {
	case int:
		return key, true
	case json.Number:
		return ast.Number(key).Int()
	}
	return 0, false
}

// eachUnordered visits an object's entries in any order until visit says no.
func eachUnordered(object any, visit func(key, value any) bool) {
	switch object := object.(type) {
	case map[string]any:
		for key, value := range object {
			if !visit(key, value) {
				return
			}
		}
	case *Object:
		for _, one := range object.entries {
			if !visit(one.key, one.value) {
				return
			}
		}
	}
}
