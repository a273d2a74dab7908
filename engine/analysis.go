package main

import (
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
)

// seen is what a compiled policy can see: parts of a document, of the review
// around it, and of data.inventory, which is nil when it reads none of it.
type seen struct {
	document, review, parameters, inventory *Reads
	audit                                   string // what can be found of it in a scan
}

// readsOf tells what a compiled policy can see.
//
// The compiler has flattened rules into bodies of single calls and equations
// over variables of their own, so it is enough to follow which variables stand
// for which parts of input: through equations, references, object.get, and
// arguments of functions. Wherever a variable is used in any other way, all
// below it counts as read. When in doubt everything is: the answer may only
// ever be too large.
func readsOf(compiler *ast.Compiler, violation string) seen {
	a := &analysis{
		aliases: map[variable][]inputPath{}, words: map[variable][]string{}, lists: map[variable][]string{},
		fixed: map[variable]string{}, impure: map[variable]bool{}, partial: map[string]bool{}, params: map[string][]variable{}, arity: map[string]int{}, reads: newReads(), inventory: newReads(),
		bindings: bindings{homes: map[variable]*scope{}, classes: map[variable]variable{}, origins: map[variable]int{}},
	}
	comparing := false
	for _, module := range compiler.Modules {
		comparing = comparing || readsInventory(module)
		for _, rule := range module.Rules {
			a.current++
			whole := newScope(nil)
			if rule.Head.RuleKind() == ast.MultiValue || len(rule.Ref()) > len(rule.Ref().GroundPrefix()) {
				a.partial[rule.Ref().GroundPrefix().String()] = true
			}
			for each := rule; each != nil; each = each.Else {
				a.branches = append(a.branches, branch{
					rule: each, name: rule.Ref().GroundPrefix().String(), index: a.current, scope: whole.nested(each),
					other: rule.Else != nil,
				})
				a.parameters(each)
				a.bindings.occurrences(each, whole.nested(each), a.variable)
			}
		}
	}
	// First the constants that functions are called with, since keys depend on
	// them; then aliases, until nothing new is learnt; then which variables are
	// bound more than once; then what is used is marked.
	a.settle()
	a.aliases = map[variable][]inputPath{}
	a.reads, a.inventory, a.all, a.lost = newReads(), newReads(), false, false
	a.settle()
	a.phase = counting
	a.pass()
	a.phase = marking
	a.pass()
	for bound, paths := range a.aliases {
		if a.bindings.compared(bound) {
			for _, path := range paths {
				a.mark(path)
			}
		}
	}
	out := seen{document: everything(), review: everything(), parameters: everything()}
	if !a.all && !a.lost && !a.drowned {
		out.document, out.review = a.below("review", "object"), a.below("review")
		out.parameters = a.below("parameters")
	}
	if comparing {
		out.inventory = a.inventory
		if a.lost || a.drowned {
			out.inventory = everything()
		}
	}
	out.audit = auditWhole
	if requestOf(out.review) != nil {
		out.audit = a.audit(violation)
	}
	return out
}

// readsInventory: whether any reference reaches data.inventory, or all of data.
func readsInventory(module *ast.Module) bool {
	found := false
	ast.WalkRefs(module, func(ref ast.Ref) bool {
		if ref[0].Equal(ast.DefaultRootDocument) {
			if len(ref) == 1 || !isScalar(ref[1]) || ref[1].Equal(ast.InternedTerm("inventory")) {
				found = true
			}
		}
		return found
	})
	return found
}

// settle goes over the rules until nothing new is learnt.
func (a *analysis) settle() {
	a.phase = settling
	for a.changed = true; a.changed && !a.drowned; {
		a.changed = false
		a.passed = map[variable]passed{}
		a.pass()
		for param, words := range a.passed {
			if words.known && !slices.Equal(a.words[param], words.words) {
				a.words[param] = words.words
				a.changed = true
			}
		}
	}
}

func (a *analysis) pass() {
	for _, each := range a.branches {
		a.current, a.within = each.index, each.scope
		a.rule(each.rule)
	}
}

// variable is a name within one rule and its else branches: what stands in
// another rule under the same name has nothing to do with it.
type variable struct {
	rule int
	name ast.Var
}

// branch is a rule or one of its else branches.
type branch struct {
	rule  *ast.Rule
	name  string // the rule's, with its package; what is not constant in it left out
	index int    // of the rule it belongs to
	scope *scope
	other bool // there are else branches beside it
}

// passed is what all calls hand to a parameter, known when each hands constants.
type passed struct {
	known bool
	words []string
}

// inputPath is a path from input, or with inventoryRoot first from
// data.inventory, "*" standing for any key or index.
type inputPath []string

const (
	// Longer paths are cut: everything below the cut counts as read.
	maxPath = 16
	// A variable that may stand for more parts of input than this, or a list of
	// constants that makes it so, ends the analysis: everything counts as read.
	maxAliases = 256
)

type phase int

const (
	settling phase = iota
	counting
	marking
)

type analysis struct {
	branches []branch
	aliases  map[variable][]inputPath
	words    map[variable][]string // variables that are one of a few constant strings
	lists    map[variable][]string // variables that are a list or a set of them
	fixed    map[variable]string   // variables that equal a constant string
	impure   map[variable]bool     // variables that may stand for something else than input, too
	partial  map[string]bool       // rules that make sets and objects, and are there when they find nothing
	params   map[string][]variable // function → its parameters, all definitions one after the other
	arity    map[string]int
	passed   map[variable]passed // in this pass
	bindings bindings
	reads    *Reads // of input

	inventory *Reads // of data.inventory

	passOver func(*ast.Expr) bool // in a further pass

	phase   phase
	current int    // rule
	within  *scope // body
	changed bool
	all     bool // of input counts as read
	lost    bool // something cannot be followed: everything counts as read
	drowned bool // too many aliases to follow
}

// variable is the name as it is meant in the current rule.
func (a *analysis) variable(name ast.Var) variable { return variable{a.current, name} }

// below is the part of what is read that lies below a path from input.
func (a *analysis) below(path ...string) *Reads {
	at := a.reads
	for _, key := range path {
		if at.whole {
			return everything()
		}
		next := newReads()
		if child := at.keys[key]; child != nil {
			next.merge(child)
		}
		if at.any != nil {
			next.merge(at.any)
		}
		at = next
	}
	return at
}

// parameters remembers a function's parameters under its name. A pattern in
// place of a parameter has no name.
func (a *analysis) parameters(rule *ast.Rule) {
	name := rule.Ref().String()
	before := a.params[name]
	for _, arg := range rule.Head.Args {
		param := variable{}
		if plain, ok := arg.Value.(ast.Var); ok {
			param = a.variable(plain)
			// Else branches have the parameters of their rule once more, which
			// says nothing. f(x, x) does compare.
			if !slices.Contains(before, param) {
				a.bindings.originates(param)
			}
		}
		a.params[name] = append(a.params[name], param)
	}
	a.arity[name] = len(rule.Head.Args)
}

func (a *analysis) rule(rule *ast.Rule) {
	a.body(rule.Body)
	for _, arg := range rule.Head.Args {
		// A pattern in place of a parameter takes its argument apart: the call
		// marks that argument as a whole.
		if _, plain := arg.Value.(ast.Var); !plain {
			a.use(arg)
		}
	}
	if rule.Head.Key != nil {
		a.use(rule.Head.Key)
	}
	if rule.Head.Value != nil {
		a.use(rule.Head.Value)
	}
	for _, part := range rule.Head.Reference {
		if _, constant := part.Value.(ast.String); !constant && part != rule.Head.Reference[0] {
			a.use(part)
		}
	}
}

func (a *analysis) body(body ast.Body) {
	for _, expr := range body {
		a.expr(expr)
	}
}

// nested goes over the body of a comprehension or an every, and then its terms.
func (a *analysis) nested(of any, body ast.Body, terms ...*ast.Term) {
	outer := a.within
	defer func() { a.within = outer }()
	a.within = outer.nested(of)
	a.body(body)
	for _, term := range terms {
		a.use(term)
	}
}

func (a *analysis) expr(expr *ast.Expr) {
	if a.passOver != nil && a.passOver(expr) {
		return
	}
	for _, with := range expr.With {
		a.all = true
		a.use(with.Value)
		if target, ok := with.Target.Value.(ast.Ref); !ok || target.HasPrefix(ast.DefaultRootRef) {
			a.lost = true
		}
	}
	switch terms := expr.Terms.(type) {
	case *ast.Term:
		a.use(terms)
	case []*ast.Term:
		a.call(terms, expr.Negated)
	case *ast.Every:
		a.every(terms)
	case *ast.SomeDecl:
		for _, symbol := range terms.Symbols {
			if _, plain := symbol.Value.(ast.Var); !plain {
				a.use(symbol)
			}
		}
	default:
		a.lost = true
	}
}

func (a *analysis) every(every *ast.Every) {
	value, plain := every.Value.Value.(ast.Var)
	paths := a.paths(every.Domain)
	if paths == nil || !plain {
		a.use(every.Domain)
	} else {
		a.look(every.Domain)
		for _, path := range paths {
			a.touch(path.to("*"))
			a.alias(value, path.to("*"))
		}
	}
	for _, term := range []*ast.Term{every.Key, every.Value} {
		if term == nil {
			continue
		}
		if name, ok := term.Value.(ast.Var); ok {
			a.originates(name)
		} else {
			a.use(term)
		}
	}
	a.nested(every, every.Body)
}

// call is f(arguments…, result), an equation being eq(left, right). Whatever is
// not certain to hold counts as negated.
func (a *analysis) call(terms []*ast.Term, negated bool) {
	operator, ok := terms[0].Value.(ast.Ref)
	if !ok {
		a.lost = true
		return
	}
	arguments := terms[1:]
	name := operator.String()
	switch {
	case (name == "eq" || name == "assign" || name == "equal") && len(arguments) == 2:
		a.equation(arguments[0], arguments[1], negated)
	case name == "neq" && len(arguments) == 2:
		a.comparison(arguments[0], arguments[1])
	case name == "object.get" && len(arguments) == 4 && a.paths(arguments[0]) != nil:
		a.objectGet(arguments)
	case strings.HasPrefix(name, "is_") || name == "type_name":
		// The parser keeps the type of what it does not read further.
		a.look(arguments[0])
		for _, rest := range arguments[1:] {
			a.use(rest)
		}
	case operator.HasPrefix(ast.DefaultRootRef):
		a.userCall(name, arguments)
	default:
		for _, argument := range arguments {
			a.use(argument)
		}
	}
}

// equation is left = right, which binds a variable or compares: which of the
// two shows only when all of the rule is known.
func (a *analysis) equation(left, right *ast.Term, negated bool) {
	for _, pair := range [][2]*ast.Term{{left, right}, {right, left}} {
		name, ok := pair[0].Value.(ast.Var)
		if !ok || pair[0].Equal(ast.InputRootDocument) || pair[0].Equal(ast.DefaultRootDocument) {
			continue
		}
		if paths := a.paths(pair[1]); paths != nil {
			for _, path := range paths {
				a.alias(name, path)
			}
			a.look(pair[1])
			if other, ok := pair[1].Value.(ast.Var); ok {
				for _, path := range a.aliases[a.variable(name)] {
					a.alias(other, path)
				}
				a.joins(name, other)
			} else {
				a.originates(name)
			}
			return
		}
		if !negated {
			a.constants(name, pair[1])
		}
	}
	a.comparison(left, right)
}

// comparison of two values. Against a constant that is no composite, a value
// of another type is unequal whatever is in it.
func (a *analysis) comparison(left, right *ast.Term) {
	for _, pair := range [][2]*ast.Term{{left, right}, {right, left}} {
		if isScalar(pair[1]) {
			a.look(pair[0])
			return
		}
	}
	a.use(left)
	a.use(right)
}

func isScalar(term *ast.Term) bool {
	switch term.Value.(type) {
	case ast.Null, ast.Boolean, ast.Number, ast.String:
		return true
	}
	return false
}

// objectGet is object.get(object, key, default, result), where key is one key or
// an array of them.
func (a *analysis) objectGet(arguments []*ast.Term) {
	result, plain := arguments[3].Value.(ast.Var)
	var keys []*ast.Term
	switch key := arguments[1].Value.(type) {
	case *ast.Array:
		key.Foreach(func(key *ast.Term) { keys = append(keys, key) })
	case ast.String:
		keys = append(keys, arguments[1])
	case ast.Var:
		// Anything else may turn out to be an array, a path of any length.
		plain = plain && a.words[a.variable(key)] != nil
		keys = append(keys, arguments[1])
	default:
		plain = false
	}
	if !plain {
		for _, argument := range arguments {
			a.use(argument)
		}
		return
	}
	// It may be the default.
	a.impure[a.variable(result)] = true
	paths := a.paths(arguments[0])
	for _, key := range keys {
		paths = a.longer(paths, key)
		a.use(key)
	}
	for _, path := range paths {
		a.touch(path)
		a.alias(result, path)
	}
	a.originates(result)
	a.look(arguments[0])
	a.use(arguments[2])
}

// userCall hands arguments to a function's parameters.
func (a *analysis) userCall(name string, arguments []*ast.Term) {
	params, arity := a.params[name], a.arity[name]
	if arity == 0 || len(arguments) < arity {
		for _, argument := range arguments {
			a.use(argument)
		}
		return
	}
	for i, argument := range arguments {
		paths := a.paths(argument)
		if i < arity {
			a.hand(params, arity, i, argument)
			for at := i; at < len(params) && (paths == nil || a.isImpure(argument)); at += arity {
				a.impure[params[at]] = true
			}
		}
		if i >= arity || paths == nil {
			a.use(argument)
			continue
		}
		a.look(argument)
		for at := i; at < len(params); at += arity {
			if params[at].name == "" {
				a.use(argument)
				continue
			}
			for _, path := range paths {
				a.aliasTo(params[at], path)
			}
		}
	}
}

// isImpure: whether an argument may stand for something else than input, too.
func (a *analysis) isImpure(argument *ast.Term) bool {
	ref, ok := argument.Value.(ast.Ref)
	head := argument
	if ok {
		head = ref[0]
	}
	name, plain := head.Value.(ast.Var)
	return plain && a.impure[a.variable(name)]
}

// hand notes the constants, or that there are none, that a call hands to a parameter.
func (a *analysis) hand(params []variable, arity, i int, argument *ast.Term) {
	var words []string
	switch value := argument.Value.(type) {
	case ast.String:
		words = []string{string(value)}
	case ast.Var:
		words = a.words[a.variable(value)]
	}
	for at := i; at < len(params); at += arity {
		before, seen := a.passed[params[at]]
		now := passed{known: words != nil && (before.known || !seen), words: union(before.words, words)}
		a.passed[params[at]] = now
	}
}

// use marks all that a term stands for, and looks into it for more.
func (a *analysis) use(term *ast.Term) {
	if term == nil {
		return
	}
	switch value := term.Value.(type) {
	case ast.Var:
		for _, path := range a.paths(term) {
			a.mark(path)
		}
	case ast.Ref:
		for _, path := range a.paths(term) {
			a.mark(path)
		}
		a.refOperands(value)
	case *ast.Array:
		value.Foreach(a.use)
	case ast.Set:
		value.Foreach(a.use)
	case ast.Object:
		value.Foreach(func(key, entry *ast.Term) {
			a.use(key)
			a.use(entry)
		})
	case *ast.ArrayComprehension:
		a.nested(value, value.Body, value.Term)
	case *ast.SetComprehension:
		a.nested(value, value.Body, value.Term)
	case *ast.ObjectComprehension:
		a.nested(value, value.Body, value.Key, value.Value)
	case ast.Call:
		a.call(value, true)
	case ast.Null, ast.Boolean, ast.Number, ast.String:
	default:
		a.lost = true
	}
}

// look marks that a term's value is there, and of which type, but not what is
// in it.
func (a *analysis) look(term *ast.Term) {
	paths := a.paths(term)
	if paths == nil {
		a.use(term)
		return
	}
	for _, path := range paths {
		a.touch(path)
	}
	if ref, ok := term.Value.(ast.Ref); ok {
		a.refOperands(ref)
	}
}

// refOperands uses what stands in a reference's brackets, and before them when
// that is no variable. A variable there is an index or a key: it stands for a
// part of input only when it is bound elsewhere, too.
func (a *analysis) refOperands(ref ast.Ref) {
	if _, plain := ref[0].Value.(ast.Var); !plain {
		a.use(ref[0])
	}
	for _, operand := range ref[1:] {
		a.use(operand)
	}
}

// paths are the parts of input that a variable or a reference stands for; nil
// when it stands for none.
func (a *analysis) paths(term *ast.Term) []inputPath {
	switch value := term.Value.(type) {
	case ast.Var:
		if value.Equal(ast.InputRootDocument.Value) {
			return []inputPath{{}}
		}
		return a.aliases[a.variable(value)]
	case ast.Ref:
		if _, ok := value[0].Value.(ast.Var); !ok {
			return nil
		}
		paths, below := a.paths(value[0]), value[1:]
		if isInventory(value) {
			paths, below = []inputPath{{inventoryRoot}}, value[2:]
		}
		for _, operand := range below {
			paths = a.longer(paths, operand)
		}
		return paths
	}
	return nil
}

// longer are the paths, each with what may stand in a reference's brackets.
func (a *analysis) longer(paths []inputPath, operand *ast.Term) []inputPath {
	if len(paths) == 0 {
		return nil
	}
	keys := a.keysOf(operand)
	if len(paths)*len(keys) > maxAliases {
		a.drowned = true
		return paths
	}
	var longer []inputPath
	for _, path := range paths {
		if key := a.fixedKey(operand); key != "" && path.ofInventory() {
			longer = append(longer, path.to(key))
			continue
		}
		for _, key := range keys {
			longer = append(longer, path.to(key))
		}
	}
	return longer
}

// fixedKey is the one constant that a variable in a reference's brackets
// equals. It is of use for data.inventory, which is kept whole: documents are
// parsed as far as rules look before they compare keys, too, since what fails
// there is told.
func (a *analysis) fixedKey(operand *ast.Term) string {
	if name, ok := operand.Value.(ast.Var); ok {
		return a.fixed[a.variable(name)]
	}
	return ""
}

func isInventory(ref ast.Ref) bool {
	return len(ref) > 1 && ref[0].Equal(ast.DefaultRootDocument) && ref[1].Equal(ast.InternedTerm("inventory"))
}

func (p inputPath) ofInventory() bool { return len(p) > 0 && p[0] == inventoryRoot }

// keysOf is what may stand in a reference's brackets: a constant, one of a few
// constants, or anything.
func (a *analysis) keysOf(operand *ast.Term) []string {
	switch value := operand.Value.(type) {
	case ast.String:
		return []string{string(value)}
	case ast.Var:
		if words := a.words[a.variable(value)]; words != nil {
			return words
		}
	}
	return []string{"*"}
}

// constants learns from an equation that a variable is a list of constant
// strings, or an element of one. It holds for the body that has the equation
// and for those within it, so the variable must not occur outside of them.
func (a *analysis) constants(name ast.Var, term *ast.Term) {
	bound := a.variable(name)
	if a.bindings.homes[bound] != a.within {
		return
	}
	learn := func(into map[variable][]string, words []string) {
		if words != nil && into[bound] == nil {
			into[bound] = words
			a.changed = true
		}
	}
	switch value := term.Value.(type) {
	case ast.String:
		if _, known := a.fixed[bound]; !known {
			a.fixed[bound] = string(value)
			a.changed = true
		}
	case *ast.Array:
		learn(a.lists, stringsOf(value.Len(), value.Foreach))
	case ast.Set:
		learn(a.lists, stringsOf(value.Len(), value.Foreach))
	case ast.Ref:
		if head, ok := value[0].Value.(ast.Var); ok && len(value) == 2 && !isScalar(value[1]) {
			learn(a.words, a.lists[a.variable(head)])
		}
	}
}

// stringsOf are the elements of a composite, nil unless all are constant strings.
func stringsOf(length int, each func(func(*ast.Term))) []string {
	words := make([]string, 0, length)
	each(func(element *ast.Term) {
		if word, ok := element.Value.(ast.String); ok {
			words = append(words, string(word))
		}
	})
	if len(words) < length || length == 0 {
		return nil
	}
	return words
}

func (p inputPath) to(key string) inputPath {
	return append(slices.Clone(p), key)
}

func (a *analysis) alias(name ast.Var, path inputPath) { a.aliasTo(a.variable(name), path) }

func (a *analysis) aliasTo(bound variable, path inputPath) {
	if len(path) > maxPath {
		a.mark(path[:maxPath])
		return
	}
	for _, known := range a.aliases[bound] {
		if slices.Equal(known, path) {
			return
		}
	}
	if len(a.aliases[bound]) >= maxAliases {
		a.drowned = true
		return
	}
	a.aliases[bound] = append(a.aliases[bound], path)
	a.changed = true
}

func (a *analysis) originates(name ast.Var) {
	if a.phase == counting {
		a.bindings.originates(a.variable(name))
	}
}

func (a *analysis) joins(one, other ast.Var) {
	if a.phase == counting {
		a.bindings.joins(a.variable(one), a.variable(other))
	}
}

// tree is where a path is noted, and the rest of the path.
func (a *analysis) tree(path inputPath) (*Reads, inputPath) {
	if path.ofInventory() {
		return a.inventory, path[1:]
	}
	return a.reads, path
}

func (a *analysis) mark(path inputPath) {
	if a.phase == marking || len(path) >= maxPath {
		tree, rest := a.tree(path)
		tree.add(rest...)
	}
}

func (a *analysis) touch(path inputPath) {
	if a.phase != marking {
		return
	}
	at, rest := a.tree(path)
	for _, key := range rest {
		at = at.step(key)
	}
}

func union(one, other []string) []string {
	out := slices.Clone(one)
	for _, word := range other {
		if !slices.Contains(out, word) {
			out = append(out, word)
		}
	}
	return out
}
