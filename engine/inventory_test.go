package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"
)

func ingress(namespace, name, host string) string {
	return fmt.Sprintf(`{"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "metadata": {"name": %q, "namespace": %q}, "spec": {"rules": [{"host": %q}]}}`, name, namespace, host)
}

func stores(t testing.TB, e *Engine, r storeRequest, objects ...string) map[string]any {
	t.Helper()
	for _, one := range objects {
		r.Parts = append(r.Parts, len(one))
	}
	answer, err := e.storeObjects(r, []byte(strings.Join(objects, "")))
	if err != nil {
		t.Fatal(err)
	}
	return answer.(map[string]any)
}

// inventoryOf is data.inventory as rules see it, in JSON.
func inventoryOf(t testing.TB, e *Engine) string {
	t.Helper()
	data, err := e.inventory.snapshot(true)
	if err != nil {
		t.Fatal(err)
	}
	defer data.close()
	store, txn, err := data.storage()
	if err != nil {
		t.Fatal(err)
	}
	value, err := store.Read(t.Context(), txn, []string{"inventory"})
	if err != nil {
		t.Fatal(err)
	}
	return fmt.Sprint(value)
}

const nothingStored = `{"cluster": {}, "namespace": {}}`

func TestStoredObjectsLieWhereGatekeeperHasThem(t *testing.T) {
	e := newEngine()
	answer := stores(t, e, storeRequest{}, ingress("shop", "a", "x"), `{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}}`)
	equal(t, "stored", answer["stored"].([]storedKey), []storedKey{
		{APIVersion: "networking.k8s.io/v1", Kind: "Ingress", Namespace: "shop", Name: "a"}, {APIVersion: "v1", Kind: "Namespace", Name: "shop"},
	})
	equal(t, "inventory", inventoryOf(t, e), `{"cluster": {"v1": {"Namespace": {"shop": {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}}}}}, `+
		`"namespace": {"shop": {"networking.k8s.io/v1": {"Ingress": {"a": {"apiVersion": "networking.k8s.io/v1", "kind": "Ingress", "metadata": {"name": "a", "namespace": "shop"}, "spec": {"rules": [{"host": "x"}]}}}}}}}`)
}

func TestWhatIsRemovedLeavesNothingBehind(t *testing.T) {
	e := newEngine()
	equal(t, "at first", inventoryOf(t, e), nothingStored)
	stores(t, e, storeRequest{}, ingress("shop", "a", "x"), ingress("shop", "b", "x"), `{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "shop"}}`)
	full := inventoryOf(t, e)
	stores(t, e, storeRequest{}, ingress("other", "c", "x"))
	key := func(namespace, name string) storedKey {
		return storedKey{APIVersion: "networking.k8s.io/v1", Kind: "Ingress", Namespace: namespace, Name: name}
	}
	equal(t, "removed", stores(t, e, storeRequest{Remove: []storedKey{key("other", "c"), key("other", "c"), key("none", "c"), key("shop", "c"), key("", "a")}})["removed"].(int), 1)
	equal(t, "as before", inventoryOf(t, e), full)
	stores(t, e, storeRequest{Remove: []storedKey{key("shop", "a"), {APIVersion: "v1", Kind: "Namespace", Name: "shop"}}})
	contains(t, "inventory", inventoryOf(t, e), `"b"`)
	stores(t, e, storeRequest{Remove: []storedKey{key("shop", "b")}})
	equal(t, "at last", inventoryOf(t, e), nothingStored)
}

func TestAnObjectThatCannotBeStoredChangesNothing(t *testing.T) {
	e := newEngine()
	stores(t, e, storeRequest{}, ingress("shop", "a", "x"))
	before := inventoryOf(t, e)
	for _, bad := range []string{`{`, `[]`, `{}`, `{"apiVersion": "v1", "kind": "Service"}`, `{"kind": "Service", "metadata": {"name": "a"}}`, `{"apiVersion": 1, "kind": "Service", "metadata": {"name": "a"}}`} {
		good := ingress("shop", "b", "x")
		_, err := e.storeObjects(storeRequest{Remove: []storedKey{{APIVersion: "networking.k8s.io/v1", Kind: "Ingress", Namespace: "shop", Name: "a"}}, Parts: []int{len(good), len(bad)}}, []byte(good+bad))
		if err == nil {
			t.Fatal(bad)
		}
		contains(t, "error", err.Error(), "object 1 for the inventory: ")
	}
	if _, err := e.storeObjects(storeRequest{Parts: []int{7}}, []byte("short")); err == nil {
		t.Error("a part past the body")
	}
	equal(t, "inventory", inventoryOf(t, e), before)
}

func TestWatchedAndScannedObjectsStandSideBySide(t *testing.T) {
	e := newEngine()
	loadedAs(t, e, loadRequest{Batch: "b", Format: "list", WholeKinds: []string{"networking.k8s.io/Ingress"}},
		`{"kind": "List", "apiVersion": "v1", "metadata": {}, "items": [`+ingress("shop", "scanned", "x")+`]}`)
	if _, err := e.addToInventory(inventoryRequest{Batch: "b", Kinds: []string{"networking.k8s.io/Ingress"}}); err != nil {
		t.Fatal(err)
	}
	stores(t, e, storeRequest{}, ingress("shop", "watched", "x"))
	contains(t, "inventory", inventoryOf(t, e), `"scanned": {`)
	contains(t, "inventory", inventoryOf(t, e), `"watched": {`)
}

func TestRulesSeeEachChangeAndRememberNoneOfThem(t *testing.T) {
	for name, source := range map[string]string{
		"a path":      "package p\nviolation contains {\"msg\": name} if { some name; data.inventory.namespace.shop[_].Ingress[name] }",
		"an alias":    "package p\nviolation contains {\"msg\": name} if { all := data.inventory; some name; all.namespace.shop[_].Ingress[name] }",
		"a function":  "package p\nviolation contains {\"msg\": name} if some name in names(\"shop\")\nnames(at) := {name | data.inventory.namespace[at][_].Ingress[name]}",
		"all of data": "package p\nviolation contains {\"msg\": name} if { some root; some name; data[root].namespace.shop[_].Ingress[name] }",
	} {
		t.Run(name, func(t *testing.T) {
			e := newEngine()
			install(t, e, "p", "v1", source)
			loaded(t, e, thing)
			both := []storedKey{
				{APIVersion: "networking.k8s.io/v1", Kind: "Ingress", Namespace: "shop", Name: "a"},
				{APIVersion: "networking.k8s.io/v1", Kind: "Ingress", Namespace: "shop", Name: "b"},
			}
			for _, want := range [][]string{{"a"}, {"b"}, {}, {"a"}} {
				objects := make([]string, len(want))
				expected := []string{}
				for i, one := range want {
					objects[i] = ingress("shop", one, "x")
					expected = append(expected, "0: "+one)
				}
				stores(t, e, storeRequest{Remove: both}, objects...)
				found, faults := messages(judged(t, e, "p", ""))
				equal(t, "found", append([]string{}, found...), expected)
				equal(t, "faults", faults, nil)
			}
		})
	}
}

func TestChangesDoNotDisturbEvaluationsUnderWay(t *testing.T) {
	e := newEngine()
	// Two ingresses change together: a rule that sees one without the other has seen half a change.
	install(t, e, "p", "v1", `package p
violation contains {"msg": "torn"} if {
	all := data.inventory.namespace.shop["networking.k8s.io/v1"].Ingress
	all.a.spec.rules[0].host != all.b.spec.rules[0].host
}`)
	loaded(t, e, strings.Repeat(thing, 20))
	stores(t, e, storeRequest{}, ingress("shop", "a", "0"), ingress("shop", "b", "0"))
	var together sync.WaitGroup
	for worker := range 4 {
		together.Go(func() {
			for i := range 50 {
				if worker < 2 {
					host := fmt.Sprint(worker, i)
					stores(t, e, storeRequest{}, ingress("shop", "a", host), ingress("shop", "b", host), ingress("shop", "c"+host, host))
				} else if found, faults := messages(judged(t, e, "p", "")); len(found)+len(faults) > 0 {
					t.Error(found, faults)
				}
			}
		})
	}
	together.Wait()
}

// What one change of 5,000 ingresses costs, with the next evaluation's view of it.
func BenchmarkStoreOneOf5000(b *testing.B) {
	for name, namespaces := range map[string]int{"one namespace": 1, "500 namespaces": 500} {
		b.Run(name, func(b *testing.B) {
			e := newEngine()
			var all []string
			for i := range 5000 {
				all = append(all, ingress(fmt.Sprint("ns", i%namespaces), fmt.Sprint("i", i), "host"))
			}
			stores(b, e, storeRequest{}, all...)
			if _, err := e.inventory.current(); err != nil {
				b.Fatal(err)
			}
			for i := 0; b.Loop(); i++ {
				stores(b, e, storeRequest{}, ingress("ns0", "i0", fmt.Sprint(i)))
				if _, err := e.inventory.current(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func TestStoreIsAnOperation(t *testing.T) {
	e := newEngine()
	one := ingress("shop", "a", "x")
	header, _ := json.Marshal(map[string]any{"parts": []int{len(one)}})
	answer, err := e.handle("store", Frame{Header: header, Body: []byte(one)})
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "answer", fmt.Sprint(answer), "map[removed:0 stored:[{networking.k8s.io/v1 Ingress shop a}]]")
}
