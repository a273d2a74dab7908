package plan

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/bits"
	"reflect"
	"strings"
	"unicode/utf8"

	"github.com/open-policy-agent/opa/v1/topdown"
)

// builtin is one of OPA's functions. native, if there is one, does the same for
// plain arguments without converting them, and says whether it did: wrong types
// and all that is odd are left to OPA's own, whose results and errors count.
type builtin struct {
	native   func(m *machine, args []any) (any, bool)
	function topdown.BuiltinFunc
	void     bool // has no result
	constant bool // gives the same for the same arguments
}

func builtinFor(name string, void bool) (*builtin, error) {
	out := &builtin{native: natives[name], function: topdown.GetBuiltin(name), void: void, constant: isConstant(name)}
	if out.function == nil {
		return nil, fmt.Errorf("the built-in %s is not known", name)
	}
	return out, nil
}

// same tells whether two values are one and the same: of lists and objects the
// very same, not equal ones.
func same(a, b any) bool {
	x, y := reflect.ValueOf(a), reflect.ValueOf(b)
	if !x.IsValid() || !y.IsValid() || x.Type() != y.Type() {
		return x.IsValid() == y.IsValid() && !x.IsValid()
	}
	switch x.Kind() {
	case reflect.Map, reflect.Pointer:
		return x.Pointer() == y.Pointer()
	case reflect.Slice:
		return x.Len() == y.Len() && x.Pointer() == y.Pointer()
	}
	return a == b
}

var natives map[string]func(m *machine, args []any) (any, bool)

func init() {
	is := func(ranks ...int) func(m *machine, args []any) (any, bool) {
		return func(_ *machine, args []any) (any, bool) { return rank(args[0]) == ranks[0], true }
	}
	ordered := func(holds func(order int) bool) func(m *machine, args []any) (any, bool) {
		return func(m *machine, args []any) (any, bool) { return holds(compare(&m.watch, args[0], args[1])), true }
	}
	natives = map[string]func(m *machine, args []any) (any, bool){
		"is_null": is(0), "is_boolean": is(1), "is_number": is(2), "is_string": is(3), "is_array": is(4), "is_object": is(5), "is_set": is(6),
		"type_name": func(_ *machine, args []any) (any, bool) {
			return [...]string{"null", "boolean", "number", "string", "array", "object", "set"}[rank(args[0])], true
		},
		"equal": func(m *machine, args []any) (any, bool) { return equal(&m.watch, args[0], args[1]), true },
		"neq":   func(m *machine, args []any) (any, bool) { return !equal(&m.watch, args[0], args[1]), true },
		"lt":    ordered(func(order int) bool { return order < 0 }),
		"lte":   ordered(func(order int) bool { return order <= 0 }),
		"gt":    ordered(func(order int) bool { return order > 0 }),
		"gte":   ordered(func(order int) bool { return order >= 0 }),

		"count": count, "sum": sum, "max": extreme(1), "min": extreme(-1), "sort": sortedList,
		"plus":  whole2(func(a, b int) (int, bool) { return within(a + b) }),
		"minus": minus,
		"mul":   whole2(product),
		"rem":   whole2(func(a, b int) (int, bool) { return remainder(a, b) }),
		"abs":   abs, "floor": alreadyWhole, "ceil": alreadyWhole, "round": alreadyWhole,
		"to_number": toNumber,

		"internal.member_2": memberOf, "internal.member_3": memberWithKey,
		"object.get": objectGet, "object.keys": objectKeys, "object.union": objectUnion, "object.union_n": objectUnionOfAll, "object.remove": without(true), "object.filter": without(false),
		"array.concat": arrayConcat, "array.slice": arraySlice,
		"and": intersection, "or": union, "union": unionOfAll,
		"walk": walk, "json.marshal": jsonMarshal,

		"concat": concat, "split": split, "replace": replace, "sprintf": sprintf, "substring": substring, "indexof": indexOf,
		"contains":    texts2(func(a, b string) any { return strings.Contains(a, b) }),
		"startswith":  texts2(func(a, b string) any { return strings.HasPrefix(a, b) }),
		"endswith":    texts2(func(a, b string) any { return strings.HasSuffix(a, b) }),
		"trim":        texts2(func(a, b string) any { return strings.Trim(a, b) }),
		"trim_left":   texts2(func(a, b string) any { return strings.TrimLeft(a, b) }),
		"trim_right":  texts2(func(a, b string) any { return strings.TrimRight(a, b) }),
		"trim_prefix": texts2(func(a, b string) any { return strings.TrimPrefix(a, b) }),
		"trim_suffix": texts2(func(a, b string) any { return strings.TrimSuffix(a, b) }),
		"trim_space":  text1(func(a string) any { return strings.TrimSpace(a) }),
		"lower":       text1(func(a string) any { return strings.ToLower(a) }),
		"upper":       text1(func(a string) any { return strings.ToUpper(a) }),
		"regex.match": regexMatch, "re_match": regexMatch, "regex.find_all_string_submatch_n": regexSubmatches, "regex.replace": regexReplace,
		"strings.any_prefix_match": anyAffix(strings.HasPrefix), "strings.any_suffix_match": anyAffix(strings.HasSuffix),
		"units.parse": unitsParse,
	}
}

func count(_ *machine, args []any) (any, bool) {
	if text, ok := args[0].(string); ok {
		return utf8.RuneCountInString(text), true
	}
	n := sizeOf(args[0])
	return n, n >= 0
}

// itemsOf is the items of a list or the elements of a set in order.
func itemsOf(w *watch, v any) ([]any, bool) {
	if set, ok := v.(*Set); ok {
		return set.sorted(w), true
	}
	return listOf(v)
}

const smallNumber = 1 << 31

func small(n int) bool { return -smallNumber < n && n < smallNumber }

// longest has one digit more than the longest whole number here: what is longer is OPA's to reckon with.
const longest = 1_000_000_000_000_000_000

func within(n int) (int, bool) { return n, -longest < n && n < longest }

func product(a, b int) (int, bool) {
	high, low := bits.Mul64(uint64(max(a, -a)), uint64(max(b, -b)))
	return a * b, high == 0 && low < longest
}

func whole2(apply func(a, b int) (int, bool)) func(m *machine, args []any) (any, bool) {
	return func(_ *machine, args []any) (any, bool) {
		a, ok := whole(args[0])
		if !ok {
			return nil, false
		}
		b, ok := whole(args[1])
		if !ok {
			return nil, false
		}
		n, ok := apply(a, b)
		return n, ok
	}
}

func remainder(a, b int) (int, bool) {
	if b == 0 {
		return 0, false
	}
	return a % b, true
}

func minus(m *machine, args []any) (any, bool) {
	a, b, ok := two[*Set](args)
	if !ok {
		return whole2(func(a, b int) (int, bool) { return within(a - b) })(m, args)
	}
	out := &Set{}
	for _, item := range a.items {
		if !b.has(&m.watch, item) {
			out.add(&m.watch, item)
		}
	}
	return out, true
}

func abs(_ *machine, args []any) (any, bool) {
	n, ok := whole(args[0])
	return max(n, -n), ok && small(n)
}

// alreadyWhole is the rounding of small integers, which are what they were.
func alreadyWhole(_ *machine, args []any) (any, bool) {
	n, ok := whole(args[0])
	return n, ok && small(n)
}

func toNumber(_ *machine, args []any) (any, bool) {
	switch value := args[0].(type) {
	case nil:
		return 0, true
	case bool:
		if value {
			return 1, true
		}
		return 0, true
	case int, json.Number:
		return value, true
	case string:
		// What has a leading zero keeps it in OPA.
		if n, ok := wholeText(value); ok && value[0] != '-' && (value[0] != '0' || value == "0") {
			return n, true
		}
	}
	return nil, false
}

func sum(m *machine, args []any) (any, bool) {
	items, ok := itemsOf(&m.watch, args[0])
	total := 0
	for _, item := range items {
		n, plain := whole(item)
		if !plain || !small(n) || !small(total) {
			return nil, false
		}
		total += n
	}
	return total, ok
}

// extreme is the largest (direction 1) or smallest (-1) of some, the last of equal ones.
func extreme(direction int) func(m *machine, args []any) (any, bool) {
	return func(m *machine, args []any) (any, bool) {
		items, ok := listOf(args[0])
		if !ok {
			return nil, false
		}
		if len(items) == 0 {
			return undefined, true
		}
		best := items[0]
		for _, item := range items[1:] {
			if compare(&m.watch, item, best)*direction >= 0 {
				best = item
			}
		}
		return best, true
	}
}

func sortedList(m *machine, args []any) (any, bool) {
	if set, ok := args[0].(*Set); ok {
		return set.sorted(&m.watch), true
	}
	return nil, false
}

func memberOf(m *machine, args []any) (any, bool) {
	switch among := args[1].(type) {
	case *Set:
		return among.has(&m.watch, args[0]), true
	case []any, *Array:
		items, _ := listOf(among)
		for _, item := range items {
			if equal(&m.watch, item, args[0]) {
				return true, true
			}
		}
	case map[string]any, *Object:
		found := false
		eachUnordered(among, func(_, value any) bool {
			found = equal(&m.watch, value, args[0])
			return !found
		})
		return found, true
	}
	return false, true
}

func memberWithKey(m *machine, args []any) (any, bool) {
	if set, ok := args[2].(*Set); ok {
		return set.has(&m.watch, args[0]) && equal(&m.watch, args[0], args[1]), true
	}
	value, there := dot(&m.watch, args[2], args[0])
	return there && equal(&m.watch, value, args[1]), true
}

func objectGet(m *machine, args []any) (any, bool) {
	if !isObject(args[0]) {
		return nil, false
	}
	path, ok := listOf(args[1])
	if !ok {
		if value, there := member(&m.watch, args[0], args[1]); there {
			return value, true
		}
		return args[2], true
	}
	at := args[0]
	for _, step := range path {
		below, there := dot(&m.watch, at, step)
		if !there {
			return args[2], true
		}
		at = below
	}
	return at, true
}

func objectKeys(m *machine, args []any) (any, bool) {
	if !isObject(args[0]) {
		return nil, false
	}
	out := &Set{}
	for _, key := range sortedKeys(&m.watch, args[0]) {
		out.add(&m.watch, key)
	}
	return out, true
}

// objectUnion merges as deep as both have objects under a key; else the second's value holds.
func objectUnion(m *machine, args []any) (any, bool) {
	if !isObject(args[0]) || !isObject(args[1]) {
		return nil, false
	}
	return overwritten(&m.watch, args[0], args[1]), true
}

// maxMerged bounds the objects that are merged here, since each is copied into the next: many are OPA's.
const maxMerged = 16

// objectUnionOfAll merges the first with the second, what comes of it with the third, and so on.
func objectUnionOfAll(m *machine, args []any) (any, bool) {
	objects, ok := listOf(args[0])
	if !ok || len(objects) > maxMerged {
		return nil, false
	}
	var out any = &Object{}
	for _, one := range objects {
		if !isObject(one) {
			return nil, false
		}
		out = overwritten(&m.watch, out, one)
	}
	return out, true
}

func overwritten(w *watch, a, b any) any {
	out := copied(w, a)
	eachUnordered(b, func(key, value any) bool {
		if before, there := out.get(w, key); there && isObject(before) && isObject(value) {
			value = overwritten(w, before, value)
		}
		out.insert(w, key, value)
		return true
	})
	return out
}

// without makes an object of those entries whose keys are not among some, or only of those.
func without(drop bool) func(m *machine, args []any) (any, bool) {
	return func(m *machine, args []any) (any, bool) {
		if !isObject(args[0]) {
			return nil, false
		}
		keys := &Set{}
		switch among := args[1].(type) {
		case *Set:
			keys = among
		case []any, *Array:
			items, _ := listOf(among)
			for _, item := range items {
				keys.add(&m.watch, item)
			}
		case map[string]any, *Object:
			eachUnordered(among, func(key, _ any) bool {
				keys.add(&m.watch, key)
				return true
			})
		default:
			return nil, false
		}
		out := &Object{}
		eachUnordered(args[0], func(key, value any) bool {
			if keys.has(&m.watch, key) != drop {
				out.insert(&m.watch, key, value)
			}
			return true
		})
		return out, true
	}
}

func arrayConcat(_ *machine, args []any) (any, bool) {
	a, isList := listOf(args[0])
	b, isOther := listOf(args[1])
	if !isList || !isOther {
		return nil, false
	}
	return append(append(make([]any, 0, len(a)+len(b)), a...), b...), true
}

func arraySlice(_ *machine, args []any) (any, bool) {
	items, ok := listOf(args[0])
	if !ok {
		return nil, false
	}
	from, ok := whole(args[1])
	if !ok {
		return nil, false
	}
	to, ok := whole(args[2])
	if !ok {
		return nil, false
	}
	to = min(max(to, 0), len(items))
	from = min(max(from, 0), to)
	return items[from:to:to], true
}

func intersection(m *machine, args []any) (any, bool) {
	a, b, ok := two[*Set](args)
	if !ok || len(a.items) > smallSize || len(b.items) > smallSize {
		return nil, false
	}
	out := &Set{}
	for _, item := range a.items {
		if b.has(&m.watch, item) {
			out.add(&m.watch, item)
		}
	}
	return out, true
}

// two are arguments of one type.
func two[T any](args []any) (a, b T, ok bool) {
	a, isFirst := args[0].(T)
	b, isSecond := args[1].(T)
	return a, b, isFirst && isSecond
}

func union(m *machine, args []any) (any, bool) { return joined(&m.watch, args[:2]) }

// joined is the union of values that must be sets.
func joined(w *watch, sets []any) (any, bool) {
	out := &Set{}
	for _, one := range sets {
		set, ok := one.(*Set)
		if !ok {
			return nil, false
		}
		for _, item := range set.items {
			out.add(w, item)
		}
	}
	return out, true
}

func unionOfAll(m *machine, args []any) (any, bool) {
	sets, ok := args[0].(*Set)
	if !ok {
		return nil, false
	}
	return joined(&m.watch, sets.sorted(&m.watch))
}

// maxWalked bounds the steps of all paths of one walk, which are held at once here:
// in a document of 10,000 levels they are fifty million. Topdown yields one by one.
const maxWalked = 1 << 20

var errWalked = errors.New("what is walked is too large or too deep")

// walk is a list of pairs of a path and what lies there.
func walk(m *machine, args []any) (any, bool) {
	out, steps := &Array{}, 0
	var visit func(path []any, value any)
	visit = func(path []any, value any) {
		if steps += 1 + len(path); steps > maxWalked {
			panic(errWalked)
		}
		m.watch.step()
		out.items = append(out.items, []any{path, value})
		below := func(key, value any) {
			visit(append(path[:len(path):len(path)], key), value)
		}
		switch value := value.(type) {
		case []any, *Array:
			items, _ := listOf(value)
			for i, item := range items {
				below(i, item)
			}
		case map[string]any, *Object:
			for _, key := range sortedKeys(&m.watch, value) {
				item, _ := member(&m.watch, value, key)
				below(key, item)
			}
		case *Set:
			for _, item := range value.sorted(&m.watch) {
				below(item, item)
			}
		}
	}
	visit([]any{}, args[0])
	return out, true
}

// jsonMarshal is mine for what the document holds as it is.
func jsonMarshal(_ *machine, args []any) (any, bool) {
	switch value := args[0].(type) {
	case nil:
		return "null", true
	case bool:
		if value {
			return "true", true
		}
		return "false", true
	case int, map[string]any, []any, json.Number, string:
		if !decoded(value) {
			return nil, false
		}
		text, err := json.Marshal(value)
		return string(text), err == nil
	}
	return nil, false
}

// decoded tells whether a value consists of what JSON decodes to.
func decoded(v any) bool {
	return everyLeaf(v, func(leaf any) bool {
		switch leaf.(type) {
		case *Array, *Object, *Set:
			return false
		}
		return true
	})
}

func text1(apply func(a string) any) func(m *machine, args []any) (any, bool) {
	return func(_ *machine, args []any) (any, bool) {
		a, ok := args[0].(string)
		if !ok {
			return nil, false
		}
		return apply(a), true
	}
}

func texts2(apply func(a, b string) any) func(m *machine, args []any) (any, bool) {
	return func(_ *machine, args []any) (any, bool) {
		a, b, ok := two[string](args)
		if !ok {
			return nil, false
		}
		return apply(a, b), true
	}
}

// maxText is how long a text may be that is made here, and how many parts it may be
// split into. More is OPA's, which looks at the cancel flag on the way and has its bounds.
const maxText = 1 << 16

func textsOf(w *watch, v any) ([]string, int, bool) {
	items, ok := itemsOf(w, v)
	if !ok {
		return nil, 0, false
	}
	out, length := make([]string, len(items)), 0
	for i, item := range items {
		text, ok := item.(string)
		if !ok {
			return nil, 0, false
		}
		out[i] = text
		length += len(text)
	}
	return out, length, true
}

func concat(m *machine, args []any) (any, bool) {
	by, ok := args[0].(string)
	if !ok {
		return nil, false
	}
	texts, length, ok := textsOf(&m.watch, args[1])
	if !ok || length+len(texts)*len(by) > maxText {
		return nil, false
	}
	return strings.Join(texts, by), true
}

func split(_ *machine, args []any) (any, bool) {
	text, by, ok := two[string](args)
	if !ok || by == "" {
		return nil, false
	}
	parts := strings.Count(text, by) + 1
	if parts > maxText {
		return nil, false
	}
	out := make([]any, 0, parts)
	for part := range strings.SplitSeq(text, by) {
		out = append(out, part)
	}
	return out, true
}

func replace(_ *machine, args []any) (any, bool) {
	text, old, ok := two[string](args)
	if !ok || old == "" {
		return nil, false
	}
	by, ok := args[2].(string)
	if !ok || len(text)*(len(by)+1) > maxText {
		return nil, false
	}
	return strings.ReplaceAll(text, old, by), true
}

func ascii(text string) bool {
	for i := range len(text) {
		if text[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

func substring(_ *machine, args []any) (any, bool) {
	text, ok := args[0].(string)
	if !ok || !ascii(text) {
		return nil, false
	}
	from, ok := whole(args[1])
	if !ok || from < 0 {
		return nil, false
	}
	length, ok := whole(args[2])
	if !ok {
		return nil, false
	}
	from = min(from, len(text))
	if length < 0 {
		return text[from:], true
	}
	return text[from : from+min(length, len(text)-from)], true
}

func indexOf(_ *machine, args []any) (any, bool) {
	text, part, ok := two[string](args)
	if !ok || part == "" || !ascii(text) || !ascii(part) {
		return nil, false
	}
	return strings.Index(text, part), true
}

// sprintf is mine for %s and %v of texts and %d and %v of integers.
func sprintf(_ *machine, args []any) (any, bool) {
	format, ok := args[0].(string)
	if !ok {
		return nil, false
	}
	values, ok := listOf(args[1])
	if !ok {
		return nil, false
	}
	out := make([]byte, 0, len(format)+16*len(values))
	for len(out) <= maxText {
		at := strings.IndexByte(format, '%')
		if at < 0 {
			break
		}
		out = append(out, format[:at]...)
		if at+1 == len(format) || len(values) == 0 {
			return nil, false
		}
		verb, value := format[at+1], values[0]
		format, values = format[at+2:], values[1:]
		switch value := value.(type) {
		case string:
			if verb != 's' && verb != 'v' {
				return nil, false
			}
			out = append(out, value...)
		case int, json.Number:
			n, plain := whole(value)
			if !plain || verb != 'd' && verb != 'v' {
				return nil, false
			}
			out = fmt.Append(out, n)
		default:
			return nil, false
		}
	}
	if len(values) > 0 || len(out)+len(format) > maxText {
		return nil, false
	}
	return string(append(out, format...)), true
}

func anyAffix(match func(text, affix string) bool) func(m *machine, args []any) (any, bool) {
	return func(m *machine, args []any) (any, bool) {
		sides := [2][]string{}
		for i, arg := range args {
			if text, ok := arg.(string); ok {
				sides[i] = []string{text}
				continue
			}
			texts, _, ok := textsOf(&m.watch, arg)
			if !ok {
				return nil, false
			}
			sides[i] = texts
		}
		if len(sides[0])*len(sides[1]) > smallSize*smallSize {
			return nil, false
		}
		for _, text := range sides[0] {
			for _, affix := range sides[1] {
				if match(text, affix) {
					return true, true
				}
			}
		}
		return false, true
	}
}

func regexMatch(m *machine, args []any) (any, bool) {
	pattern, ok := args[0].(string)
	if !ok {
		return nil, false
	}
	text, ok := args[1].(string)
	if !ok {
		return nil, false
	}
	compiled := m.program.patterns.get(pattern)
	if compiled == nil {
		return nil, false
	}
	return compiled.MatchString(text), true
}

func regexReplace(m *machine, args []any) (any, bool) {
	text, pattern, ok := two[string](args)
	if !ok {
		return nil, false
	}
	by, ok := args[2].(string)
	if !ok || strings.Contains(by, "$") || (len(text)+1)*(len(by)+1) > maxText {
		return nil, false
	}
	compiled := m.program.patterns.get(pattern)
	if compiled == nil {
		return nil, false
	}
	return compiled.ReplaceAllLiteralString(text, by), true
}

func regexSubmatches(m *machine, args []any) (any, bool) {
	pattern, ok := args[0].(string)
	if !ok {
		return nil, false
	}
	text, ok := args[1].(string)
	if !ok {
		return nil, false
	}
	n, ok := whole(args[2])
	if !ok {
		return nil, false
	}
	compiled := m.program.patterns.get(pattern)
	if compiled == nil {
		return nil, false
	}
	found := compiled.FindAllStringSubmatch(text, n)
	out := make([]any, len(found))
	for i, groups := range found {
		inner := make([]any, len(groups))
		for j, group := range groups {
			inner[j] = group
		}
		out[i] = inner
	}
	return out, true
}

// units of quantities that are whole numbers as they stand. Milli and fractions
// are OPA's, which reckons with rationals.
var units = map[string]int{
	"": 1, "k": 1000, "K": 1000, "M": 1e6, "G": 1e9, "g": 1e9, "Ki": 1 << 10, "ki": 1 << 10, "Mi": 1 << 20, "mi": 1 << 20, "Gi": 1 << 30, "gi": 1 << 30,
}

func unitsParse(_ *machine, args []any) (any, bool) {
	text, ok := args[0].(string)
	if !ok {
		return nil, false
	}
	digits := 0
	for digits < len(text) && text[digits] >= '0' && text[digits] <= '9' {
		digits++
	}
	n, ok := wholeText(text[:digits])
	unit, known := units[text[digits:]]
	if !ok || !known || n > smallNumber {
		return nil, false
	}
	return n * unit, true
}
