package main

import "github.com/open-policy-agent/opa/v1/ast"

// bindings tells where variables occur and how often they are bound. An
// equation binds a variable only when it has no value yet; when it has one, the
// equation compares, and what is compared is read as a whole. OPA chooses the
// order of expressions, so each equation may be the one that compares.
type bindings struct {
	homes   map[variable]*scope   // the innermost body that has all that a variable occurs in
	classes map[variable]variable // variables that equations make equal, a forest
	origins map[variable]int      // of each variable: in how many places it gets a value that is followed
}

// scope is a body: of a rule, of a comprehension or of an every.
type scope struct {
	outer *scope
	depth int
	inner map[any]*scope
}

func newScope(outer *scope) *scope {
	s := &scope{outer: outer, inner: map[any]*scope{}}
	if outer != nil {
		s.depth = outer.depth + 1
	}
	return s
}

// nested is the body of a comprehension or an every in this body.
func (s *scope) nested(of any) *scope {
	if s.inner[of] == nil {
		s.inner[of] = newScope(s)
	}
	return s.inner[of]
}

// common is the innermost body that has both within it.
func (s *scope) common(other *scope) *scope {
	for s != other {
		if s.depth > other.depth {
			s = s.outer
		} else {
			other = other.outer
		}
	}
	return s
}

// occurrences finds the home of each variable of a rule.
func (b *bindings) occurrences(rule *ast.Rule, root *scope, named func(ast.Var) variable) {
	var walk func(node any, in *scope)
	walk = func(node any, in *scope) {
		visitor := ast.NewGenericVisitor(func(x any) bool {
			switch x := x.(type) {
			case ast.Var:
				bound := named(x)
				if home := b.homes[bound]; home != nil {
					b.homes[bound] = home.common(in)
				} else {
					b.homes[bound] = in
				}
			case *ast.Every:
				walk(x.Domain, in)
				inner := in.nested(x)
				if x.Key != nil {
					walk(x.Key, inner)
				}
				walk(x.Value, inner)
				walk(x.Body, inner)
				return true
			case *ast.ArrayComprehension:
				inner := in.nested(x)
				walk(x.Term, inner)
				walk(x.Body, inner)
				return true
			case *ast.SetComprehension:
				inner := in.nested(x)
				walk(x.Term, inner)
				walk(x.Body, inner)
				return true
			case *ast.ObjectComprehension:
				inner := in.nested(x)
				walk(x.Key, inner)
				walk(x.Value, inner)
				walk(x.Body, inner)
				return true
			}
			return false
		})
		visitor.Walk(node)
	}
	walk(rule.Head, root)
	walk(rule.Body, root)
}

// originates notes a place that gives a variable a value: a part of input, a
// parameter, an element of every.
func (b *bindings) originates(bound variable) { b.origins[b.class(bound)]++ }

// joins notes that an equation makes two variables equal.
func (b *bindings) joins(one, other variable) {
	one, other = b.class(one), b.class(other)
	if one != other {
		b.classes[one] = other
		b.origins[other] += b.origins[one]
	}
}

func (b *bindings) class(of variable) variable {
	for {
		parent, ok := b.classes[of]
		if !ok {
			return of
		}
		of = parent
	}
}

// compared: whether a variable may have a value already where an equation
// gives it one.
func (b *bindings) compared(bound variable) bool { return b.origins[b.class(bound)] > 1 }
