package plan

import (
	"encoding/json"
	"maps"
	"slices"
	"strconv"

	"github.com/open-policy-agent/opa/v1/ast"
)

func numberOf(v any) ast.Number {
	switch v := v.(type) {
	case int:
		return ast.Number(strconv.Itoa(v))
	case json.Number:
		return ast.Number(v)
	}
	panic(foreign{v})
}

// valueOf is a value in OPA's form, made new.
func valueOf(w *watch, v any) ast.Value {
	w.move()
	switch v := v.(type) {
	case nil:
		return ast.NullValue
	case bool:
		return ast.Boolean(v)
	case int, json.Number:
		return numberOf(v)
	case string:
		return ast.String(v)
	case []any, *Array:
		items, _ := listOf(v)
		terms := make([]*ast.Term, len(items))
		for i, item := range items {
			terms[i] = ast.NewTerm(valueOf(w, item))
		}
		return ast.NewArray(terms...)
	case map[string]any, *Object:
		pairs := make([][2]*ast.Term, 0, sizeOf(v))
		eachUnordered(v, func(key, value any) bool {
			pairs = append(pairs, [2]*ast.Term{ast.NewTerm(valueOf(w, key)), ast.NewTerm(valueOf(w, value))})
			return true
		})
		return ast.NewObject(pairs...)
	case *Set:
		terms := make([]*ast.Term, len(v.items))
		for i, item := range v.items {
			terms[i] = ast.NewTerm(valueOf(w, item))
		}
		return ast.NewSet(terms...)
	}
	panic(foreign{v})
}

// nativeOf is the value that a constant of OPA's is.
func nativeOf(w *watch, v ast.Value) any {
	w.move()
	switch v := v.(type) {
	case ast.Null:
		return nil
	case ast.Boolean:
		return bool(v)
	case ast.Number:
		return json.Number(v)
	case ast.String:
		return string(v)
	case *ast.Array:
		out := make([]any, v.Len())
		for i := range out {
			out[i] = nativeOf(w, v.Elem(i).Value)
		}
		return out
	case ast.Object:
		out := &Object{entries: make([]entry, 0, v.Len())}
		v.Foreach(func(key, value *ast.Term) { out.insert(w, nativeOf(w, key.Value), nativeOf(w, value.Value)) })
		return out
	case ast.Set:
		out := &Set{items: make([]any, 0, v.Len())}
		v.Foreach(func(item *ast.Term) { out.add(w, nativeOf(w, item.Value)) })
		return out
	}
	panic(foreign{v})
}

// Usual tells whether a decoded value holds only integers of up to 18 digits,
// each in its one spelling, as numbers. OPA takes numbers for equal that are near
// to each other, remembers what a function made of the first of such, and refuses
// some altogether: documents that hold others must be left to topdown.
func Usual(v any) bool {
	return everyLeaf(v, func(leaf any) bool {
		switch leaf := leaf.(type) {
		case json.Number:
			return usual(leaf)
		case nil, bool, string:
			return true
		}
		return false
	})
}

func usual(number json.Number) bool {
	n, ok := wholeText(string(number))
	return ok && (len(number) == 1 || number[0] != '0') && (number[0] != '-' || n != 0 && number[1] != '0')
}

// everyLeaf tells whether something holds of all that is no list and no object of
// decoded JSON.
func everyLeaf(v any, holds func(leaf any) bool) bool {
	switch v := v.(type) {
	case []any:
		for _, item := range v {
			if !everyLeaf(item, holds) {
				return false
			}
		}
	case map[string]any:
		for _, item := range v {
			if !everyLeaf(item, holds) {
				return false
			}
		}
	default:
		return holds(v)
	}
	return true
}

// Decoded is a value as encoding/json would decode it: sets become lists, in
// order, and keys that are no texts their JSON, as in OPA's own ast.JSON.
func Decoded(v any) (any, error) {
	switch v := v.(type) {
	case int:
		return json.Number(strconv.Itoa(v)), nil
	case []any, *Array, *Set:
		items, _ := itemsOf(&watch{}, v)
		out := make([]any, len(items))
		for i, item := range items {
			var err error
			if out[i], err = Decoded(item); err != nil {
				return nil, err
			}
		}
		return out, nil
	case map[string]any:
		return v, nil
	case *Object:
		out := make(map[string]any, len(v.entries))
		// In order, since two keys may have the same text: 1 and "1".
		for _, at := range v.sorted(&watch{}) {
			one := v.entries[at]
			name, ok := one.key.(string)
			if !ok {
				key, err := Decoded(one.key)
				if err != nil {
					return nil, err
				}
				text, err := json.Marshal(key)
				if err != nil {
					return nil, err
				}
				name = string(text)
			}
			var err error
			if out[name], err = Decoded(one.value); err != nil {
				return nil, err
			}
		}
		return out, nil
	}
	return v, nil
}

// Elements is the elements of a set, in order, if the value is one.
func Elements(v any) ([]any, bool) {
	set, ok := v.(*Set)
	if !ok {
		return nil, false
	}
	return set.sorted(&watch{}), true
}

// Get is the value under a key of a result.
func (o *Object) Get(key any) (any, bool) { return o.get(&watch{}, key) }

// Field is what lies under a key of an object of either kind.
func Field(v any, key string) (any, bool) { return member(&watch{}, v, key) }

// AppendJSON writes a value as encoding/json would write what Decoded makes of it.
// It says no where something is odd, or nested deeper than a bound: to that, Decoded
// and encoding/json have the answer.
func AppendJSON(into []byte, v any, depth int) ([]byte, bool) {
	switch v := v.(type) {
	case nil:
		return append(into, "null"...), true
	case bool:
		return strconv.AppendBool(into, v), true
	case int:
		return strconv.AppendInt(into, int64(v), 10), true
	case json.Number:
		return append(into, v...), usual(v)
	case string:
		return appendPlain(into, v)
	}
	if depth == 0 {
		return into, false
	}
	ok := true
	switch v := v.(type) {
	case []any, *Array, *Set:
		items, _ := itemsOf(&watch{}, v)
		into = append(into, '[')
		for i, item := range items {
			if i > 0 {
				into = append(into, ',')
			}
			if into, ok = AppendJSON(into, item, depth-1); !ok {
				return into, false
			}
		}
		return append(into, ']'), true
	case map[string]any:
		into = append(into, '{')
		for i, name := range slices.Sorted(maps.Keys(v)) {
			if into, ok = appendMember(into, i, name, v[name], depth-1); !ok {
				return into, false
			}
		}
		return append(into, '}'), true
	case *Object:
		into = append(into, '{')
		for i, at := range v.sorted(&watch{}) {
			one := &v.entries[at]
			name, isText := one.key.(string)
			if !isText {
				return into, false
			}
			if into, ok = appendMember(into, i, name, one.value, depth-1); !ok {
				return into, false
			}
		}
		return append(into, '}'), true
	}
	return into, false
}

// appendMember writes a member of an object, the first with the number 0.
func appendMember(into []byte, number int, name string, value any, depth int) ([]byte, bool) {
	if number > 0 {
		into = append(into, ',')
	}
	into, ok := appendPlain(into, name)
	if !ok {
		return into, false
	}
	return AppendJSON(append(into, ':'), value, depth)
}

// appendPlain writes a text in which nothing has to be escaped.
func appendPlain(into []byte, text string) ([]byte, bool) {
	for i := range len(text) {
		if c := text[i]; c < ' ' || c > '~' || c == '"' || c == '\\' || c == '<' || c == '>' || c == '&' {
			return into, false
		}
	}
	return append(append(append(into, '"'), text...), '"'), true
}
