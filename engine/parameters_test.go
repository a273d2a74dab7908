package main

import (
	"strings"
	"testing"
)

func TestParametersThatARuleReadsByName(t *testing.T) {
	for body, want := range map[string]string{
		`violation contains {"msg": "m"} if input.parameters.a.b == input.review.object.x`:                           "a",
		`violation contains {"msg": "m"} if { p := input.parameters; p.a; some x in p.b; x }`:                        "a b",
		`violation contains {"msg": "m"} if f(input.parameters)` + "\n" + `f(p) if p.c`:                              "c",
		`violation contains {"msg": "m"} if object.get(input.parameters, "d", 1) == 1`:                               "d",
		`violation contains {"msg": "m"} if input.review.object.x`:                                                   "",
		`violation contains {"msg": "m"} if input.parameters[input.review.object.x]`:                                 "",
		`violation contains {"msg": json.marshal(input.parameters)}`:                                                 "",
		`violation contains {"msg": "m"} if not input.parameters["with dash"]`:                                       "with dash",
		`violation contains {"msg": "m"} if { some n in ["e", "f"]; input.parameters[n] == input.review.object[n] }`: "e f",
	} {
		policy, faults := compilePolicy(compileRequest{Policy: "p", Modules: []module{{Name: "p.rego", Source: "package p\n\n" + body, Version: "v1"}}})
		if len(faults) > 0 {
			t.Fatalf("%s: %v", body, faults)
		}
		equal(t, body, strings.Join(policy.parameters, " "), want)
	}
}
