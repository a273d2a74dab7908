package main

import (
	"fmt"
	"strings"
	"testing"
)

func TestItIsKnownWhatAScanCanFindWithoutTheRequest(t *testing.T) {
	const helpers = `
is_update(review) if review.operation == "UPDATE"
on_delete if input.review.operation == "DELETE"
forbidden if input.review.userInfo.username == "eve"
allowed if not forbidden
either if input.review.dryRun
either if input.review.object.spec.x
users contains name if name := input.review.userInfo.username
groups contains group if some group in input.review.userInfo.groups
level := "high" if input.review.options.x else := "low"
default_level := 1
named(x) if x.operation
`
	for body, want := range map[string]string{
		`input.review.object.spec.x`:                                          "whole",
		`input.review.name; input.review.namespace; input.review.kind.kind`:   "whole",
		`input.review.operation == "DELETE"`:                                  "never",
		`x := input.review.oldObject.spec.x; input.review.object.spec.x != x`: "never",
		`on_delete; input.review.object.spec.x`:                               "never",
		`is_update(input.review)`:                                             "never",
		`review := input.review; review.operation == "CREATE"`:                "never",
		`some group in input.review.userInfo.groups; group == "x"`:            "never",
		`every group in input.review.userInfo.groups { group == "x" }`:        "never",
		`groups["x"]`: "never",
		`sprintf("%s", [input.review.userInfo.username]) == "x"`:  "never",
		`op := input.review.operation; op == "DELETE"`:            "never",
		`input.review.operation in {"CREATE", "UPDATE"}`:          "never",
		`input.review.operation in ["CREATE", ""]`:                "part",
		`input.review.operation != "DELETE"`:                      "part",
		`input.review.oldObject == null`:                          "part",
		`input.review.oldObject`:                                  "part",
		`old := input.review.oldObject; old.spec.x == 1`:          "never",
		`input.review.resource.resource == "pods"`:                "never",
		`input.review.userInfo == {}`:                             "part",
		`input.review[key] == "DELETE"; key == "operation"`:       "part",
		`not is_update(input.review); input.review.object.spec.x`: "whole",
		`not input.review.operation`:                              "whole",
		`input.review.object.spec.x; not forbidden`:               "whole",
		`not allowed`:       "part",
		`either`:            "part",
		`count(users) == 0`: "part",
		`level == "low"`:    "part",
		`count([1 | input.review.operation == "DELETE"]) == 0`:        "part",
		`object.get(input.review, "operation", "DELETE") == "DELETE"`: "part",
		`named(input.review)`:          "part",
		`named({"operation": 1})`:      "whole",
		`walk(input.review, [_, "x"])`: "part",
		`is_update(input.review) with input.review.operation as "UPDATE"`: "part",
	} {
		rules := "package p\nviolation contains {\"msg\": \"x\"} if { " + body + " }" + helpers
		if body == `named(input.review)` {
			rules += "\nviolation contains {\"msg\": \"y\"} if named({\"operation\": 1})"
		}
		if body == `input.review[key] == "DELETE"; key == "operation"` {
			rules = "package p\nviolation contains {\"msg\": \"x\"} if { some key; " + body + " }"
		}
		equal(t, body, compiled(t, "v1", rules).audit, want)
	}
}

func TestWhatAnUnconditionalRuleFindsIsNeverMissedForTheRequest(t *testing.T) {
	policy := compiled(t, "v1", `package p
violation contains {"msg": "always"} if input.review.object.spec.x
violation contains {"msg": "on delete"} if input.review.operation == "DELETE"`)
	equal(t, "audit", policy.audit, "part")
	equal(t, "request", sorted(policy.request).names, []string{"operation"})
}

const asking = `{"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": {"uid": "u1", "operation": "%s",
"kind": {"group": "", "version": "v1", "kind": "Pod"}, "namespace": "shop", "name": "web", "dryRun": false,
"userInfo": {"username": "%s", "groups": ["admins"]}, "options": {"kind": "CreateOptions"},
"object": {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web"}, "spec": {"hostNetwork": true}},
"oldObject": {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web"}, "spec": {"hostNetwork": %s}}}}`

func reviewedBy(t *testing.T, e *Engine, body string) []string {
	t.Helper()
	if _, err := e.load(loadRequest{Batch: "b", Format: "review"}, []byte(body)); err != nil {
		t.Fatal(err)
	}
	found, faults := messages(judged(t, e, "p", "{}"))
	if _, err := e.release(batchRequest{Batch: "b"}); err != nil {
		t.Fatal(err)
	}
	return append(found, faults...)
}

func TestAtAdmissionRulesGetTheWholeRequest(t *testing.T) {
	e := newEngine()
	install(t, e, "p", "v1", `package p
violation contains {"msg": sprintf("%v by %v of %v", [review.operation, review.userInfo.username, review.userInfo.groups])} if review := input.review
violation contains {"msg": "changed"} if input.review.oldObject.spec.hostNetwork != input.review.object.spec.hostNetwork
violation contains {"msg": sprintf("%v %v %v", [input.review.dryRun, input.review.options.kind, input.review.uid])}`)
	equal(t, "create", reviewedBy(t, e, fmt.Sprintf(asking, "CREATE", "eve", "false")),
		[]string{`0: CREATE by eve of ["admins"]`, "0: changed", "0: false CreateOptions u1"})
	// Another user asks for the same object: what was found before is not true of him.
	equal(t, "update", reviewedBy(t, e, fmt.Sprintf(asking, "UPDATE", "bob", "true")),
		[]string{`0: UPDATE by bob of ["admins"]`, "0: false CreateOptions u1"})
}

func TestRulesThatReadWhoAsksAreRememberedForWhoeverIsAlikeInIt(t *testing.T) {
	e := newEngine()
	install(t, e, "p", "v1", `package p
violation contains {"msg": "network"} if {
	input.review.object.spec.hostNetwork
	not input.review.userInfo.username == "eve"
	not "wheel" in input.review.userInfo.groups
}`)
	ask := func(user, operation string) []string {
		return reviewedBy(t, e, fmt.Sprintf(asking, operation, user, "false"))
	}
	equal(t, "bob", ask("bob", "CREATE"), []string{"0: network"})
	before := e.remembered.Load()
	if before == 0 {
		t.Error("nothing is remembered")
	}
	// The rule sees no operation.
	equal(t, "bob again", ask("bob", "UPDATE"), []string{"0: network"})
	equal(t, "remembered", e.remembered.Load(), before)
	equal(t, "eve", ask("eve", "CREATE"), nil)
	grouped := strings.Replace(fmt.Sprintf(asking, "CREATE", "bob", "false"), `"admins"`, `"wheel"`, 1)
	equal(t, "another group", reviewedBy(t, e, grouped), nil)
	// A scan, and a review that does not say who asks, are told apart from one without a name.
	nobody := strings.Replace(fmt.Sprintf(asking, "CREATE", "bob", "false"), `"userInfo": {"username": "bob", "groups": ["admins"]}, `, "", 1)
	keys := map[string]bool{}
	for _, request := range []map[string]any{nil, {}, {"userInfo": map[string]any{}}, {"userInfo": map[string]any{"username": ""}}} {
		d := documentOf(native(t, `{"apiVersion": "v1", "kind": "Pod", "spec": {"hostNetwork": true}}`).(map[string]any))
		d.request = request
		keys[string(e.policies["p"].visible.key(nil, d))] = true
	}
	equal(t, "keys", len(keys), 4)
	// Without userInfo the body is undefined.
	equal(t, "nobody", reviewedBy(t, e, nobody), nil)
}

func TestRulesThatReadTheUidOfARequestAreNotRemembered(t *testing.T) {
	e := newEngine()
	install(t, e, "p", "v1", `package p
violation contains {"msg": "network"} if { input.review.object.spec.hostNetwork; input.review.uid != "" }`)
	created, _, _ := strings.Cut(fmt.Sprintf(asking, "CREATE", "eve", "false"), `,
"oldObject"`)
	equal(t, "found", reviewedBy(t, e, created+"}}"), []string{"0: network"})
	equal(t, "remembered", e.remembered.Load(), 0)
}

func TestRulesThatReadNoRequestAreRememberedWhoeverAsks(t *testing.T) {
	e := newEngine()
	install(t, e, "p", "v1", `package p
violation contains {"msg": "network"} if input.review.object.spec.hostNetwork`)
	install(t, e, "q", "v1", `package q
violation contains {"msg": "network"} if { input.review.object.spec.hostNetwork; input.review.operation == "CREATE" }`)
	reviewedBy(t, e, fmt.Sprintf(asking, "CREATE", "eve", "false"))
	before := e.remembered.Load()
	reviewedBy(t, e, fmt.Sprintf(asking, "UPDATE", "bob", "false"))
	equal(t, "remembered", e.remembered.Load(), before)
	if before == 0 {
		t.Error("nothing is remembered")
	}
}
