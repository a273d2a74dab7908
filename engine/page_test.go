package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
)

// What pages are made of here, so that much is malformed, and much nearly well formed.
var pieces = []string{
	`{`, `}`, `[`, `]`, `,`, `"kind"`, `"a\"b"`, `1`, `null`, `{}`, `{"metadata":{"name":"a","uid":"u"}}`,
	`{"metadata":{"name":"c","labels":{"a":"b"}},"spec":{"containers":[{"name":"c","image":"i"}]},"status":{"kind":[]}}`, `{"metadata":1}`,
	`{"metadata":{"name":"d"}} `, "\n" + `{"metadata":{"name":"e"}}`, `{"kind":"Pod","apiVersion":"v1","metadata":{"name":"b"}}`,
	`{"k\u0069nd":"Service","metadata":{"name":"c"}}`, `{"kind":null,"metadata":{"name":"f"}}`, `{"a":"` + "\xff" + `","metadata":{"name":"é"}}`,
	`{"a":tru}`, `{"a":[}]}`, `{"a":1,}`, `{"a" 1}`, `{"a":"` + "\n" + `"}`, `{"a":1}}`, `{"a":"`,
}

func TestAPageIsReadInOnePassAsByAThoroughReading(t *testing.T) {
	e := newEngine()
	install(t, e, "p", "v1", `package p
violation contains {"msg": json.marshal(input.review.object.spec)} if true`)
	reader := e.reader(loadRequest{Format: "list"})
	random, quick, slow := rand.New(rand.NewPCG(1, 2)), 0, 0
	for range 20_000 {
		var items []string
		for range random.IntN(4) {
			items = append(items, pieces[random.IntN(len(pieces))])
		}
		members := []string{`"kind":"PodList"`, `"apiVersion":"v1"`, `"metadata":{"continue":"x"}`, `"items":[` + strings.Join(items, ",") + `]`}
		if random.IntN(4) == 0 {
			random.Shuffle(len(members), func(i, j int) { members[i], members[j] = members[j], members[i] })
		}
		page := []byte(`{` + strings.Join(members, ",") + "}\n")
		typed, documents, err := reader.readTyped(page)
		if err != nil {
			slow++
			continue
		}
		quick++
		found, err := listItems(page)
		if err != nil {
			t.Fatalf("%s: %v", page, err)
		}
		equal(t, string(page), []string{typed.kind, typed.apiVersion, typed.metadata.Continue, string(typed.items)},
			[]string{found.kind, found.apiVersion, found.metadata.Continue, string(found.items)})
		var sources []source
		for _, span := range found.spans {
			sources = append(sources, source{span: span, text: page[span.Offset : span.Offset+span.Length]})
		}
		want, problems := e.readAll(reader, sources)
		equal(t, string(page), len(problems), 0)
		equal(t, string(page), described(t, documents), described(t, want))
	}
	if quick < 2000 || slow < 2000 {
		t.Errorf("%d pages were read in one pass, and %d were not", quick, slow)
	}
}

// described are records of documents and what was parsed of them.
func described(t *testing.T, documents []*Document) (all []string) {
	t.Helper()
	for _, document := range documents {
		for _, part := range []any{document, document.object, document.usual} {
			text, err := json.Marshal(part)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, string(text))
		}
	}
	return all
}

func TestWhatIsWrongWithAPageIsToldAsByAThoroughReading(t *testing.T) {
	e := newEngine()
	for number, items := range []string{`{"a":tru}`, `{"a":[}]}`, `{"a" 1}`, `{"metadata":{"name":"a"}},{"a":1,}`, `{},`, `{"a":1}}`, `{"a":"`} {
		page := []byte(`{"kind":"PodList","apiVersion":"v1","metadata":{},"items":[` + items + `]}`)
		_, want := listItems(page)
		_, err := e.load(loadRequest{Batch: string(rune('a' + number)), Format: "list"}, page)
		if err == nil || want == nil || err.Error() != errNoList.Error()+": "+jsonMessage(want) {
			t.Errorf("%s: %v, not %v", items, err, want)
		}
	}
	page := `{"kind":"PodList","apiVersion":"v1","metadata":{},"items":[{"metadata":{"name":"a"}},1]}`
	equal(t, "beside a Pod", problemsOf(loadedAs(t, e, loadRequest{Batch: "b", Format: "list"}, page)), []string{"0:0: not a Kubernetes object: it is no mapping"})
}

func TestNothingFollowsAList(t *testing.T) {
	e := newEngine()
	page := `{"kind":"PodList","apiVersion":"v1","metadata":{},"items":[{"metadata":{"name":"a"}}]}`
	mapped := `{"items":[{"metadata":{"name":"a"}}],"kind":"PodList","apiVersion":"v1","metadata":{}}`
	for at, list := range []string{page, mapped} {
		for number, more := range []string{page, "{}", "1", ",", "]", "x", "\n\n" + page} {
			batch := loadRequest{Batch: fmt.Sprint(at, number), Format: "list"}
			if _, err := e.load(batch, []byte(list+more)); !errors.Is(err, errNoList) {
				t.Errorf("%s is read as a list, and what follows is lost", list+more)
			}
		}
		if _, err := e.load(loadRequest{Batch: fmt.Sprint("plain", at), Format: "list"}, []byte(list+" \r\n\t ")); err != nil {
			t.Errorf("a list and blanks: %v", err)
		}
	}
}
