package main

import (
	"fmt"
	"testing"
)

func TestTheKindsThatAPolicyLooksUpAreThoseOfItsReferences(t *testing.T) {
	const twoFunctions = "\nf(inventory) if inventory.namespace[_].v1.Service[_]\ng(objects, kind) if objects[kind][_].spec"
	for body, want := range map[string]string{
		`data.inventory.namespace[ns]["v1"].Service[name].spec`:                         `namespace/v1/Service`,
		`data.inventory.namespace[input.review.namespace][gv]["Ingress"][_]`:            `namespace/*/Ingress`,
		`data.inventory.cluster.v1.Namespace[input.review.namespace].metadata.labels.a`: `cluster/v1/Namespace`,
		`not data.inventory.cluster.v1.Namespace[input.review.namespace]`:               `cluster/v1/Namespace`,
		`count(data.inventory.cluster["a.example/v1"].Widget) > 1`:                      `cluster/a.example/v1/Widget`,
		`kind := "Service"; data.inventory.namespace[_][_][kind][_]`:                    `namespace/*/Service`,
		`data.inventory.namespace[_][_][kind][_]; kind == "Service"`:                    `namespace/*/Service`,
		`some kind in ["Service", "Endpoints"]; data.inventory.namespace[_].v1[kind]`:   `namespace/v1/Endpoints namespace/v1/Service`,
		`all := data.inventory.namespace; all[_].v1.Service; all[_].v1.Secret`:          `namespace/v1/Secret namespace/v1/Service`,
		`node := object.get(data.inventory.cluster, ["v1", "Node", "a"], false); node`:  `cluster/v1/Node`,
		`f(data.inventory)`:                                                              `namespace/v1/Service`,
		`g(data.inventory.cluster.v1, "Node")`:                                           `cluster/v1/Node`,
		`every ns, _ in data.inventory.cluster.v1.Namespace { ns != "a" }`:               `cluster/v1/Namespace`,
		`data.inventory.namespace[_].v1.Service[_].spec with input.review as {}`:         `namespace/v1/Service`,
		`walk(input, [_, "x"]); data.inventory.cluster.v1.Node`:                          `cluster/v1/Node`,
		`data.inventory.namespace[_][_][input.review.kind.kind][_]`:                      `unknown`,
		`data.inventory.namespace[_][_][kind][_]; kind != "Service"`:                     `unknown`,
		`data.inventory.namespace[_][_][kind][_]; not kind == "Service"`:                 `unknown`,
		`data.inventory.namespace[_][_][kind]; kind == input.parameters.kind`:            `unknown`,
		`data.inventory[_]["v1"].Node`:                                                   `unknown`,
		`data[_].cluster.v1.Node`:                                                        `unknown`,
		`walk(data.inventory, [_, "x"])`:                                                 `unknown`,
		`not data.inventory.cluster`:                                                     `unknown`,
		`not data.inventory.cluster.v1`:                                                  `unknown`,
		`some _, kinds in data.inventory.cluster; some kind, _ in kinds; kind != "Node"`: `unknown`,
		`f({}) with data.inventory as {}; data.inventory.cluster.v1.Node`:                `unknown`,
		`input.review.object.a`:                                                          ``,
	} {
		policy := compiled(t, "v1", "package p\nviolation contains {\"msg\": \"x\"} if { "+body+" }"+twoFunctions)
		equal(t, body, lookupsShown(policy), want)
	}
}

func lookupsShown(policy *Policy) string {
	if !policy.lookupsKnown {
		return "unknown"
	}
	out := ""
	for i, one := range policy.lookups {
		if i > 0 {
			out += " "
		}
		out += fmt.Sprintf("%s/%s/%s", one.Below, one.GroupVersion, one.Kind)
	}
	return out
}

func TestPoliciesOfLibrariesAndOfV0LookUpAsMuch(t *testing.T) {
	library := module{Name: "lib.rego", Version: "v0", Source: "package lib.l\nothers[obj] { obj := data.inventory.namespace[_][\"v1\"][\"Service\"][_] }"}
	policy := compiled(t, "v0", `package p
violation[{"msg": msg}] {
	other := data.lib.l.others[_]
	other.metadata.name != input.review.object.metadata.name
	re_match("^networking.k8s.io/.+$", version)
	data.inventory.namespace[_][version]["Ingress"][_]
	msg := "x"
}`, library)
	equal(t, "looks up", lookupsShown(policy), "namespace/*/Ingress namespace/v1/Service")
}

func TestAKindOfAnyGroupIsKeptAndAddedWhateverItsGroup(t *testing.T) {
	e := newEngine()
	install(t, e, "p", "v1", `package p
violation contains {"msg": sprintf("%s %s", [version, widget.spec.a])} if widget := data.inventory.namespace["default"][version].Widget[_]`)
	text := "apiVersion: a.example/v1\nkind: Widget\nmetadata: {name: w, namespace: default}\nspec: {a: one}\n---\n" +
		"apiVersion: b.example/v1\nkind: Widget\nmetadata: {name: w, namespace: default}\nspec: {a: two}\n---\n" +
		"apiVersion: v1\nkind: ConfigMap\nmetadata: {name: w, namespace: default}\n"
	loadedAs(t, e, loadRequest{Batch: "b", Format: "files", Parts: []Part{{Length: len(text)}}, WholeKinds: []string{"*/Widget"}}, text)
	answer, err := e.addToInventory(inventoryRequest{Batch: "b", Kinds: []string{"*/Widget"}})
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "added", answer, any(map[string]any{"added": 2}))
	found, _ := messages(judged(t, e, "p", "{}"))
	equal(t, "found", found[:2], []string{"0: a.example/v1 one", "0: b.example/v1 two"})
}
