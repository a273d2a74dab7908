package plan

import (
	"encoding/json"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/open-policy-agent/opa/v1/ast"
)

// Bounds of what is kept of each function, and of all together.
const (
	mostOfFunction = 64      // results
	mostMisses     = 1024    // once there are so many, and no more that were kept: then its arguments differ mostly
	mostKept       = 1 << 15 // values, a long text counting as several
	longestText    = 128     // of an argument
)

// Kept is what functions returned that depend on their arguments, the data and the
// fixed keys of the input alone. Whoever asks gives one Kept to all questions that
// have the same under these keys; where there is data nothing is kept. Any number
// of evaluations may share it.
type Kept struct {
	mu        sync.Mutex
	functions []keptFunction
	values    int
}

// keptFunction is what is kept of one function. The map is never changed: another
// one takes its place, so that to read takes no lock.
type keptFunction struct {
	results atomic.Pointer[map[arguments]any]
	misses  atomic.Int32
	hits    atomic.Int32
}

// arguments of a function, undefined where it has fewer.
type arguments [3]any

// Keep makes room for what the program's functions return.
func (p *Program) Keep() *Kept { return &Kept{functions: make([]keptFunction, len(p.functions))} }

// argumentsOf are arguments to find a result by, if they are few and plain.
func argumentsOf(values []any) (out arguments, plain bool) {
	if len(values) > len(out) {
		return out, false
	}
	for i, value := range values {
		switch value := value.(type) {
		case string:
			if len(value) > longestText {
				return out, false
			}
		case json.Number:
			if len(value) > longestText {
				return out, false
			}
		case bool, int, nil:
		default:
			return out, false
		}
		out[i] = value
	}
	for i := len(values); i < len(out); i++ {
		out[i] = undefined
	}
	return out, true
}

func (k *Kept) get(function int32, of arguments) (value any, known bool) {
	if results := k.functions[function].results.Load(); results != nil {
		if value, known = (*results)[of]; known {
			k.functions[function].hits.Add(1)
		}
	}
	return value, known
}

// wants tells whether to look for the results of a function.
func (k *Kept) wants(function int32) bool { return k.functions[function].misses.Load() < mostMisses }

func (k *Kept) put(w *watch, function int32, of arguments, value any) {
	kept := &k.functions[function]
	if kept.misses.Add(1) == mostMisses && kept.hits.Swap(0) > mostMisses {
		kept.misses.Store(0)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	before := kept.results.Load()
	if k.values >= mostKept || before != nil && len(*before) >= mostOfFunction {
		return
	}
	size := freeze(w, value, mostKept-k.values)
	if size > mostKept-k.values {
		kept.misses.Store(mostMisses)
		return
	}
	k.values += size
	after := map[arguments]any{of: value}
	if before != nil {
		for key, known := range *before {
			after[key] = known
		}
	}
	kept.results.Store(&after)
}

// freeze makes a value ready to be shared: what is worked out when first asked for
// is worked out now. It tells the value's size, and stops where that passes a bound.
func freeze(w *watch, value any, bound int) int {
	w.step()
	size := 1
	within := func(value any) bool {
		size += freeze(w, value, bound-size)
		return size <= bound
	}
	switch value := value.(type) {
	case string:
		size += len(value) / 16
	case []any:
		for _, item := range value {
			if !within(item) {
				break
			}
		}
	case *Array:
		for _, item := range value.items {
			if !within(item) {
				break
			}
		}
	case map[string]any:
		eachUnordered(value, func(_, item any) bool { return within(item) })
	case *Object:
		value.sorted(w)
		seal(value)
		for _, one := range value.entries {
			if !within(one.key) || !within(one.value) {
				break
			}
		}
	case *Set:
		value.sorted(w)
		seal(value)
		for _, item := range value.items {
			if !within(item) {
				break
			}
		}
	}
	return size
}

// findFixed finds the functions whose results depend on their arguments, the data
// and the fixed keys of the input alone.
func (p *Program) findFixed(fixed []string) {
	keys := map[any]bool{}
	for _, key := range fixed {
		keys[key] = true
	}
	for _, fn := range p.functions {
		fn.fixed = len(fixed) > 0 && p.ownIsFixed(fn, keys)
	}
	for changed := true; changed; {
		changed = false
		for _, fn := range p.functions {
			if fn.fixed && !p.callsFixed(fn) {
				fn.fixed, changed = false, true
			}
		}
	}
}

// callsFixed tells whether all that a function may call is fixed.
func (p *Program) callsFixed(fn *function) bool {
	for _, one := range fn.code {
		switch one.op {
		case opCall:
			if !p.functions[p.calls[one.a].function].fixed {
				return false
			}
		case opDynamic:
			if !p.dynamic.all(p, p.calls[one.a].path, func(function int32) bool { return p.functions[function].fixed }) {
				return false
			}
		}
	}
	return true
}

// all tells whether something holds of each function that a computed path may lead to.
func (at *paths) all(p *Program, path []int32, holds func(function int32) bool) bool {
	if len(path) == 0 {
		return !at.ends || holds(at.function)
	}
	for step, below := range at.below {
		if path[0] < 0 && p.constants[^path[0]] != any(step) {
			continue
		}
		if !below.all(p, path[1:], holds) {
			return false
		}
	}
	return true
}

// ownIsFixed looks at all that a function does but at what it calls.
func (p *Program) ownIsFixed(fn *function, keys map[any]bool) bool {
	// The first local is the input.
	base := func(operands ...int32) bool { return slices.Contains(operands, 0) }
	for _, one := range fn.code {
		mayVary := false
		switch one.op {
		case opJump, opNext, opReset, opMakeArray, opMakeObject, opMakeSet:
		case opReturn, opLen, opScan, opAssign, opAssignOnce, opIsArray, opIsObject, opIsSet, opIsDefined, opIsUndefined:
			mayVary = base(one.a)
		case opDotText:
			mayVary = base(one.a) && (one.a != 0 || !keys[p.constants[^one.b]])
		case opDot, opDotData, opEqual, opNotEqual, opMerge:
			mayVary = base(one.a, one.b)
		case opAppend, opAdd:
			mayVary = base(one.b)
		case opInsert, opInsertOnce:
			mayVary = base(one.b, one.c)
		case opCall:
			args := p.calls[one.a].args
			mayVary = args[0] != 0 || args[1] != 1 || base(args[2:]...)
		case opDynamic:
			called := &p.calls[one.a]
			mayVary = called.args[0] != 0 || called.args[1] != 1 || base(called.args[2:]...) || base(called.path...)
		case opBuiltin:
			called := &p.calls[one.a]
			mayVary = base(called.args...) || called.builtin.void || !called.builtin.constant
		default:
			mayVary = true
		}
		if mayVary {
			return false
		}
	}
	return true
}

// isConstant tells whether a built-in gives the same for the same arguments.
func isConstant(name string) bool {
	known := ast.BuiltinMap[name]
	return known != nil && !known.Nondeterministic
}
