package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"

	"aksp.dev/engine/plan"
)

func TestOnlyWhatIsReadIsParsed(t *testing.T) {
	text := `{"a": {"b": 1, "c": [1, {"d": 2, "e": 3}]}, "f": "x", "g": [[1], [2]], "h": null}`
	for _, one := range []struct {
		reads *Reads
		want  string
	}{
		{everything(), text},
		{reading(), `{}`},
		{reading("a.b"), `{"a": {"b": 1}}`},
		{reading("a"), `{"a": {"b": 1, "c": [1, {"d": 2, "e": 3}]}}`},
		{reading("a.c.*.d"), `{"a": {"c": [1, {"d": 2}]}}`},
		{reading("a.c.x"), `{"a": {"c": []}}`},
		{reading("*.b"), `{"a": {"b": 1}, "f": "x", "g": [], "h": null}`},
		{reading("*.b", "a.c"), `{"a": {"b": 1, "c": [1, {"d": 2, "e": 3}]}, "f": "x", "g": [], "h": null}`},
		{reading("*.*", "a.c.*.d"), text},
		{reading("g.*"), `{"g": [[1], [2]]}`},
		{reading("g.*.x"), `{"g": [[], []]}`},
		{reading("missing.x"), `{}`},
	} {
		got, err := parseJSON([]byte(text), one.reads)
		if err != nil {
			t.Fatal(err)
		}
		equal(t, fmt.Sprint(one.reads.paths()), got, native(t, one.want))
	}
}

func TestAWrongTypeKeepsItsType(t *testing.T) {
	for _, one := range []struct{ text, want string }{
		{`"x"`, `"x"`}, {`1`, `1`}, {`true`, `true`}, {`null`, `null`}, {`[{"b": 1}, 2]`, `[]`}, {`{"c": 1}`, `{}`}, {`{"b": [1]}`, `{"b": [1]}`},
	} {
		got, err := parseJSON([]byte(`{"a": `+one.text+`}`), reading("a.b"))
		if err != nil {
			t.Fatal(err)
		}
		equal(t, one.text, got, native(t, `{"a": `+one.want+`}`))
	}
}

func TestDuplicateKeysAreRefusedInFilesAndLeftToTheServerInItsLists(t *testing.T) {
	for _, text := range []string{`{"a": 1, "a": 2}`, `{"x": {"b": 1, "b": 2}}`, `{"a": 1, "\u0061": 2}`} {
		if _, err := parseJSON([]byte(text), reading("a")); err == nil || !strings.Contains(err.Error(), "duplicate") {
			t.Errorf("%s: %v", text, err)
		}
		if _, err := parseJSON([]byte(text), reading("a"), trusted...); err != nil {
			t.Errorf("%s: %v", text, err)
		}
	}
}

func TestTextThatIsNoUTF8IsRefusedInFilesAlone(t *testing.T) {
	for _, text := range []string{"{\"a\": \"\xff\"}", "{\"x\": \"\xff\"}", "{\"\xff\": 1}"} {
		if _, err := parseJSON([]byte(text), reading("a")); err == nil || !strings.Contains(err.Error(), "UTF-8") {
			t.Errorf("%q: %v", text, err)
		}
		if _, err := parseJSON([]byte(text), reading("a"), trusted...); err != nil {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func TestNumbersStayAsTheyAreWritten(t *testing.T) {
	for _, text := range []string{"1", "-0", "1.50", "1e400", "123456789012345678901234567890", "1E-7"} {
		if got := native(t, text); got != json.Number(text) {
			t.Errorf("%s became %v", text, got)
		}
	}
}

func TestEscapedNamesAreTheNamesTheyStandFor(t *testing.T) {
	equal(t, "object", fmt.Sprint(native(t, `{"\u0061\n": "\u00e9"}`)), "map[a\n:é]")
	got, err := parseJSON([]byte(`{"\u0061": 1, "b": 2}`), reading("a"))
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "object", got, native(t, `{"a": 1}`))
}

func TestBrokenJSONIsAnErrorWhereverItBreaks(t *testing.T) {
	whole := `{"a": [1, {"b": "x"}, null, true], "c": {"d": -1.5}}`
	for length := range len(whole) {
		for _, reads := range []*Reads{everything(), reading("a.*.b"), reading()} {
			if _, err := parseJSON([]byte(whole[:length]), reads); err == nil {
				t.Errorf("%q is accepted along %v", whole[:length], reads.paths())
			}
		}
	}
}

func TestNestingHasAnEnd(t *testing.T) {
	for _, one := range []struct{ open, within, end string }{{"[", "1", "]"}, {`{"a":`, "1", "}"}} {
		deep := strings.Repeat(one.open, 20000) + one.within + strings.Repeat(one.end, 20000)
		if _, err := parseJSON([]byte(deep), everything()); err == nil || !strings.Contains(err.Error(), "depth") {
			t.Errorf("20,000 deep: %v", err)
		}
	}
}

func TestReadsMergeIntoAllThatEitherReads(t *testing.T) {
	for _, one := range []struct {
		one, other *Reads
		want       string
	}{
		{reading("a.b"), reading("a.c"), "[a.b a.c]"},
		{reading("a.b"), reading("a"), "[a]"},
		{reading("a"), reading("a.b"), "[a]"},
		{reading("a.b"), reading("*.c"), "[[*].c a.b]"},
		{reading(), everything(), "[]"},
		{everything(), reading("a"), "[]"},
	} {
		one.one.merge(one.other)
		equal(t, "merged", fmt.Sprint(one.one.paths()), one.want)
	}
	one := reading("a.b")
	two := newReads()
	two.merge(one)
	two.add("a", "c")
	equal(t, "the other tree", fmt.Sprint(one.paths()), "[a.b]")
}

func TestCoversTellsWhetherNothingWouldBeMissing(t *testing.T) {
	for _, one := range []struct {
		has, needs *Reads
		want       bool
	}{
		{reading("a"), reading("a.b"), true}, {reading("a.b"), reading("a"), false}, {reading("*.b"), reading("a.b"), true},
		{reading("a.b"), reading("*.b"), false}, {everything(), everything(), true}, {reading("a"), everything(), false},
		{everything(), reading("a"), true}, {reading("*.b", "a.c"), reading("a.b"), true}, {reading(), reading(), true},
		{reading("a.*"), reading("a.b", "a.*.c"), true},
	} {
		equal(t, fmt.Sprintf("%v covers %v", one.has.paths(), one.needs.paths()), one.has.covers(one.needs), one.want)
	}
}

// Documents of which it is known that plans take their numbers need not be searched for others.
func TestNumbersThatPlansDoNotTakeAreNoticed(t *testing.T) {
	pod := func(number string) string {
		return podText("Pod", `{"containers": [{"name": "a", "image": "b", "ports": [{"containerPort": `+number+`}]}]}`)
	}
	limits := `{"apiVersion": "v1", "kind": "LimitRange", "metadata": {"name": "l", "namespace": "shop"}, "spec": {"limits": [{"type": "Container", "default": {"cpu": 1.5}}]}}`
	for text, usual := range map[string]bool{
		pod("80"): true, pod("80.0"): false, pod("1e3"): false, pod("1234567890123456789"): false, pod("-0"): false, pod("80") + limits: false,
		"apiVersion: v1\nkind: Pod\nmetadata:\n  name: a\nspec:\n  containers:\n  - name: a\n    image: b\n    ports:\n    - containerPort: 80\n": true,
	} {
		e := newEngine()
		install(t, e, "p", "v1", `package p
violation contains {"msg": "x"} if { some c in input.review.object.spec.containers; c.ports; c.resources; input.review.object.spec.tolerations }`)
		loadAround(t, e, text)
		document := e.batches["b"].documents[0]
		if document.review(document.object).unusual == usual || usual && !plan.Usual(document.object) {
			t.Errorf("usual is not %v: %v", usual, document.object)
		}
	}
	request := `{"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": {"uid": "u", "operation": "CREATE", "options": {"a": 1.5},
		"kind": {"group": "", "version": "v1", "kind": "Pod"}, "object": ` + pod("80") + `}}`
	e := newEngine()
	install(t, e, "p", "v1", `package p
violation contains {"msg": "x"} if { input.review.object.spec; input.review.options.a }`)
	loadedAs(t, e, loadRequest{Batch: "b", Format: "review"}, request)
	if document := e.batches["b"].documents[0]; !document.review(document.object).unusual {
		t.Error("a number of the request passed")
	}
}

// What is passed over is refused in the words, and at the place, of the decoder's own SkipValue.
func TestWhatIsPassedOverIsRefusedAsIfItWereRead(t *testing.T) {
	text := `{"a": {"b": [1, -2.5e3, {"c": "d\u00e9", "": "ü"}, [], {}], "e": null, "f": {"g": true}}, "h": [false, "i"]}`
	pass := func(text string, skip func(*jsontext.Decoder) error, options ...jsontext.Options) string {
		dec := jsontext.NewDecoder(bytes.NewBuffer([]byte(text)), options...)
		err := skip(dec)
		if err != nil {
			return jsonMessage(err) + fmt.Sprint(" in line ", jsonLine([]byte(text), err))
		}
		return fmt.Sprint(dec.InputOffset())
	}
	for at := range text {
		for _, by := range []string{"", "\"", "{", "}", "[", "]", ",", ":", "\\", "\n", "0", "a", "x", "\xff", `"a": 1, `} {
			broken := text[:at] + by + text[at+1:]
			for _, options := range [][]jsontext.Options{nil, trusted} {
				got, want := pass(broken, skip, options...), pass(broken, (*jsontext.Decoder).SkipValue, options...)
				equal(t, broken, got, want)
			}
		}
		equal(t, text[:at], pass(text[:at], skip), pass(text[:at], (*jsontext.Decoder).SkipValue))
	}
}
