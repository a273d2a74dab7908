package main

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"text/template"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/topdown"
	"github.com/open-policy-agent/opa/v1/topdown/builtins"
)

// render is OPA's strings.render_template with a bound on its text, also on that
// of each function within, and with an end when the evaluation is to end: loops
// of a template make gigabytes of a few words.
func render(bctx topdown.BuiltinContext, operands []*ast.Term, iter func(*ast.Term) error) error {
	text, err := builtins.StringOperand(operands[0].Value, 1)
	if err != nil {
		return err
	}
	object, err := builtins.ObjectOperand(operands[1].Value, 2)
	if err != nil {
		return err
	}
	var variables map[string]any
	if err := ast.As(object, &variables); err != nil {
		return err
	}
	parsed, err := template.New("template").Funcs(boundedFunctions(bctx)).Parse(string(text))
	if err != nil {
		return err
	}
	made := rendered{cancel: bctx.Cancel}
	if err := parsed.Execute(&made, variables); err != nil {
		return err
	}
	return iter(ast.StringTerm(strings.ReplaceAll(made.text.String(), "<no value>", "<undefined>")))
}

var errStopped = errors.New("stopped")

// rendered is what a template has written.
type rendered struct {
	text   bytes.Buffer
	cancel topdown.Cancel
}

func (r *rendered) Write(more []byte) (int, error) {
	if err := checkRendered(r.cancel, r.text.Len()+len(more)); err != nil {
		return 0, err
	}
	return r.text.Write(more)
}

func checkRendered(cancel topdown.Cancel, size int) error {
	if cancel != nil && cancel.Cancelled() {
		return errStopped
	}
	return checkText(size)
}

// boundedFunctions are those of text/template that make texts: a variable that
// is printed twice into itself, again and again, is never written.
func boundedFunctions(bctx topdown.BuiltinContext) template.FuncMap {
	bounded := func(growth int, make func(...any) string) func(...any) (string, error) {
		return func(values ...any) (string, error) {
			size := 0
			for _, value := range values {
				size += growth * sizeOf(value)
			}
			if err := checkRendered(bctx.Cancel, size); err != nil {
				return "", err
			}
			return make(values...), nil
		}
	}
	return template.FuncMap{
		"html":     bounded(5, template.HTMLEscaper),     // &#34;
		"js":       bounded(6, template.JSEscaper),       // \u003C
		"urlquery": bounded(3, template.URLQueryEscaper), // %3C
		"print":    bounded(1, fmt.Sprint),
		"println":  bounded(1, fmt.Sprintln),
		"printf": func(format string, values ...any) (string, error) {
			size := 0
			for _, value := range values {
				size += 6 * sizeOf(value) // %q
			}
			if strings.Contains(format, "[") {
				size *= strings.Count(format, "%")
			}
			if err := errors.Join(checkRendered(bctx.Cancel, size), checkWidths(ast.StringTerm(format))); err != nil {
				return "", err
			}
			return fmt.Sprintf(format, values...), nil
		},
	}
}

// sizeOf is the length of a value's text.
func sizeOf(value any) int {
	if text, ok := value.(string); ok {
		return len(text)
	}
	return len(fmt.Sprint(value))
}
