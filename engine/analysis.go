package main

import (
	"slices"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
)

// readsOf tells which parts of a document a compiled policy can see, and
// whether it reads data.inventory.
//
// The compiler has flattened rules into bodies of single calls and equations
// over variables of their own, so it is enough to follow which variables stand
// for which parts of input: through equations, references, object.get, and
// arguments of functions. Wherever a variable is used in any other way, all
// below it counts as read. When in doubt everything is: the answer may only
// ever be too large.
func readsOf(compiler *ast.Compiler) (document, review *Reads, inventory bool) {
	a := &analysis{aliases: map[ast.Var][]inputPath{}, words: map[ast.Var][]string{}, params: map[string][]ast.Var{}, reads: newReads()}
	var rules []*ast.Rule
	for _, module := range compiler.Modules {
		for _, rule := range module.Rules {
			for each := rule; each != nil; each = each.Else {
				rules = append(rules, each)
				a.parameters(each)
			}
		}
	}
	// First the constants that functions are called with, since keys depend on
	// them; then aliases, until nothing new is learnt; then what is used is marked.
	a.settle(rules)
	a.aliases = map[ast.Var][]inputPath{}
	a.reads, a.all = newReads(), false
	a.settle(rules)
	a.marking = true
	for _, rule := range rules {
		a.rule(rule)
	}
	if a.all {
		return everything(), everything(), a.inventory
	}
	return a.below("review", "object"), a.below("review"), a.inventory
}

// settle goes over the rules until nothing new is learnt.
func (a *analysis) settle(rules []*ast.Rule) {
	for a.changed = true; a.changed; {
		a.changed = false
		a.passed = map[ast.Var]passed{}
		for _, rule := range rules {
			a.rule(rule)
		}
		for param, words := range a.passed {
			if words.known && !slices.Equal(a.words[param], words.words) {
				a.words[param] = words.words
				a.changed = true
			}
		}
	}
}

// passed is what all calls hand to a parameter, known when each hands constants.
type passed struct {
	known bool
	words []string
}

// inputPath is a path from input, "*" standing for any key or index.
type inputPath []string

// Longer paths are cut: everything below the cut counts as read.
const maxPath = 16

type analysis struct {
	aliases   map[ast.Var][]inputPath
	words     map[ast.Var][]string // variables over a list of constant strings, and over its elements
	params    map[string][]ast.Var // function → its parameters, all definitions one after the other
	arity     map[string]int
	passed    map[ast.Var]passed // in this pass
	reads     *Reads
	changed   bool
	marking   bool
	all       bool
	inventory bool
}

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

// parameters remembers a function's parameters under its name.
func (a *analysis) parameters(rule *ast.Rule) {
	if a.arity == nil {
		a.arity = map[string]int{}
	}
	name := rule.Ref().String()
	for _, arg := range rule.Head.Args {
		variable, ok := arg.Value.(ast.Var)
		if !ok {
			variable = ""
		}
		a.params[name] = append(a.params[name], variable)
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

func (a *analysis) expr(expr *ast.Expr) {
	if len(expr.With) > 0 {
		a.all = true
		return
	}
	switch terms := expr.Terms.(type) {
	case *ast.Term:
		a.use(terms)
	case []*ast.Term:
		a.call(terms)
	case *ast.Every:
		for _, path := range a.paths(terms.Domain) {
			a.touch(path)
			if value, ok := terms.Value.Value.(ast.Var); ok {
				a.alias(value, path.to("*"))
				a.touch(path.to("*"))
			}
		}
		if a.paths(terms.Domain) == nil {
			a.use(terms.Domain)
		}
		a.body(terms.Body)
	case *ast.SomeDecl:
		for _, symbol := range terms.Symbols {
			if _, plain := symbol.Value.(ast.Var); !plain {
				a.use(symbol)
			}
		}
	default:
		a.all = true
	}
}

// call is f(arguments…, result), an equation being eq(left, right).
func (a *analysis) call(terms []*ast.Term) {
	operator, ok := terms[0].Value.(ast.Ref)
	if !ok {
		a.all = true
		return
	}
	arguments := terms[1:]
	name := operator.String()
	switch {
	case (name == "eq" || name == "assign" || name == "equal" || name == "neq") && len(arguments) == 2:
		a.equation(name, arguments[0], arguments[1])
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

func (a *analysis) equation(name string, left, right *ast.Term) {
	for _, pair := range [][2]*ast.Term{{left, right}, {right, left}} {
		variable, ok := pair[0].Value.(ast.Var)
		if !ok || name == "neq" || name == "equal" {
			continue
		}
		if paths := a.paths(pair[1]); paths != nil {
			for _, path := range paths {
				a.alias(variable, path)
			}
			a.look(pair[1])
			if other, ok := pair[1].Value.(ast.Var); ok {
				for _, path := range a.aliases[variable] {
					a.alias(other, path)
				}
			}
			return
		}
		// Only the compiler's own variables belong to one rule alone.
		if words := a.constants(pair[1]); words != nil && strings.HasPrefix(string(variable), "__local") {
			if a.words[variable] == nil {
				a.words[variable] = words
				a.changed = true
			}
			if _, ok := pair[1].Value.(*ast.Array); ok {
				return
			}
		}
	}
	// Against a constant that is no composite, a value of another type is
	// unequal whatever is in it.
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
	keys := []*ast.Term{arguments[1]}
	if path, ok := arguments[1].Value.(*ast.Array); ok {
		keys = keys[:0]
		path.Foreach(func(key *ast.Term) { keys = append(keys, key) })
	}
	if !plain {
		for _, argument := range arguments {
			a.use(argument)
		}
		return
	}
	paths := a.paths(arguments[0])
	for _, key := range keys {
		var longer []inputPath
		for _, path := range paths {
			for _, name := range a.keysOf(key) {
				longer = append(longer, path.to(name))
			}
		}
		paths = longer
		a.use(key)
	}
	for _, path := range paths {
		a.touch(path)
		a.alias(result, path)
	}
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
			a.pass(params, arity, i, argument)
		}
		if i >= arity || paths == nil {
			a.use(argument)
			continue
		}
		a.look(argument)
		for at := i; at < len(params); at += arity {
			if params[at] == "" {
				a.use(argument)
				continue
			}
			for _, path := range paths {
				a.alias(params[at], path)
			}
		}
	}
}

// pass notes the constants, or that there are none, that a call hands to a parameter.
func (a *analysis) pass(params []ast.Var, arity, i int, argument *ast.Term) {
	var words []string
	switch value := argument.Value.(type) {
	case ast.String:
		words = []string{string(value)}
	case ast.Var:
		words = a.words[value]
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
		for _, path := range a.aliases[value] {
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
		a.body(value.Body)
		a.use(value.Term)
	case *ast.SetComprehension:
		a.body(value.Body)
		a.use(value.Term)
	case *ast.ObjectComprehension:
		a.body(value.Body)
		a.use(value.Key)
		a.use(value.Value)
	case ast.Call:
		a.call(value)
	case ast.Null, ast.Boolean, ast.Number, ast.String:
	default:
		a.all = true
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

// refOperands uses what stands in a reference's brackets.
func (a *analysis) refOperands(ref ast.Ref) {
	if ref[0].Equal(ast.DefaultRootDocument) {
		if len(ref) == 1 || !isScalar(ref[1]) || ref[1].Equal(ast.InternedTerm("inventory")) {
			a.inventory = true
		}
	}
	for _, operand := range ref[1:] {
		switch value := operand.Value.(type) {
		case ast.Var:
			// An index or a key: it stands for a part of input only when bound elsewhere.
			for _, path := range a.aliases[value] {
				a.mark(path)
			}
		case ast.Ref, *ast.Array, ast.Object, ast.Set, ast.Call:
			a.use(operand)
		}
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
		return a.aliases[value]
	case ast.Ref:
		head, ok := value[0].Value.(ast.Var)
		if !ok {
			return nil
		}
		var paths []inputPath
		if value[0].Equal(ast.InputRootDocument) {
			paths = []inputPath{{}}
		} else {
			paths = a.aliases[head]
		}
		for _, operand := range value[1:] {
			var longer []inputPath
			for _, path := range paths {
				for _, key := range a.keysOf(operand) {
					longer = append(longer, path.to(key))
				}
			}
			paths = longer
		}
		return paths
	}
	return nil
}

// keysOf is what may stand in a reference's brackets: a constant, one of a few
// constants, or anything.
func (a *analysis) keysOf(operand *ast.Term) []string {
	switch value := operand.Value.(type) {
	case ast.String:
		return []string{string(value)}
	case ast.Var:
		if words := a.words[value]; words != nil {
			return words
		}
	}
	return []string{"*"}
}

// constants are the strings of a constant list, or of an element of one.
func (a *analysis) constants(term *ast.Term) []string {
	switch value := term.Value.(type) {
	case *ast.Array:
		var words []string
		for i := range value.Len() {
			word, ok := value.Elem(i).Value.(ast.String)
			if !ok {
				return nil
			}
			words = append(words, string(word))
		}
		return words
	case ast.Ref:
		if head, ok := value[0].Value.(ast.Var); ok && len(value) == 2 && !isScalar(value[1]) {
			return a.words[head]
		}
	}
	return nil
}

func (p inputPath) to(key string) inputPath {
	return append(slices.Clone(p), key)
}

func (a *analysis) alias(variable ast.Var, path inputPath) {
	if len(path) > maxPath {
		a.mark(path[:maxPath])
		return
	}
	for _, known := range a.aliases[variable] {
		if slices.Equal(known, path) {
			return
		}
	}
	a.aliases[variable] = append(a.aliases[variable], path)
	a.changed = true
}

func (a *analysis) mark(path inputPath) {
	if a.marking || len(path) >= maxPath {
		a.reads.add(path...)
	}
}

func (a *analysis) touch(path inputPath) {
	if !a.marking {
		return
	}
	at := a.reads
	for _, key := range path {
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
