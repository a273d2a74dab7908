package plan

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/metrics"
	"github.com/open-policy-agent/opa/v1/topdown"
	"github.com/open-policy-agent/opa/v1/topdown/builtins"
	"github.com/open-policy-agent/opa/v1/topdown/cache"
)

// ErrCancelled is what an evaluation ends with that was cancelled.
var ErrCancelled = errors.New("the evaluation was cancelled")

// ErrEnough is what an early evaluation ends with that found enough.
var ErrEnough = errors.New("enough was found")

// maxCalls bounds calls within calls. OPA's compiler refuses recursion, so only
// a policy of that many rules could need more.
const maxCalls = 10_000

// Question is what a program is asked. Input and Data are decoded JSON, or what
// a list of this package's values holds; undefined when there is no such thing.
type Question struct {
	Input  any // Undefined for none
	Data   map[string]any
	Cancel topdown.Cancel             // may be nil
	Values cache.InterQueryValueCache // of OPA's functions, may be nil
	Time   time.Time                  // that rules see, now when zero
	Strict bool                       // errors of built-ins end the evaluation
	// Early asks for what was found of the set that the query is about when the
	// evaluation is cancelled, and ends it with Enough elements (0 for no bound).
	Early  bool
	Enough int
	Kept   *Kept // may be nil
}

// Undefined is an input that is not there.
var Undefined = undefined

// Answer is what an evaluation found.
type Answer struct {
	Results []*Object       // for each solution of the query, its variables
	Errors  []topdown.Error // of built-ins, which were undefined to the rules
	Early   *Set            // see Question
}

// frame is what a call keeps beside its locals.
type machine struct {
	program *Program
	ask     Question
	answer  Answer
	stack   []any   // locals of the calls under way
	scans   []scan  // of the calls under way
	withs   []saved // of the calls under way
	watch   watch
	calls   int
	highest int   // length that the stack had
	args    []any // of the built-in under way

	memo        []remembered // by function
	generation  uint32       // of input and data
	generations []generation // that are in force
	lastNumber  uint32

	context *topdown.BuiltinContext // of OPA's functions, made when first asked for
}

// remembered is what a function of input and data returned.
type remembered struct {
	generation uint32
	value      any
}

// generation numbers a pair of input and data, so that what functions returned
// is known again when a `with` has ended.
type generation struct {
	number      uint32
	input, data any
}

// saved is what a `with` replaced.
type saved struct {
	value      any
	generation uint32
}

// scan is a loop over a value: over a list's items, a set's elements (which are
// their own keys), or an object's keys in order.
type scan struct {
	kind   byte // 'l', 's', 'm' (a decoded object), 'o'
	next   int
	count  int
	items  []any
	names  []string
	source any
	order  []int32
}

var machines = sync.Pool{New: func() any { return &machine{} }}

// Ask evaluates the query. An error says only that there is no answer: OPA's own
// evaluator must be asked, and its errors be told.
func (p *Program) Ask(ask Question) (answer Answer, err error) {
	m := machines.Get().(*machine)
	m.program, m.ask, m.answer = p, ask, Answer{}
	m.stack, m.scans, m.withs = m.stack[:0], m.scans[:0], m.withs[:0]
	m.calls, m.highest, m.lastNumber, m.generation, m.context = 0, 0, 1, 1, nil
	m.watch = watch{cancel: ask.Cancel}
	if len(m.memo) < len(p.functions) {
		m.memo = make([]remembered, len(p.functions))
	}
	clear(m.memo)
	var data any = ask.Data
	if ask.Data == nil {
		data = map[string]any{}
	}
	m.generations = append(m.generations[:0], generation{1, ask.Input, data})
	finished := false
	defer func() {
		if !finished {
			switch r := recover(); r {
			case ErrCancelled:
				answer, err = m.answer, ErrCancelled
			default:
				err = fmt.Errorf("the plan cannot be evaluated: %v", r)
			}
			return // the machine is not used again
		}
		if !errors.Is(err, ErrEnough) && !errors.Is(err, ErrCancelled) {
			answer.Early = nil
		}
		m.forget()
		machines.Put(m)
	}()
	_, err = m.run(p.query, [2]any{ask.Input, data}, nil)
	answer = m.answer
	finished = true
	return answer, err
}

// forget lets go of what an evaluation held.
func (m *machine) forget() {
	clear(m.stack[:m.highest])
	for i := range m.scans[:cap(m.scans)] {
		one := &m.scans[:cap(m.scans)][i]
		clear(one.names)
		*one = scan{names: one.names[:0]}
	}
	clear(m.withs[:cap(m.withs)])
	clear(m.args[:cap(m.args)])
	clear(m.memo)
	clear(m.generations[:cap(m.generations)])
	m.program, m.ask, m.answer, m.context = nil, Question{}, Answer{}, nil
	const keep = 1 << 14
	if cap(m.stack) > keep {
		m.stack = nil
	}
}

// blank is what locals are before they have a value.
var blank = slices.Repeat([]any{undefined}, 256)

func grown[T any](list []T, by int) []T {
	if need := len(list) + by; need <= cap(list) {
		return list[:need]
	}
	return append(list, make([]T, by)...)
}

// run calls a function, with the first two arguments and the rest as operands
// of the caller, whose locals lie at the end of the stack before this call.
func (m *machine) run(fn *function, first [2]any, more []any) (any, error) {
	if m.calls++; m.calls > maxCalls {
		return nil, errors.New("calls are nested too deep")
	}
	base, scanBase, withBase, outer := len(m.stack), len(m.scans), len(m.withs), m.generation
	m.stack = grown(m.stack, fn.locals)
	m.highest = max(m.highest, len(m.stack))
	m.scans, m.withs = grown(m.scans, fn.scans), grown(m.withs, fn.withs)
	frame := m.stack[base:]
	for rest := frame; len(rest) > 0; rest = rest[copy(rest, blank):] {
	}
	frame[0], frame[1] = first[0], first[1]
	for i, value := range more {
		frame[fn.params[i+2]] = value
	}
	value, err := m.execute(fn, base, scanBase, withBase)
	m.stack, m.scans, m.withs = m.stack[:base], m.scans[:scanBase], m.withs[:withBase]
	m.generation = outer
	m.calls--
	return value, err
}

func (m *machine) execute(fn *function, base, scanBase, withBase int) (any, error) {
	w, program := &m.watch, m.program
	constants := program.constants
	code := fn.code
	frame := m.stack[base : base+fn.locals]
	for pc := 0; ; {
		at := &code[pc]
		pc++
		switch at.op {
		case opJump:
			pc = int(at.fail)
		case opReturn:
			return operand(frame, constants, at.a), nil
		case opResult:
			object, ok := frame[at.a].(*Object)
			if !ok {
				return nil, errors.New("a result is no object")
			}
			m.answer.Results = append(m.answer.Results, object)
		case opCall:
			one := &program.calls[at.a]
			value, err := m.call(one, one.function, frame)
			if err != nil {
				return nil, err
			}
			frame = m.stack[base : base+fn.locals]
			frame[at.c] = value
			if isUndefined(value) {
				pc = int(at.fail)
			}
		case opDynamic:
			one := &program.calls[at.a]
			function, known := m.find(one, frame)
			if !known {
				pc = int(at.fail)
				break
			}
			value, err := m.call(one, function, frame)
			if err != nil {
				return nil, err
			}
			frame = m.stack[base : base+fn.locals]
			frame[at.c] = value
		case opBuiltin:
			one := &program.calls[at.a]
			m.args = m.args[:0]
			missing := false
			for _, arg := range one.args {
				value := operand(frame, constants, arg)
				missing = missing || isUndefined(value)
				m.args = append(m.args, value)
			}
			value, err := undefined, error(nil)
			if !missing {
				if value, err = m.builtin(one); err != nil {
					return nil, err
				}
			}
			frame[at.c] = value
			if isUndefined(value) {
				pc = int(at.fail)
			}
		case opDot, opDotData:
			if at.op == opDotData {
				// In its storage, and nowhere else, OPA finds the key "2" by the number 2.
				if object, ok := operand(frame, constants, at.a).(map[string]any); ok && rank(operand(frame, constants, at.b)) == 2 {
					if _, there := object[string(numberOf(operand(frame, constants, at.b)))]; there {
						return nil, errors.New("a number is a key of a base document")
					}
				}
			}
			value, there := dot(w, operand(frame, constants, at.a), operand(frame, constants, at.b))
			if !there {
				frame[at.c] = undefined
				pc = int(at.fail)
				break
			}
			frame[at.c] = value
		case opDotText:
			source := operand(frame, constants, at.a)
			var value any
			var there bool
			if object, ok := source.(map[string]any); ok {
				value, there = object[constants[^at.b].(string)]
			} else {
				value, there = dot(w, source, constants[^at.b])
			}
			if !there {
				frame[at.c] = undefined
				pc = int(at.fail)
				break
			}
			frame[at.c] = value
		case opLen:
			n := sizeOf(operand(frame, constants, at.a))
			if n < 0 {
				return nil, errors.New("the length of what has none")
			}
			frame[at.c] = n
		case opScan:
			if !m.scans[scanBase+int(at.b)].begin(w, frame[at.a]) {
				pc = int(at.fail)
			}
		case opNext:
			w.step()
			if !m.scans[scanBase+int(at.a)].step(&frame[at.b], &frame[at.c]) {
				pc = int(at.fail)
			}
		case opAssign:
			frame[at.c] = operand(frame, constants, at.a)
		case opAssignOnce:
			value := operand(frame, constants, at.a)
			if before := frame[at.c]; !isUndefined(before) && !equal(w, before, value) {
				return nil, conflict(topdown.ConflictErr, "a rule or function has conflicting values")
			}
			if isUndefined(frame[at.c]) {
				frame[at.c] = value
			}
		case opReset:
			frame[at.c] = undefined
		case opMakeArray:
			frame[at.c] = newArray(int(at.a))
		case opMakeObject:
			frame[at.c] = &Object{}
		case opMakeSet:
			frame[at.c] = &Set{}
		case opMakeWatched:
			set := &Set{}
			frame[at.c] = set
			if m.ask.Early {
				m.answer.Early = set
			}
		case opEqual:
			if !equal(w, operand(frame, constants, at.a), operand(frame, constants, at.b)) {
				pc = int(at.fail)
			}
		case opNotEqual:
			if equal(w, operand(frame, constants, at.a), operand(frame, constants, at.b)) {
				pc = int(at.fail)
			}
		case opIsArray:
			if _, is := listOf(operand(frame, constants, at.a)); !is {
				pc = int(at.fail)
			}
		case opIsObject:
			if !isObject(operand(frame, constants, at.a)) {
				pc = int(at.fail)
			}
		case opIsSet:
			if _, is := operand(frame, constants, at.a).(*Set); !is {
				pc = int(at.fail)
			}
		case opIsDefined:
			if isUndefined(frame[at.a]) {
				pc = int(at.fail)
			}
		case opIsUndefined:
			if !isUndefined(frame[at.a]) {
				pc = int(at.fail)
			}
		case opAppend:
			list := frame[at.a].(*Array)
			list.items = append(list.items, operand(frame, constants, at.b))
		case opInsert:
			object, ok := frame[at.a].(*Object)
			if !ok || object.sealed {
				return nil, errShared
			}
			object.insert(w, operand(frame, constants, at.b), operand(frame, constants, at.c))
		case opInsertOnce:
			object, ok := frame[at.a].(*Object)
			if !ok || object.sealed {
				return nil, errShared
			}
			key, value := operand(frame, constants, at.b), operand(frame, constants, at.c)
			if before, there := object.get(w, key); !there {
				object.insert(w, key, seal(value))
			} else if !equal(w, before, value) {
				return nil, conflict(topdown.ConflictErr, "object keys must be unique")
			}
		case opMerge:
			merged, err := merge(w, frame[at.a], frame[at.b])
			if err != nil {
				return nil, err
			}
			frame[at.c] = merged
		case opAdd:
			set, ok := frame[at.a].(*Set)
			if !ok || set.sealed {
				return nil, errShared
			}
			w.step()
			set.add(w, operand(frame, constants, at.b))
			if set == m.answer.Early && m.ask.Enough > 0 && set.Len() >= m.ask.Enough {
				return nil, ErrEnough
			}
		case opWith:
			change := &program.upserts[at.a]
			m.withs[withBase+int(change.slot)] = saved{frame[change.local], m.generation}
			value, err := replaced(w, frame[change.local], change.path, operand(frame, constants, change.value))
			if err != nil {
				return nil, err
			}
			frame[change.local] = value
			m.generations = append(m.generations, m.generationOf(frame[0], frame[1]))
			m.generation = m.generations[len(m.generations)-1].number
		case opEndWith:
			change := &program.upserts[at.a]
			before := m.withs[withBase+int(change.slot)]
			frame[change.local], m.generation = before.value, before.generation
			m.generations = m.generations[:len(m.generations)-1]
		}
	}
}

// errShared: a value would be changed that is also the value of something else,
// such as a document.
var errShared = errors.New("a value that must not change would be changed")

func conflict(code, message string) error { return &topdown.Error{Code: code, Message: message} }

// seal marks a value that a rule took as a whole: entries of rules that come
// later must not be put into it.
func seal(value any) any {
	switch value := value.(type) {
	case *Object:
		if !value.sealed { // what evaluations share is
			value.sealed = true
		}
	case *Set:
		if !value.sealed {
			value.sealed = true
		}
	}
	return value
}

func isObject(value any) bool {
	switch value.(type) {
	case map[string]any, *Object:
		return true
	}
	return false
}

func (m *machine) call(one *call, function int32, frame []any) (any, error) {
	m.watch.step()
	if one.memo {
		if known := &m.memo[function]; known.generation == m.generation {
			return known.value, nil
		}
	}
	fn, constants := m.program.functions[function], m.program.constants
	first := [2]any{operand(frame, constants, one.args[0]), operand(frame, constants, one.args[1])}
	var few [6]any
	more := few[:0]
	for _, arg := range one.args[2:] {
		more = append(more, operand(frame, constants, arg))
	}
	var of arguments
	// A `with` may have changed what is fixed.
	keeps := fn.fixed && m.ask.Kept != nil && m.ask.Data == nil && m.generation == 1 && m.ask.Kept.wants(function)
	if keeps {
		if of, keeps = argumentsOf(more); keeps {
			if value, known := m.ask.Kept.get(function, of); known {
				return value, nil
			}
		}
	}
	faults := len(m.answer.Errors)
	value, err := m.run(fn, first, more)
	if err != nil {
		return nil, err
	}
	if keeps && len(m.answer.Errors) == faults {
		m.ask.Kept.put(&m.watch, function, of, value)
	}
	if one.memo {
		m.memo[function] = remembered{m.generation, value}
	}
	return value, nil
}

// operand is a local, or a constant.
func operand(frame, constants []any, at int32) any {
	if at >= 0 {
		return frame[at]
	}
	return constants[^at]
}

// find is the function at a computed path.
func (m *machine) find(one *call, frame []any) (int32, bool) {
	at := &m.program.dynamic
	for _, operandAt := range one.path {
		step, text := operand(frame, m.program.constants, operandAt).(string)
		if !text {
			return 0, false
		}
		if at = at.below[step]; at == nil {
			return 0, false
		}
	}
	return at.function, at.ends && len(m.program.functions[at.function].params) == len(one.args)
}

func (s *scan) begin(w *watch, source any) bool {
	s.next, s.count, s.source = 0, max(0, sizeOf(source)), source
	switch source := source.(type) {
	case []any:
		s.kind, s.items = 'l', source
	case *Array:
		s.kind, s.items = 'l', source.items
	case *Set:
		s.kind, s.items = 's', source.sorted(w)
	case map[string]any:
		s.kind, s.names = 'm', s.names[:0]
		for name := range source {
			s.names = append(s.names, name)
		}
		slices.Sort(s.names)
	case *Object:
		s.kind, s.order = 'o', source.sorted(w)
	}
	return s.count > 0
}

func (s *scan) step(key, value *any) bool {
	at := s.next
	if at >= s.count {
		return false
	}
	s.next++
	switch s.kind {
	case 'l':
		*key, *value = at, s.items[at]
	case 's':
		*key, *value = s.items[at], s.items[at]
	case 'm':
		*key, *value = s.names[at], s.source.(map[string]any)[s.names[at]]
	case 'o':
		one := s.source.(*Object).entries[s.order[at]]
		*key, *value = one.key, one.value
	}
	return true
}

// replaced is a value with another one at a path. What lies on the way and is no
// object makes room for one.
func replaced(w *watch, value any, path []string, with any) (any, error) {
	if len(path) == 0 {
		return with, nil
	}
	out := &Object{}
	if isObject(value) {
		out = copied(w, value)
	}
	below, there := out.get(w, path[0])
	if !there {
		below = undefined
	}
	below, err := replaced(w, below, path[1:], with)
	out.insert(w, path[0], below)
	return out, err
}

// merge is the union of two objects, as deep as both have objects under a key.
func merge(w *watch, a, b any) (any, error) {
	if !isObject(a) || !isObject(b) {
		return nil, conflict(topdown.WithMergeErr, "real and replacement data could not be merged")
	}
	out := copied(w, a)
	var failed error
	eachUnordered(b, func(key, value any) bool {
		if before, there := out.get(w, key); there {
			if value, failed = merge(w, before, value); failed != nil {
				return false
			}
		}
		out.insert(w, key, value)
		return true
	})
	return out, failed
}

// generationOf finds the number of a pair of input and data, which is that of one
// in force when both are the very same.
func (m *machine) generationOf(input, data any) generation {
	for i := len(m.generations) - 1; i >= 0; i-- {
		if one := m.generations[i]; same(one.input, input) && same(one.data, data) {
			return one
		}
	}
	m.lastNumber++
	return generation{m.lastNumber, input, data}
}

// builtin calls one of OPA's functions, or what does the same for plain cases.
func (m *machine) builtin(one *call) (any, error) {
	if native := one.builtin.native; native != nil {
		if value, mine := native(m, m.args); mine {
			return value, nil
		}
	}
	m.watch.look()
	terms := make([]*ast.Term, len(m.args))
	for i, arg := range m.args {
		terms[i] = ast.NewTerm(valueOf(&m.watch, arg))
	}
	if m.context == nil {
		at := m.ask.Time
		if at.IsZero() {
			at = time.Now()
		}
		m.context = &topdown.BuiltinContext{
			Context: context.Background(), Seed: rand.Reader, Time: ast.NumberTerm(json.Number(strconv.FormatInt(at.UnixNano(), 10))),
			// Some functions count their hits without a look whether anybody counts.
			Metrics: metrics.NoOp(),
			Cancel:  m.ask.Cancel, Cache: builtins.Cache{}, InterQueryBuiltinValueCache: m.ask.Values,
			Capabilities: m.program.compiler.Capabilities(),
		}
	}
	m.context.Location = ast.NewLocation(nil, one.location.file, one.location.row, one.location.col)
	value := undefined
	if one.builtin.void {
		value = true
	}
	err := one.builtin.function(*m.context, terms, func(term *ast.Term) error {
		if term != nil {
			value = nativeOf(&m.watch, term.Value)
		}
		return nil
	})
	if err == nil {
		return value, nil
	}
	if topdown.IsCancel(err) {
		return nil, ErrCancelled
	}
	var halt topdown.Halt
	if errors.As(err, &halt) {
		return nil, halt.Err
	}
	var failure *topdown.Error
	if !errors.As(err, &failure) || m.ask.Strict {
		return nil, err
	}
	m.answer.Errors = append(m.answer.Errors, *failure)
	return undefined, nil
}
