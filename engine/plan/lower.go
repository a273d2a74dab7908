package plan

import (
	"encoding/json"
	"fmt"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/ir"
)

type opcode uint8

const (
	opJump opcode = iota
	opReturn
	opResult
	opCall
	opBuiltin
	opDynamic
	opDot
	opDotText
	opDotData
	opLen
	opScan
	opNext
	opAssign
	opAssignOnce
	opReset
	opMakeArray
	opMakeObject
	opMakeSet
	opMakeWatched // the set that the query is about
	opEqual
	opNotEqual
	opIsArray
	opIsObject
	opIsSet
	opIsDefined
	opIsUndefined
	opAppend
	opInsert
	opInsertOnce
	opMerge
	opAdd
	opWith
	opEndWith
)

// instruction is one step. Operands a, b and c are locals, or constants when
// they are negative (^index), or indices of what the opcode says. Where the step
// is undefined, or a condition does not hold, fail is where it goes on.
type instruction struct {
	op      opcode
	a, b, c int32
	fail    int32
}

// call is a call of a function of the policy, or of one of OPA's.
type call struct {
	function int32 // -1 for a built-in
	builtin  *builtin
	args     []int32
	path     []int32 // of a dynamic call
	memo     bool    // takes input and data alone: what it returns is remembered
	location location
}

type location struct {
	file     string
	row, col int
}

// upsert is a `with`: of a local, or of what lies in it at a path.
type upsert struct {
	local, value int32
	path         []string
	slot         int32 // where the frame keeps what was there before
}

type function struct {
	name   string
	params []int32 // the locals of input, data and the arguments
	locals int     // with the params
	scans  int     // nested at most
	withs  int
	fixed  bool // see findFixed
	code   []instruction
}

// Program is a plan made ready to run. It is not changed by running, but for
// the regular expressions that it keeps, and may be run by many at once.
type Program struct {
	constants []any
	calls     []call
	upserts   []upsert
	functions []*function
	dynamic   paths
	query     *function
	compiler  *ast.Compiler
	patterns  *patterns
}

// lowering makes the instructions of one function.
type lowering struct {
	program  *Program
	policy   *ir.Policy
	names    map[string]int32
	builtins map[string]*builtin
	interned map[any]int32

	fn        *function
	labels    []int32 // by label, the instruction it stands before
	blocks    []enclosing
	scanDepth int
	withDepth int

	watched ir.Local          // the set that the query is about, or -1
	base    map[ir.Local]bool // locals that hold parts of the base documents

	once  ir.Local // what the bodies of a complete rule assign a value to
	exits bool     // all bodies assign the same constant: the first is enough
}

// enclosing is a block that statements stand in: the label of its end, and
// whether only its own statements may jump there.
type enclosing struct {
	end     int32
	barrier bool
}

// lower makes a program of a plan, or tells what it does not know.
func lower(policy *ir.Policy, compiler *ast.Compiler, fixed []string) (*Program, error) {
	if len(policy.Plans.Plans) != 1 {
		return nil, fmt.Errorf("there are %d plans, not one", len(policy.Plans.Plans))
	}
	l := &lowering{
		program:  &Program{compiler: compiler, patterns: newPatterns()},
		policy:   policy,
		names:    map[string]int32{},
		builtins: map[string]*builtin{},
		interned: map[any]int32{},
	}
	allowed := map[string]bool{}
	for _, one := range compiler.Capabilities().Builtins {
		allowed[one.Name] = true
	}
	for _, one := range policy.Static.BuiltinFuncs {
		known, err := builtinFor(one.Name, one.Decl.Result() == nil)
		if err != nil {
			return nil, err
		}
		if !allowed[one.Name] {
			return nil, fmt.Errorf("the built-in %s is not among the compiler's capabilities", one.Name)
		}
		l.builtins[one.Name] = known
	}
	for i, f := range policy.Funcs.Funcs {
		l.names[f.Name] = int32(i)
		if len(f.Path) > 0 {
			l.program.dynamic.add(f.Path, int32(i))
		}
	}
	entry := entryOf(policy.Plans.Plans[0])
	for _, f := range policy.Funcs.Funcs {
		l.watched = -1
		if f.Name == entry {
			l.watched = f.Return
		}
		made, err := l.function(f.Name, f.Params, f.Return, f.Blocks)
		if err != nil {
			return nil, err
		}
		l.program.functions = append(l.program.functions, made)
	}
	l.program.findFixed(fixed)
	l.watched = -1
	var err error
	l.program.query, err = l.function("query", []ir.Local{ir.Input, ir.Data}, -1, policy.Plans.Plans[0].Blocks)
	return l.program, err
}

// entryOf is the function that a plan calls first: in a query for one document, its.
func entryOf(plan *ir.Plan) string {
	for _, block := range plan.Blocks {
		for _, stmt := range block.Stmts {
			if call, ok := stmt.(*ir.CallStmt); ok {
				return call.Func
			}
		}
	}
	return ""
}

// paths are functions by their paths.
type paths struct {
	below    map[string]*paths
	function int32
	ends     bool // there is a function of this path
}

func (p *paths) add(path []string, function int32) {
	for _, step := range path {
		next := p.below[step]
		if next == nil {
			next = &paths{}
			if p.below == nil {
				p.below = map[string]*paths{}
			}
			p.below[step] = next
		}
		p = next
	}
	p.function, p.ends = function, true
}

func (l *lowering) function(name string, params []ir.Local, result ir.Local, blocks []*ir.Block) (*function, error) {
	l.fn = &function{name: name}
	l.labels, l.blocks, l.scanDepth, l.withDepth = nil, nil, 0, 0
	l.base = map[ir.Local]bool{ir.Data: true}
	for _, param := range params {
		l.fn.params = append(l.fn.params, l.local(param))
	}
	if len(params) < 2 || params[0] != ir.Input || params[1] != ir.Data {
		return nil, fmt.Errorf("the first parameters of %s are not input and data", name)
	}
	l.findEarlyExit(result, blocks)
	for _, block := range blocks {
		if err := l.block(block); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	l.emit(instruction{op: opReturn, a: l.constant(undefined)})
	for i := range l.fn.code {
		one := &l.fn.code[i]
		if one.fail >= 0 {
			one.fail = l.labels[one.fail]
		}
	}
	return l.fn, nil
}

// findEarlyExit looks whether all bodies of a complete rule or function assign one
// and the same constant. Then what comes after the first time, in this body and in
// the others, changes nothing. OPA leaves such rules early, too, and takes their
// bodies in this order, so that no error of a built-in is missed here.
func (l *lowering) findEarlyExit(result ir.Local, blocks []*ir.Block) {
	var value ir.Val
	l.exits = true
	found := false
	var visit func(blocks []*ir.Block)
	visit = func(blocks []*ir.Block) {
		for _, block := range blocks {
			for _, stmt := range block.Stmts {
				switch stmt := stmt.(type) {
				case *ir.AssignVarOnceStmt:
					if stmt.Target == result {
						continue
					}
					_, variable := stmt.Source.Value.(ir.Local)
					if variable || found && (stmt.Source.Value != value || stmt.Target != l.once) {
						l.exits = false
					}
					found, value, l.once = true, stmt.Source.Value, stmt.Target
				case *ir.BlockStmt:
					visit(stmt.Blocks)
				case *ir.ScanStmt:
					visit([]*ir.Block{stmt.Block})
				case *ir.NotStmt:
					visit([]*ir.Block{stmt.Block})
				case *ir.WithStmt:
					visit([]*ir.Block{stmt.Block})
				}
			}
		}
	}
	visit(blocks)
	l.exits = l.exits && found
}

func (l *lowering) emit(one instruction) int {
	l.fn.code = append(l.fn.code, one)
	return len(l.fn.code) - 1
}

// label is a place that is not known yet.
func (l *lowering) label() int32 {
	l.labels = append(l.labels, -1)
	return int32(len(l.labels) - 1)
}

func (l *lowering) place(label int32) { l.labels[label] = int32(len(l.fn.code)) }

func (l *lowering) constant(value any) int32 {
	if at, known := l.interned[value]; known {
		return ^at
	}
	at := int32(len(l.program.constants))
	l.program.constants = append(l.program.constants, value)
	l.interned[value] = at
	return ^at
}

func (l *lowering) local(local ir.Local) int32 {
	l.fn.locals = max(l.fn.locals, int(local)+1)
	return int32(local)
}

func (l *lowering) text(index int) string { return l.policy.Static.Strings[index].Value }

func (l *lowering) operand(operand ir.Operand) int32 {
	switch value := operand.Value.(type) {
	case ir.Local:
		return l.local(value)
	case ir.StringIndex:
		return l.constant(l.text(int(value)))
	case ir.Bool:
		return l.constant(bool(value))
	}
	panic(fmt.Errorf("an operand of type %T", operand.Value))
}

// fail is the end of the block under way, where undefined statements go on.
func (l *lowering) fail() int32 { return l.blocks[len(l.blocks)-1].end }

func (l *lowering) block(block *ir.Block) error {
	end := l.label()
	if err := l.within(enclosing{end: end}, block); err != nil {
		return err
	}
	l.place(end)
	return nil
}

func (l *lowering) within(place enclosing, block *ir.Block) error {
	l.blocks = append(l.blocks, place)
	defer func() { l.blocks = l.blocks[:len(l.blocks)-1] }()
	for _, stmt := range block.Stmts {
		if err := l.statement(stmt); err != nil {
			return err
		}
	}
	return nil
}

// leave is the label that a break of so many blocks jumps to.
func (l *lowering) leave(levels int) (int32, error) {
	at := len(l.blocks) - 1
	for range levels {
		if l.blocks[at].barrier {
			return 0, fmt.Errorf("a break leaves a loop, a negation or a with")
		}
		if at--; at < 0 {
			return 0, fmt.Errorf("a break leaves more blocks than there are")
		}
	}
	return l.blocks[at].end, nil
}

func (l *lowering) statement(stmt ir.Stmt) error {
	fail := l.fail()
	switch stmt := stmt.(type) {
	case *ir.NopStmt:
	case *ir.ReturnLocalStmt:
		l.emit(instruction{op: opReturn, a: l.local(stmt.Source), fail: -1})
	case *ir.ResultSetAddStmt:
		l.emit(instruction{op: opResult, a: l.local(stmt.Value), fail: -1})
	case *ir.BlockStmt:
		for _, block := range stmt.Blocks {
			if err := l.block(block); err != nil {
				return err
			}
		}
	case *ir.BreakStmt:
		target, err := l.leave(int(stmt.Index))
		if err != nil {
			return err
		}
		l.emit(instruction{op: opJump, fail: target})
	case *ir.CallStmt:
		return l.call(stmt)
	case *ir.CallDynamicStmt:
		return l.callDynamic(stmt)
	case *ir.DotStmt:
		key := l.operand(stmt.Key)
		one := instruction{op: opDot, a: l.operand(stmt.Source), b: key, c: l.local(stmt.Target), fail: fail}
		_, constant := stmt.Key.Value.(ir.StringIndex)
		source, variable := stmt.Source.Value.(ir.Local)
		l.base[stmt.Target] = variable && l.base[source]
		switch {
		case constant:
			one.op = opDotText
		case l.base[stmt.Target]:
			one.op = opDotData
		}
		l.emit(one)
	case *ir.LenStmt:
		l.emit(instruction{op: opLen, a: l.operand(stmt.Source), c: l.local(stmt.Target), fail: fail})
	case *ir.ScanStmt:
		return l.scan(stmt)
	case *ir.NotStmt:
		return l.not(stmt)
	case *ir.WithStmt:
		return l.with(stmt)
	case *ir.AssignIntStmt:
		l.emit(instruction{op: opAssign, a: l.constant(int(stmt.Value)), c: l.local(stmt.Target), fail: -1})
	case *ir.AssignVarStmt:
		l.emit(instruction{op: opAssign, a: l.operand(stmt.Source), c: l.local(stmt.Target), fail: -1})
	case *ir.AssignVarOnceStmt:
		if l.exits && stmt.Target == l.once && l.withDepth == 0 {
			l.emit(instruction{op: opReturn, a: l.operand(stmt.Source), fail: -1})
			break
		}
		l.emit(instruction{op: opAssignOnce, a: l.operand(stmt.Source), c: l.local(stmt.Target), fail: -1})
	case *ir.ResetLocalStmt:
		l.emit(instruction{op: opReset, c: l.local(stmt.Target), fail: -1})
	case *ir.MakeNullStmt:
		l.emit(instruction{op: opAssign, a: l.constant(nil), c: l.local(stmt.Target), fail: -1})
	case *ir.MakeNumberIntStmt:
		l.emit(instruction{op: opAssign, a: l.constant(int(stmt.Value)), c: l.local(stmt.Target), fail: -1})
	case *ir.MakeNumberRefStmt:
		l.emit(instruction{op: opAssign, a: l.constant(json.Number(l.text(stmt.Index))), c: l.local(stmt.Target), fail: -1})
	case *ir.MakeArrayStmt:
		l.emit(instruction{op: opMakeArray, a: stmt.Capacity, c: l.local(stmt.Target), fail: -1})
	case *ir.MakeObjectStmt:
		l.emit(instruction{op: opMakeObject, c: l.local(stmt.Target), fail: -1})
	case *ir.MakeSetStmt:
		op := opMakeSet
		if stmt.Target == l.watched {
			op = opMakeWatched
		}
		l.emit(instruction{op: op, c: l.local(stmt.Target), fail: -1})
	case *ir.EqualStmt:
		l.emit(instruction{op: opEqual, a: l.operand(stmt.A), b: l.operand(stmt.B), fail: fail})
	case *ir.NotEqualStmt:
		l.emit(instruction{op: opNotEqual, a: l.operand(stmt.A), b: l.operand(stmt.B), fail: fail})
	case *ir.IsArrayStmt:
		l.emit(instruction{op: opIsArray, a: l.operand(stmt.Source), fail: fail})
	case *ir.IsObjectStmt:
		l.emit(instruction{op: opIsObject, a: l.operand(stmt.Source), fail: fail})
	case *ir.IsSetStmt:
		l.emit(instruction{op: opIsSet, a: l.operand(stmt.Source), fail: fail})
	case *ir.IsDefinedStmt:
		l.emit(instruction{op: opIsDefined, a: l.local(stmt.Source), fail: fail})
	case *ir.IsUndefinedStmt:
		l.emit(instruction{op: opIsUndefined, a: l.local(stmt.Source), fail: fail})
	case *ir.ArrayAppendStmt:
		l.emit(instruction{op: opAppend, a: l.local(stmt.Array), b: l.operand(stmt.Value), fail: -1})
	case *ir.ObjectInsertStmt:
		l.emit(instruction{op: opInsert, a: l.local(stmt.Object), b: l.operand(stmt.Key), c: l.operand(stmt.Value), fail: -1})
	case *ir.ObjectInsertOnceStmt:
		l.emit(instruction{op: opInsertOnce, a: l.local(stmt.Object), b: l.operand(stmt.Key), c: l.operand(stmt.Value), fail: -1})
	case *ir.ObjectMergeStmt:
		l.emit(instruction{op: opMerge, a: l.local(stmt.A), b: l.local(stmt.B), c: l.local(stmt.Target), fail: -1})
	case *ir.SetAddStmt:
		l.emit(instruction{op: opAdd, a: l.local(stmt.Set), b: l.operand(stmt.Value), fail: -1})
	default:
		return fmt.Errorf("statement %T is not known", stmt)
	}
	return nil
}

func (l *lowering) call(stmt *ir.CallStmt) error {
	one := call{function: -1, location: l.location(&stmt.Location)}
	for _, arg := range stmt.Args {
		one.args = append(one.args, l.operand(arg))
	}
	op := opBuiltin
	if at, known := l.names[stmt.Func]; known {
		op, one.function = opCall, at
		params := len(l.policy.Funcs.Funcs[at].Params)
		if params != len(one.args) {
			return fmt.Errorf("%s takes %d arguments, not %d", stmt.Func, params, len(one.args))
		}
		one.memo = params == 2 && one.args[0] == int32(ir.Input) && one.args[1] == int32(ir.Data)
	} else if one.builtin = l.builtins[stmt.Func]; one.builtin == nil {
		return fmt.Errorf("the function %s is not known", stmt.Func)
	}
	l.program.calls = append(l.program.calls, one)
	l.emit(instruction{op: op, a: int32(len(l.program.calls) - 1), c: l.local(stmt.Result), fail: l.fail()})
	return nil
}

// dynamicLevels is how many blocks a call by a computed path leaves when there is
// such a function and it is undefined, so that the planner's look into the base
// documents, which comes next, is passed over.
const dynamicLevels = 3

func (l *lowering) callDynamic(stmt *ir.CallDynamicStmt) error {
	one := call{function: -1, location: l.location(&stmt.Location)}
	for _, arg := range stmt.Args {
		one.args = append(one.args, l.local(arg))
	}
	for _, step := range stmt.Path {
		one.path = append(one.path, l.operand(step))
	}
	one.memo = len(one.args) == 2 && one.args[0] == int32(ir.Input) && one.args[1] == int32(ir.Data)
	out, err := l.leave(dynamicLevels)
	if err != nil {
		return err
	}
	l.program.calls = append(l.program.calls, one)
	result := l.local(stmt.Result)
	l.emit(instruction{op: opDynamic, a: int32(len(l.program.calls) - 1), c: result, fail: l.fail()})
	l.emit(instruction{op: opIsDefined, a: result, fail: out})
	return nil
}

func (l *lowering) location(at *ir.Location) location {
	out := location{row: at.Row, col: at.Col}
	if at.File >= 0 && at.File < len(l.policy.Static.Files) {
		out.file = l.policy.Static.Files[at.File].Value
	}
	return out
}

func (l *lowering) scan(stmt *ir.ScanStmt) error {
	next, after, slot := l.label(), l.label(), int32(l.scanDepth)
	l.base[stmt.Value] = l.base[stmt.Source]
	l.scanDepth++
	l.fn.scans = max(l.fn.scans, l.scanDepth)
	l.emit(instruction{op: opScan, a: l.local(stmt.Source), b: slot, fail: after})
	l.place(next)
	l.emit(instruction{op: opNext, a: slot, b: l.local(stmt.Key), c: l.local(stmt.Value), fail: after})
	if err := l.within(enclosing{end: next, barrier: true}, stmt.Block); err != nil {
		return err
	}
	l.emit(instruction{op: opJump, fail: next})
	l.place(after)
	l.scanDepth--
	return nil
}

func (l *lowering) not(stmt *ir.NotStmt) error {
	failed := l.label()
	if err := l.within(enclosing{end: failed, barrier: true}, stmt.Block); err != nil {
		return err
	}
	l.emit(instruction{op: opJump, fail: l.fail()})
	l.place(failed)
	return nil
}

func (l *lowering) with(stmt *ir.WithStmt) error {
	change := upsert{local: l.local(stmt.Local), value: l.operand(stmt.Value), slot: int32(l.withDepth)}
	for _, index := range stmt.Path {
		change.path = append(change.path, l.text(index))
	}
	at := int32(len(l.program.upserts))
	l.program.upserts = append(l.program.upserts, change)
	l.withDepth++
	l.fn.withs = max(l.fn.withs, l.withDepth)
	l.emit(instruction{op: opWith, a: at, fail: -1})
	failed, done := l.label(), l.label()
	if err := l.within(enclosing{end: failed, barrier: true}, stmt.Block); err != nil {
		return err
	}
	l.emit(instruction{op: opEndWith, a: at, fail: -1})
	l.emit(instruction{op: opJump, fail: done})
	l.place(failed)
	l.emit(instruction{op: opEndWith, a: at, fail: -1})
	l.emit(instruction{op: opJump, fail: l.fail()})
	l.place(done)
	l.withDepth--
	return nil
}
