package main

import (
	"slices"

	"github.com/open-policy-agent/opa/v1/ast"
)

// inputOf is what one evaluation sees as input: the review, of its object and
// of the request only what the policy reads, and the parameters.
//
// Every evaluation gets values of its own, made of the document and of nothing
// another evaluation has. They are plain objects, never ast.LazyObject: of
// those OPA makes no copies where it changes one, so that a `with input.… as …`
// (or object.union_n) would change the input for the rest of the evaluation.
func (p *Policy) inputOf(review map[string]any, parameters any) (*ast.Term, error) {
	pairs := make([][2]*ast.Term, 0, len(review))
	for key, native := range review {
		reads := everything()
		if key == "object" {
			reads = p.reads
		} else if !p.sees(key) {
			continue
		} else if !slices.Contains(alwaysThere, key) {
			reads = p.request.child([]byte(key))
		}
		value, err := valueOf(native, reads)
		if err != nil {
			return nil, err
		}
		pairs = append(pairs, ast.Item(ast.InternedTerm(key), ast.NewTerm(value)))
	}
	value, err := ast.InterfaceToValue(parameters)
	if err != nil {
		return nil, err
	}
	return ast.ObjectTerm(
		ast.Item(ast.InternedTerm("review"), ast.ObjectTerm(pairs...)),
		ast.Item(ast.InternedTerm("parameters"), ast.NewTerm(value)),
	), nil
}

// sees tells whether a field of input.review is there for the policy.
func (p *Policy) sees(field string) bool {
	return slices.Contains(alwaysThere, field) || p.request != nil && p.request.child([]byte(field)) != nil
}

// valueOf makes an OPA value of what is read of a native one; what is left out
// is what parseJSON leaves out. The tree must have been settled.
func valueOf(native any, reads *Reads) (ast.Value, error) {
	if reads.whole {
		return ast.InterfaceToValue(native)
	}
	switch native := native.(type) {
	case map[string]any:
		pairs := make([][2]*ast.Term, 0, len(native))
		add := func(name string, entry any, child *Reads) error {
			value, err := valueOf(entry, child)
			pairs = append(pairs, ast.Item(ast.InternedTerm(name), ast.NewTerm(value)))
			return err
		}
		if reads.any == nil && len(reads.keys) < len(native) {
			for name, child := range reads.keys {
				if entry, ok := native[name]; ok {
					if err := add(name, entry, child); err != nil {
						return nil, err
					}
				}
			}
		} else {
			for name, entry := range native {
				if child := reads.child([]byte(name)); child != nil {
					if err := add(name, entry, child); err != nil {
						return nil, err
					}
				}
			}
		}
		return ast.NewObject(pairs...), nil
	case []any:
		if reads.any == nil {
			return ast.NewArray(), nil
		}
		terms := make([]*ast.Term, len(native))
		for i, entry := range native {
			value, err := valueOf(entry, reads.any)
			if err != nil {
				return nil, err
			}
			terms[i] = ast.NewTerm(value)
		}
		return ast.NewArray(terms...), nil
	}
	return ast.InterfaceToValue(native)
}
