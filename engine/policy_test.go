package main

import (
	"slices"
	"strings"
	"testing"
)

func faultsIn(version, source string) []PolicyFault {
	_, faults := compilePolicy(compileRequest{Policy: "p", Modules: []module{{Name: "p.rego", Source: source, Version: version}}})
	return faults
}

func TestFaultsOfAPolicyHaveTheirPlace(t *testing.T) {
	for name, one := range map[string]struct {
		version, source string
		row, col        int
		part            string
	}{
		"no Rego":               {"v1", "package p\n\nviolation contains {\"msg\": if", 3, 28, "unexpected if keyword"},
		"an undefined function": {"v1", "package p\nviolation contains {\"msg\": \"x\"} if { nothing(1) }", 2, 38, "undefined function nothing"},
		"an unsafe variable":    {"v1", "package p\nviolation contains {\"msg\": x} if true", 2, 28, "var x is unsafe"},
		"a wrong type":          {"v1", "package p\nviolation contains {\"msg\": \"x\"} if { count(1) > 0 }", 2, 38, "invalid argument"},
		"recursion":             {"v1", "package p\nviolation contains {\"msg\": \"x\"} if a\na if a", 3, 1, "recursive"},
		"v0 as v1":              {"v1", "package p\nviolation[{\"msg\": \"x\"}] { true }", 2, 1, "`if` keyword is required"},
		"v1 as v0":              {"v0", "package p\nviolation contains {\"msg\": \"x\"} if true", 2, 26, "unexpected : token"},
		"no violation":          {"v1", "\npackage p\ndeny contains \"x\" if true", 2, 1, "no rule named violation"},
		"nothing":               {"v1", "", 1, 1, "empty module"},
		"only a comment":        {"v1", "# x\n", 1, 1, "empty module"},
		"not even text":         {"v1", "\x00\xff\xfe", 1, 1, ""},
	} {
		t.Run(name, func(t *testing.T) {
			faults := faultsIn(one.version, one.source)
			if len(faults) == 0 {
				t.Fatal("no fault")
			}
			contains(t, "message", faults[0].Message, one.part)
			equal(t, "place", PolicyFault{File: faults[0].File, Row: faults[0].Row, Col: faults[0].Col}, PolicyFault{File: "p.rego", Row: one.row, Col: one.col})
		})
	}
}

// OPA's compiler would be at it for minutes, in gigabytes.
func TestRegoThatIsTooLongIsAFault(t *testing.T) {
	head := "package p\nviolation contains {\"msg\": \"x\"} if true\n"
	for name, one := range map[string]struct{ within, beyond string }{
		"bytes":       {strings.Repeat("#", maxSource-len(head)), strings.Repeat("#", maxSource)},
		"expressions": {"a if {" + strings.Repeat("true;", maxExpressions-1) + "true}", "a if {" + strings.Repeat("true;", maxExpressions) + "true}"},
		"expressions within": {
			"a := [1 | " + strings.Repeat("true;", maxExpressions-1) + "true]", "a := [1 | " + strings.Repeat("true;", maxExpressions) + "true]",
		},
	} {
		t.Run(name, func(t *testing.T) {
			equal(t, "faults", faultsIn("v1", head+one.within), []PolicyFault(nil))
			faults := faultsIn("v1", head+one.beyond)
			equal(t, "faults", len(faults), 1)
			contains(t, "message", faults[0].Message, " than ")
		})
	}
	_, faults := compilePolicy(compileRequest{Policy: "p", Modules: []module{
		{Name: "p.rego", Source: head, Version: "v1"}, {Name: "lib.rego", Source: "package lib.a\n" + strings.Repeat("#", maxSource-len(head)), Version: "v1"},
	}})
	equal(t, "faults", len(faults), 1)
	equal(t, "file", faults[0].File, "lib.rego")
}

func TestFaultsOfALibraryNameItsFile(t *testing.T) {
	_, faults := compilePolicy(compileRequest{Policy: "p", Modules: []module{
		{Name: "p.rego", Source: "package p\nviolation contains {\"msg\": \"x\"} if data.lib.a", Version: "v1"},
		{Name: "lib.rego", Source: "package lib\na if b", Version: "v1"},
	}})
	equal(t, "faults", len(faults), 1)
	equal(t, "file", faults[0].File, "lib.rego")
}

func TestLibrariesOfBothVersionsWorkTogether(t *testing.T) {
	policy := compiled(t, "v0", "package p\nimport data.lib.new\nviolation[{\"msg\": msg}] { msg := new.say(data.lib.old.word) }",
		module{Name: "new.rego", Source: "package lib.new\nsay(x) := x if x != \"\"", Version: "v1"},
		module{Name: "old.rego", Source: "package lib.old\nword = x { x := \"hello\" }", Version: "v0"})
	out := evaluated(t, policy, map[string]any{}, nil)
	equal(t, "findings", out.findings, []Finding{{Msg: "hello", Details: "{}"}})
}

func TestBuiltinsThatReachOutDoNotCompile(t *testing.T) {
	for name, call := range map[string]string{
		"http.send": `http.send({"method": "get", "url": "http://x"}).status_code == 200`, "net.lookup_ip_addr": `net.lookup_ip_addr("x")[_] == "y"`,
		"opa.runtime": `opa.runtime().env.PATH`, "rego.parse_module": `rego.parse_module("x", "package x").rules`,
		"providers.aws.sign_req": `providers.aws.sign_req({}, {}, 1).x`,
	} {
		for _, version := range []string{"v0", "v1"} {
			source := "package p\nviolation contains {\"msg\": \"x\"} if { " + call + " }"
			if version == "v0" {
				source = "package p\nviolation[{\"msg\": \"x\"}] { " + call + " }"
			}
			faults := faultsIn(version, source)
			if !slices.ContainsFunc(faults, func(f PolicyFault) bool { return strings.Contains(f.Message, "undefined function "+name) }) {
				t.Errorf("%s %s: %+v", name, version, faults)
			}
		}
	}
	if got := faultsIn("v1", "package p\nviolation contains {\"msg\": \"x\"} if { is_string(\"x\") with is_string as http.send }"); len(got) == 0 {
		t.Error("http.send stands in for another function")
	}
}

func TestABrokenPolicyHarmsNoOther(t *testing.T) {
	e := newEngine()
	install(t, e, "good", "v1", "package p\nviolation contains {\"msg\": \"good\"} if true")
	answer, err := e.compile(compileRequest{Policy: "bad", Modules: []module{{Name: "bad.rego", Source: "package p\nviolation contains {\"msg\": x} if true", Version: "v1"}}})
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "faults", len(answer.(compileAnswer).Faults), 1)
	install(t, e, "same package", "v1", "package p\nviolation contains {\"msg\": \"another\"} if true")
	loaded(t, e, thing)
	found, _ := messages(judged(t, e, "good", ""))
	equal(t, "found", found, []string{"0: good"})
}

func TestCompileTellsWhatThePolicyReads(t *testing.T) {
	answer, err := newEngine().compile(compileRequest{Policy: "p", Modules: []module{{Name: "p.rego", Version: "v1",
		Source: "package p\nviolation contains {\"msg\": \"x\"} if { input.review.object.spec.b; input.review.object.spec.a; data.inventory.cluster }"}}})
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "answer", answer, any(compileAnswer{
		Faults: []PolicyFault{}, Reads: []string{"spec.a", "spec.b"}, Inventory: "unknown", Request: []string{}, Audit: "whole", Parameters: []string{},
	}))
}
