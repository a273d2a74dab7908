package main

import (
	"fmt"
	"math"
	"strings"
	"testing"
)

func keyOf(t *testing.T, s *visibleFields, text string) string {
	t.Helper()
	return string(s.key(nil, documentOf(native(t, text).(map[string]any))))
}

func TestKeysDifferWhereverAPolicyCouldSeeADifference(t *testing.T) {
	values := []string{
		`"1"`, `1`, `1.0`, `true`, `"true"`, `false`, `null`, `"null"`, `[]`, `{}`, `""`, `[""]`, `[null]`, `[[]]`, `[[], []]`, `[[[]]]`, `["a", "b"]`, `["ab"]`,
		`["a\u0000\"b"]`, `["a\u0000", "b"]`, `["a", "\u0000b"]`, `[["a"], "b"]`, `[["a", "b"]]`, `{"a": "b"}`, `{"a": {"b": null}}`, `{"a": null, "b": null}`, `{"ab": null}`,
		`{"b": null}`, `["a", null]`, `{"a": [], "b": []}`, `{"a": [[]], "b": []}`, `{"a\u0000": "b"}`, `"a\u0000b"`, `{"a": "b\u0000b"}`, `{"a": "\u0001b"}`, `{"": ""}`,
	}
	for _, reads := range []*Reads{reading("spec"), reading("spec.*"), reading("spec.*", "spec.a.*", "spec.a")} {
		s := &visibleFields{object: sorted(reads)}
		seen := map[string]string{}
		for _, value := range append(values, "absent") {
			text := `{"spec": ` + value + `}`
			if value == "absent" {
				text = `{}`
			}
			key := keyOf(t, s, text)
			if other, known := seen[key]; known {
				t.Errorf("along %v, %s and %s have one key", reads.paths(), value, other)
			}
			seen[key] = value
			for _, other := range seen {
				otherText := strings.Replace(`{"spec": `+other+`}`, `{"spec": absent}`, `{}`, 1)
				if reads.same(native(t, text), native(t, otherText)) != (other == value) {
					t.Errorf("along %v, %s and %s are told apart: %v", reads.paths(), value, other, other == value)
				}
			}
		}
	}
}

func TestKeysAreAlikeWhereNoDifferenceCanBeSeen(t *testing.T) {
	s := &visibleFields{object: sorted(reading("spec.a.*.b", "spec.c"))}
	base := keyOf(t, s, `{"spec": {"a": [{"b": 1}], "c": {"x": 1, "y": 2}}}`)
	equal(t, "key", keyOf(t, s, `{"metadata": {"name": "other"}, "spec": {"d": 1, "a": [{"b": 1, "z": 2}], "c": {"y": 2, "x": 1}}}`), base)
	reads := reading("spec.a.*.b", "spec.c")
	if !reads.same(native(t, `{"spec": {"a": [{"b": 1}], "c": {"x": 1, "y": 2}}}`), native(t, `{"metadata": {}, "spec": {"d": 1, "a": [{"b": 1, "z": 2}], "c": {"y": 2, "x": 1}}}`)) {
		t.Error("they are not the same")
	}
	if keyOf(t, s, `{"spec": {"a": [{"b": 1}, {}], "c": {"x": 1, "y": 2}}}`) == base {
		t.Error("the length of a list is not part of the key")
	}
}

func TestKeysTellKindsAndWhatReviewsSayBesides(t *testing.T) {
	plain, full := &visibleFields{object: sorted(reading("spec"))}, &visibleFields{object: sorted(reading("spec")), name: true, namespace: true}
	one, other := `{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "ab", "namespace": "c"}}`, `{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a", "namespace": "bc"}}`
	equal(t, "alike", keyOf(t, plain, one) == keyOf(t, plain, other), true)
	equal(t, "apart", keyOf(t, full, one) == keyOf(t, full, other), false)
	equal(t, "kinds", keyOf(t, plain, one) == keyOf(t, plain, strings.Replace(one, "Pod", "Podd", 1)), false)
	equal(t, "versions", keyOf(t, plain, one) == keyOf(t, plain, strings.Replace(one, "v1", "v2", 1)), false)
	equal(t, "names", keyOf(t, full, one) == keyOf(t, full, strings.Replace(one, "ab", "ac", 1)), false)
	equal(t, "namespaces", keyOf(t, full, one) == keyOf(t, full, strings.Replace(one, `"c"`, `"d"`, 1)), false)
}

func TestKeysTellWhatTheAPIServerAdds(t *testing.T) {
	s := &visibleFields{object: sorted(reading("spec.a"))}
	key := func(plain, object string, what ...string) string {
		d := documentOf(native(t, `{"apiVersion": "v1", "kind": "Pod", "spec": `+object+`}`).(map[string]any))
		d.plain = native(t, `{"spec": `+plain+`}`).(map[string]any)
		for _, one := range what {
			d.added = append(d.added, addition{what: one})
		}
		return string(s.key(nil, d))
	}
	base := key(`{}`, `{"a": 1}`, "a LimitRange")
	equal(t, "other words", key(`{}`, `{"a": 1}`, "a ServiceAccount") == base, false)
	equal(t, "another one before", key(`{"a": 2}`, `{"a": 1}`, "a LimitRange") == base, false)
	equal(t, "what is not seen", key(`{"b": 1}`, `{"a": 1}`, "a LimitRange") == base, true)
	equal(t, "what changes nothing that is seen", key(`{"a": 1}`, `{"a": 1}`, "a LimitRange") == key(`{"a": 1}`, `{"a": 1}`), true)
}

func TestOnlyPoliciesWhoseOutcomesComeBackAreRemembered(t *testing.T) {
	for body, want := range map[string]bool{
		`input.review.object.spec.a`:                            true,
		`input.review.name == "x"`:                              true,
		`input.review.object.metadata.labels.a`:                 true,
		`input.review.object.metadata.name == "x"`:              false,
		`input.review.object.metadata[_] == "x"`:                false,
		`count(input.review.object.metadata) > 1`:               false,
		`input.review.object[_].a`:                              false,
		`count(input.review.object) > 1`:                        false,
		`count(input.review) > 1`:                               false,
		`input.review[_].a`:                                     false,
		`data.inventory.cluster`:                                false,
		`time.now_ns() > 1`:                                     false,
		`rand.intn("x", 10) > 100`:                              false,
		`uuid.rfc4122("x") == input.review.object.spec.a`:       false,
		`input.review.object.spec.a with input.parameters as 1`: false,
	} {
		policy := compiled(t, "v1", "package p\nviolation contains {\"msg\": \"x\"} if { "+body+" }")
		equal(t, body, policy.visible != nil, want)
	}
}

func TestOutcomesFromMemoryAreThoseOfEvaluation(t *testing.T) {
	const source = `package p
violation contains {"msg": sprintf("%v in %v", [c.image, input.review.namespace]), "details": {"container": c.name}} if {
	some c in input.review.object.spec.containers
	c.image == input.parameters.image
}`
	var text strings.Builder
	for i := range 300 {
		fmt.Fprintf(&text, `{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p%d", "namespace": "n%d"}, "spec": {"containers": [{"name": "c%d", "image": "i%d"}]}}`, i, i%2, i%5, i%3)
	}
	results := map[bool]judgeAnswer{}
	for _, remembers := range []bool{true, false} {
		e := newEngine()
		install(t, e, "p", "v1", source)
		if !remembers {
			e.policies["p"].visible = nil
		}
		loaded(t, e, text.String())
		for _, parameters := range []string{`{"image": "i1"}`, `{"image": "i2"}`, `{"image": "i1"}`} {
			results[remembers] = judged(t, e, "p", parameters)
		}
		if set, _ := e.policies["p"].with(`{"image": "i1"}`); remembers {
			equal(t, "remembered", len(set.memo.outcomes), 30)
		}
	}
	equal(t, "answers", results[true], results[false])
	equal(t, "hits", len(results[true].Hits), 100)
	equal(t, "findings", len(results[true].Findings), 10)
}

func TestMemoryIsEmptiedWhenItIsFull(t *testing.T) {
	e := newEngine()
	e.rememberable = 100 << 10
	install(t, e, "p", "v1", "package p\nviolation contains {\"msg\": \"x\"} if input.review.object.spec.a")
	for round := range 40 {
		var text strings.Builder
		for i := range 50 {
			fmt.Fprintf(&text, `{"apiVersion": "v1", "kind": "Thing", "metadata": {"name": "a"}, "spec": {"a": "%d-%d"}}`, round, i)
		}
		loadedAs(t, e, loadRequest{Batch: "b", Format: "files", Parts: []Part{{Length: text.Len()}}}, text.String())
		equal(t, "hits", len(judged(t, e, "p", fmt.Sprint(round%4)).Hits), 50)
		if _, err := e.release(batchRequest{Batch: "b"}); err != nil {
			t.Fatal(err)
		}
		total := 0
		for _, set := range e.policies["p"].sets {
			total += len(set.memo.outcomes)
		}
		if total*outcomeBytes > int(e.rememberable) || e.remembered.Load() > e.rememberable {
			t.Fatalf("round %d: %d outcomes, %d bytes", round, total, e.remembered.Load())
		}
	}
}

func TestSetsOfParametersAreForgottenWhenThereAreTooMany(t *testing.T) {
	policy := compiled(t, "v1", "package p\nviolation contains {\"msg\": \"x\"} if input.review.object.spec.a")
	for i := range maxParameterSets + 2 {
		if _, err := policy.with(fmt.Sprint(i)); err != nil {
			t.Fatal(err)
		}
	}
	equal(t, "sets of parameters", len(policy.sets), 2)
}

func TestWhatIsSeenOfALargeDocumentIsNotRemembered(t *testing.T) {
	memo := newMemo()
	equal(t, "bytes", memo.put(make([]byte, maxKey+1), &outcome{}), 0)
	equal(t, "remembered", len(memo.outcomes), 0)
	equal(t, "bytes", memo.put([]byte("key"), &outcome{findings: []Finding{{Msg: "m", Details: "{}"}}}), int64(outcomeBytes+6))
	equal(t, "bytes of the same", memo.put([]byte("key"), &outcome{}), 0)
}

func TestTheBoundOfMemoryIsAShareOfTheProcess(t *testing.T) {
	equal(t, "without a limit", rememberable(math.MaxInt64), mostRemembered)
	equal(t, "of 1 GiB", rememberable(1<<30), mostRemembered)
	equal(t, "of 128 MiB", rememberable(128<<20), 16<<20)
}

func TestOutcomesWithFaultsAreNotRemembered(t *testing.T) {
	e := newEngine()
	install(t, e, "p", "v1", "package p\nviolation contains {\"msg\": \"x\"} if 1 / input.review.object.spec.zero")
	loaded(t, e, `{"apiVersion": "v1", "kind": "Thing", "metadata": {"name": "a"}, "spec": {"zero": 0}}`)
	for range 2 {
		_, faults := messages(judged(t, e, "p", ""))
		equal(t, "faults", faults, []string{"0: p.rego:2: div: divide by zero"})
	}
	equal(t, "remembered", len(e.policies["p"].sets[""].memo.outcomes), 0)
}

func TestOfDocumentsThatAllDifferNothingIsRememberedUntilSomeAreAlikeAgain(t *testing.T) {
	e := newEngine()
	install(t, e, "p", "v1", "package p\nviolation contains {\"msg\": input.review.object.spec.a}")
	judgedNow := func(count int, value func(int) int) {
		var text strings.Builder
		for i := range count {
			fmt.Fprintf(&text, `{"apiVersion": "v1", "kind": "Thing", "metadata": {"name": "a"}, "spec": {"a": "%d"}}`, value(i))
		}
		loadedAs(t, e, loadRequest{Batch: "b", Format: "files", Parts: []Part{{Length: text.Len()}}}, text.String())
		equal(t, "hits", len(judged(t, e, "p", "").Hits), count)
		if _, err := e.release(batchRequest{Batch: "b"}); err != nil {
			t.Fatal(err)
		}
	}
	outcomes := func() int { return len(e.policies["p"].sets[""].memo.outcomes) }
	// Half of them: on a busy machine a document may be looked up again.
	judgedNow(trial/2, func(i int) int { return i })
	equal(t, "while it is tried", outcomes(), trial/2)
	judgedNow(pause/2, func(i int) int { return trial + i })
	// Those that were looked up just before, and were done just after, are there.
	if found := outcomes(); found > cap(e.slots) || e.remembered.Load() > int64(found*2*outcomeBytes) {
		t.Errorf("%d outcomes of documents that differ, of %d bytes", found, e.remembered.Load())
	}
	judgedNow(2*pause, func(i int) int { return i / trial })
	if found := outcomes(); found == 0 || found > 2*pause/trial+1 {
		t.Errorf("%d outcomes of documents that are alike", found)
	}
}
