package main

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/topdown"
)

// tests/engine/test_built_ins.py calls each of them with hostile arguments.
func TestTheListOfBuiltInsIsComplete(t *testing.T) {
	var list strings.Builder
	for _, one := range capabilities().Builtins {
		fmt.Fprintf(&list, "%s: %s\n", one.Name, one.Decl)
	}
	if os.Getenv("AKSP_UPDATE") != "" {
		if err := os.WriteFile("testdata/builtins.txt", []byte(list.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	kept, err := os.ReadFile("testdata/builtins.txt")
	if err != nil {
		t.Fatal(err)
	}
	if string(kept) != list.String() {
		t.Error("the built-ins are others: AKSP_UPDATE=1 go test -run BuiltIns . writes testdata/builtins.txt")
	}
}

func TestABuiltInThatWouldMakeTooMuchOfLittleFails(t *testing.T) {
	hundred := `concat("", [x | some _ in numbers.range(1, 6250); x := "0123456789abcdef"])` // KiB
	for call, want := range map[string]string{
		`bits.lsh(1, 10000000000)`:        "a shift by 10000000000 is more than 65536 bits",
		`bits.lsh(1, 1e1000)`:             "a shift by 1e1000 is more than 65536 bits",
		`bits.lsh(1, 65536)`:              "",
		`bits.lsh(1, -1)`:                 "an unsigned integer number",
		`sprintf("%999999d%s", [1, "x"])`: "",
		`sprintf(concat("", [x | some _ in numbers.range(1, 70); x := "%999999d"]), [1])`:                "the text would have 66 MiB, more than 64",
		`sprintf(concat("", [x | some _ in numbers.range(1, 70); x := "%*d"]), [1])`:                     "the text would have 66 MiB, more than 64",
		`sprintf(concat("", [x | some _ in numbers.range(1, 700); x := "%[2]s"]), [1, ` + hundred + `])`: "the text would have 66 MiB, more than 64",
		`sprintf(concat("", [x | some _ in numbers.range(1, 700); x := "%[1]v"]), [[` + hundred + `]])`:  "the text would have 66 MiB, more than 64",
		`sprintf("%[1]s %[1]s", ["x"])`:                          "",
		`sprintf("[%s] of [%v]", [` + hundred + `, 1])`:          "",
		`numbers.range(1, 1e12)`:                                 "the range has more than 262144 numbers",
		`numbers.range(262145, 1)`:                               "the range has more than 262144 numbers",
		`numbers.range(-2, -1)`:                                  "",
		`numbers.range_step(1, 1e1000, 1)`:                       "the range has more than 262144 numbers",
		`numbers.range_step(0, 1e12, 1e12)`:                      "",
		`net.cidr_expand("2001::/16")`:                           "the network has 2^112 addresses, more than 262144",
		`net.cidr_expand("10.0.0.0/13")`:                         "the network has 2^19 addresses, more than 262144",
		`net.cidr_expand("10.1.2.3/24")`:                         "",
		`sprintf("%s of 123456789012345678901234567890", ["x"])`: "",
		`strings.render_template(concat("", [x | some _ in numbers.range(1, 70); x := "{{printf \"%1000000d\" 1}}"]), {})`:                 "the text would have 66 MiB, more than 64",
		`strings.render_template("{{.a}} 1000000", {"a": "b"})`:                                                                            "",
		`strings.render_template("{{range .x}}{{range $.x}}{{$.t}}{{end}}{{end}}", {"x": numbers.range(1, 100), "t": ` + hundred + `})`:    "the text would have 64 MiB, more than 64",
		`strings.render_template("{{$y := .a}}{{range .x}}{{$y = print $y $y}}{{end}}", {"a": "ab", "x": numbers.range(1, 40)})`:           "the text would have 128 MiB, more than 64",
		`strings.render_template("{{$y := .a}}{{range .x}}{{$y = printf \"%s%s\" $y $y}}{{end}}", {"a": "ab", "x": numbers.range(1, 40)})`: "MiB, more than 64",
		`strings.render_template("{{$y := .a}}{{range .x}}{{$y = js $y}}{{end}}", {"a": "<", "x": numbers.range(1, 40)})`:                  "MiB, more than 64",
		`strings.render_template("{{printf .w 1}}", {"w": concat("", [x | some _ in numbers.range(1, 70); x := "%1000000d"])})`:            "the text would have 66 MiB, more than 64",
		`concat(` + hundred + `, split(` + hundred + `, ""))`:                                                                              "the text would have 9536 MiB, more than 64",
		`concat("x", {"a", "b"})`:                                    "",
		`replace(` + hundred + `, "", ` + hundred + `)`:              "the text would have 9536 MiB, more than 64",
		`replace("aaa", "a", "bb")`:                                  "",
		`strings.replace_n({"0": ` + hundred + `}, ` + hundred + `)`: "the text would have 596 MiB, more than 64",
		`strings.replace_n({"a": "bb"}, "aaa")`:                      "",
		`object.union_n([o | some _ in numbers.range(1, 400)])`:      "keys, more than 1048576",
		`object.union_n([{"a": 1}, {"b": 2}])`:                       "",
	} {
		policy := compiled(t, "v1", "package p\no := {x: 1 | some x in numbers.range(1, 3000)}\nviolation contains {\"msg\": \"made\"} if { made := "+call+"; count([made]) == 1 }")
		out := evaluated(t, policy, map[string]any{"apiVersion": "v1", "kind": "Pod"}, map[string]any{})
		if want == "" {
			if len(out.faults) != 0 || len(out.findings) != 1 {
				t.Errorf("%s: %v", call, out.faults)
			}
		} else if len(out.faults) == 0 || !strings.Contains(out.faults[0], want) { // On a slow machine the deadline may pass besides.
			t.Errorf("%s: %v, not %q", call, out.faults, want)
		}
	}
}

// As it was before init.
var opasRender = topdown.GetBuiltin(ast.RenderTemplate.Name)

// What OPA's own strings.render_template makes of the same.
func TestATemplateIsRenderedAsByOPA(t *testing.T) {
	for template, want := range map[string]string{
		"{{.text}} is {{.number}} {{.missing}}":                     "a<b is 1 <undefined>",
		"{{range $i, $x := .list}}{{$i}}={{$x}};{{end}}":            "0=1;1=two;2=true;",
		"{{range $k, $v := .object}}{{$k}}{{$v}}{{end}}":            "x1y<undefined>",
		"{{if .number}}{{printf \"%05d %q\" .number .text}}{{end}}": "%!d(json.Number=00001) \"a<b\"",
		"{{html .text}} {{js .text}} {{urlquery .text}}":            "a&lt;b a\\u003Cb a%3Cb",
		"{{print .text 1 2}} {{println .list}}{{len .object}}":      "a<b1 2 [1 two true]\n2",
		"{{define \"t\"}}[{{.}}]{{end}}{{template \"t\" .number}}":  "[1]",
	} {
		variables := map[string]any{
			"text": "a<b", "number": json.Number("1"), "list": []any{json.Number("1"), "two", true},
			"object": map[string]any{"x": json.Number("1"), "y": nil},
		}
		for name, call := range map[string]topdown.BuiltinFunc{"OPA's": opasRender, "ours": render} {
			got := ""
			object, err := ast.InterfaceToValue(variables)
			if err != nil {
				t.Fatal(err)
			}
			err = call(topdown.BuiltinContext{}, []*ast.Term{ast.StringTerm(template), ast.NewTerm(object)}, func(made *ast.Term) error {
				got = string(made.Value.(ast.String))
				return nil
			})
			if err != nil || got != want {
				t.Errorf("%s: %s: %q, %v, not %q", name, template, got, err, want)
			}
		}
	}
}

func TestASchemaReadsNoFileAndNoAddress(t *testing.T) {
	secret := t.TempDir() + "/secret.json"
	if err := os.WriteFile(secret, []byte(`{"type": "integer"}`), 0o600); err != nil {
		t.Fatal(err)
	}
	for schema, refused := range map[string]bool{
		`{"$ref": "file://SECRET"}`:                                              true,
		`{"$ref": "SECRET"}`:                                                     true,
		`{"$ref": "http://127.0.0.1:1/x"}`:                                       true,
		`{"properties": {"a": {"anyOf": [{"$ref": "file://SECRET"}]}}}`:          true,
		`{"id": "file://SECRET", "$ref": "#/x"}`:                                 true,
		`{"$id": "file:///etc/", "properties": {"a": {"$ref": "#"}}}`:            true,
		`{"$id": "https://example.com/a.json", "type": "object"}`:                false,
		`{"definitions": {"t": {"type": "object"}}, "$ref": "#/definitions/t"}`:  false,
		`{"properties": {"id": {"type": "string"}, "$ref": {"type": "string"}}}`: false,
	} {
		schema = strings.ReplaceAll(schema, "SECRET", secret)
		for _, form := range []string{schema, "`" + schema + "`"} {
			for _, call := range []string{"json.match_schema({}, " + form + ")", "json.verify_schema(" + form + ")"} {
				policy := compiled(t, "v1", "package p\nviolation contains {\"msg\": \"valid\"} if { "+call+"[0] }")
				out := evaluated(t, policy, map[string]any{"apiVersion": "v1", "kind": "Pod"}, map[string]any{})
				told := len(out.faults) == 1 && strings.Contains(out.faults[0], "a schema may refer to its own parts only")
				if told != refused || !refused && (len(out.findings) != 1 || len(out.faults) != 0) {
					t.Errorf("%s: %v %v", call, out.faults, out.findings)
				}
			}
		}
	}
}
