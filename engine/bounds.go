package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"math/bits"
	"net"
	"net/url"
	"strings"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/topdown"
	"github.com/open-policy-agent/opa/v1/topdown/builtins"
)

// Bounds of built-ins that make very much of very little, in one step that no
// deadline stops. Past them they fail, which is a fault of the policy.
const (
	maxText  = 64 << 20 // bytes of a text
	maxShift = 1 << 16  // bits
	maxUnion = 1 << 20  // keys of all objects that become one
	maxMade  = 1 << 18  // elements made of two numbers or of an address: about a second's work
)

func init() {
	bound(ast.BitsShiftLeft.Name, func(operands []*ast.Term) error {
		if by, ok := operands[1].Value.(ast.Number); ok {
			if bits, fits := by.Int64(); !fits || bits > maxShift {
				return fmt.Errorf("a shift by %s is more than %d bits", by, maxShift)
			}
		}
		return nil
	})
	bound(ast.NumbersRange.Name, func(operands []*ast.Term) error { return checkRange(operands[0], operands[1], nil) })
	bound(ast.NumbersRangeStep.Name, func(operands []*ast.Term) error {
		return checkRange(operands[0], operands[1], operands[2])
	})
	bound(ast.NetCIDRExpand.Name, func(operands []*ast.Term) error { return checkAddresses(textOf(operands[0])) })
	bound(ast.Sprintf.Name, func(operands []*ast.Term) error {
		if err := checkWidths(operands[0]); err != nil {
			return err
		}
		return checkRepeats(textOf(operands[0]), operands[1])
	})
	topdown.RegisterBuiltinFunc(ast.RenderTemplate.Name, render)
	bound(ast.RenderTemplate.Name, func(operands []*ast.Term) error { return checkWidths(operands[0]) })
	bound(ast.Concat.Name, func(operands []*ast.Term) error {
		between, size := textOf(operands[0]), 0
		each(operands[1], func(one *ast.Term) { size += len(textOf(one)) + len(between) })
		return checkText(size)
	})
	bound(ast.Replace.Name, func(operands []*ast.Term) error {
		text, put := textOf(operands[0]), textOf(operands[2])
		return checkText(len(text) + occurrences(text, textOf(operands[1]), put))
	})
	bound(ast.ReplaceN.Name, func(operands []*ast.Term) error {
		patterns, ok := operands[0].Value.(ast.Object)
		if !ok {
			return nil
		}
		text := textOf(operands[1])
		size := len(text)
		patterns.Foreach(func(old, put *ast.Term) { size += occurrences(text, textOf(old), textOf(put)) })
		return checkText(size)
	})
	bound(ast.ObjectUnionN.Name, func(operands []*ast.Term) error {
		keys := 0
		each(operands[0], func(one *ast.Term) {
			if object, ok := one.Value.(ast.Object); ok {
				keys += object.Len()
			}
		})
		if keys > maxUnion {
			return fmt.Errorf("the objects have %d keys, more than %d", keys, maxUnion)
		}
		return nil
	})
	bound(ast.JSONMatchSchema.Name, func(operands []*ast.Term) error { return checkReferences(operands[1]) })
	bound(ast.JSONSchemaVerify.Name, func(operands []*ast.Term) error { return checkReferences(operands[0]) })
}

// bound has a check come before a built-in.
func bound(name string, check func([]*ast.Term) error) {
	whole := topdown.GetBuiltin(name)
	topdown.RegisterBuiltinFunc(name, func(bctx topdown.BuiltinContext, operands []*ast.Term, iter func(*ast.Term) error) error {
		if err := check(operands); err != nil {
			return err
		}
		return whole(bctx, operands, iter)
	})
}

func textOf(term *ast.Term) string {
	text, _ := term.Value.(ast.String)
	return string(text)
}

func each(term *ast.Term, do func(*ast.Term)) {
	switch many := term.Value.(type) {
	case *ast.Array:
		many.Foreach(do)
	case ast.Set:
		many.Foreach(do)
	}
}

// occurrences is how much longer a text can get by putting one text for another.
// Nothing occurs before each character and at the end.
func occurrences(text, old, put string) int {
	if len(put) <= len(old) {
		return 0
	}
	return strings.Count(text, old) * (len(put) - len(old))
}

func checkText(size int) error {
	if size > maxText {
		return fmt.Errorf("the text would have %d MiB, more than %d", size>>20, maxText>>20)
	}
	return nil
}

// checkWidths adds up the widths and precisions of a format. Each is at most a
// million, by Go's fmt, and a star takes it from the arguments.
func checkWidths(format *ast.Term) error {
	const widest = 1_000_000
	sum, number := 0, 0
	for _, char := range []byte(textOf(format)) {
		switch {
		case '0' <= char && char <= '9':
			number = min(widest, number*10+int(char-'0'))
			continue
		case char == '*':
			sum += widest
		}
		sum, number = sum+number, 0
	}
	return checkText(sum)
}

// checkRepeats is about formats that print an argument more than once, by its
// place: %[1]s. All others print no more than their arguments.
func checkRepeats(format string, arguments *ast.Term) error {
	if !strings.Contains(format, "[") {
		return nil
	}
	longest := 0
	each(arguments, func(one *ast.Term) {
		if _, isText := one.Value.(ast.String); isText {
			longest = max(longest, len(textOf(one)))
		} else {
			longest = max(longest, len(one.Value.String()))
		}
	})
	return checkText(strings.Count(format, "%") * longest)
}

// checkRange is about all numbers from one to another, in steps; no step is 1.
// What are not whole numbers is told by the built-in.
func checkRange(from, to, step *ast.Term) error {
	first, err := builtins.BigIntOperand(from.Value, 1)
	if err != nil {
		return nil
	}
	last, err := builtins.BigIntOperand(to.Value, 2)
	if err != nil {
		return nil
	}
	made := new(big.Int).Sub(last, first)
	made.Abs(made)
	if step != nil {
		by, err := builtins.BigIntOperand(step.Value, 3)
		if err != nil || by.Sign() <= 0 {
			return nil
		}
		made.Quo(made, by)
	}
	if made.Cmp(big.NewInt(maxMade)) >= 0 {
		return fmt.Errorf("the range has more than %d numbers", maxMade)
	}
	return nil
}

// checkAddresses is about all addresses of a network.
func checkAddresses(network string) error {
	_, parsed, err := net.ParseCIDR(network)
	if err != nil {
		return nil // it is told by the built-in
	}
	if ones, all := parsed.Mask.Size(); all-ones >= bits.Len(maxMade) {
		return fmt.Errorf("the network has 2^%d addresses, more than %d", all-ones, maxMade)
	}
	return nil
}

// checkReferences refuses schemas that are, in part, somewhere else: OPA's
// library reads files by their URL, whatever the capabilities say of the net.
func checkReferences(schema *ast.Term) error {
	var document any
	if text, ok := schema.Value.(ast.String); ok {
		if json.Unmarshal([]byte(text), &document) != nil {
			return nil // it is told by the built-in
		}
	} else {
		var err error
		if document, err = ast.JSON(schema.Value); err != nil {
			return err
		}
	}
	if leadsElsewhere(document) {
		return errors.New("a schema may refer to its own parts only, by #…")
	}
	return nil
}

func leadsElsewhere(document any) bool {
	switch value := document.(type) {
	case map[string]any:
		for key, one := range value {
			text, isText := one.(string)
			switch {
			case key == "$ref" && isText && !strings.HasPrefix(text, "#"):
				return true
			case (key == "id" || key == "$id") && isText && !isName(text):
				return true
			case leadsElsewhere(one):
				return true
			}
		}
	case []any:
		for _, one := range value {
			if leadsElsewhere(one) {
				return true
			}
		}
	}
	return false
}

// isName tells whether an id can only name a schema: it is a fragment, or a URL
// of the web, from which nothing is read.
func isName(id string) bool {
	parsed, err := url.Parse(id)
	if err != nil {
		return false
	}
	return strings.HasPrefix(id, "#") || parsed.Scheme == "http" || parsed.Scheme == "https" || parsed.Scheme == "urn"
}
