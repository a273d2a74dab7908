package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

func register1(t *testing.T, e *Engine, tasks string) {
	t.Helper()
	var request registerRequest
	if err := json.Unmarshal([]byte(`{"set":"s","deadlineMs":1000,"tasks":`+tasks+`}`), &request); err != nil {
		t.Fatal(err)
	}
	if _, err := e.register(request); err != nil {
		t.Fatal(err)
	}
}

func admitted(t *testing.T, e *Engine, body string, skip ...int) admitAnswer {
	t.Helper()
	answer, err := e.admit(admitRequest{Set: "s", Skip: skip, BudgetMS: 5000}, Frame{Body: []byte(body), begun: time.Now()})
	if err != nil {
		t.Fatal(err)
	}
	return answer.(admitAnswer)
}

const privilegedReview = `{"apiVersion":"admission.k8s.io/v1","kind":"AdmissionReview","request":{"uid":"1","operation":"UPDATE",` +
	`"kind":{"group":"","version":"v1","kind":"Pod"},"namespace":"shop","name":"web","object":OBJECT,"oldObject":OBJECT}}`

func privileged() string {
	return strings.ReplaceAll(privilegedReview, "OBJECT",
		`{"apiVersion":"v1","kind":"Pod","metadata":{"name":"web","namespace":"shop"},"spec":{"containers":[{"name":"a","image":"i","securityContext":{"privileged":true}}]}}`)
}

const privilegedRego = `package rule
violation contains {"msg": "privileged"} if input.review.object.spec.containers[_].securityContext.privileged`

func TestAdmitJudgesTheKindsOfATaskAndTheOldVersionWhereItIsWanted(t *testing.T) {
	e := newEngine()
	install(t, e, "p", "v1", privilegedRego)
	register1(t, e, `[{"policy":"p","kinds":["/Pod"],"before":true},{"policy":"p","kinds":["*/Pod"]},{"policy":"p","kinds":["/Service"]},{"policy":"p","kinds":["*/*"]}]`)
	answer := admitted(t, e, privileged())
	var hits [][2]int
	for _, one := range answer.key.Hits {
		hits = append(hits, [2]int{one.Task, one.Document})
	}
	equal(t, "hits", hits, [][2]int{{0, 0}, {1, 0}, {3, 0}, {0, 1}})
	equal(t, "request", answer.Request.UID, "1")
	equal(t, "documents", len(answer.key.Documents), 2)
	equal(t, "batches kept", len(e.batches), 0)
}

func TestAdmitLeavesOutTasksThatAreToBeSkipped(t *testing.T) {
	e := newEngine()
	install(t, e, "p", "v1", privilegedRego)
	register1(t, e, `[{"policy":"p","kinds":["/Pod"]}]`)
	equal(t, "hits", len(admitted(t, e, privileged(), 0).key.Hits), 0)
}

func TestAdmitKnowsOnlySetsThatAreRegistered(t *testing.T) {
	e := newEngine()
	install(t, e, "p", "v1", privilegedRego)
	register1(t, e, `[{"policy":"p","kinds":["/Pod"]}]`)
	if _, err := e.register(registerRequest{Set: "s", Drop: true}); err != nil {
		t.Fatal(err)
	}
	if _, err := e.admit(admitRequest{Set: "s", BudgetMS: 5000}, Frame{Body: []byte(privileged()), begun: time.Now()}); err == nil {
		t.Fatal("a set that was dropped is still there")
	}
}

func TestAdmitRefusesWhatIsNoReview(t *testing.T) {
	e := newEngine()
	install(t, e, "p", "v1", privilegedRego)
	register1(t, e, `[{"policy":"p","kinds":["/Pod"]}]`)
	_, err := e.admit(admitRequest{Set: "s", BudgetMS: 5000}, Frame{Body: []byte(`{"kind":"Pod"}`), begun: time.Now()})
	var coded *codedError
	if !errors.As(err, &coded) || coded.code != "BadReview" {
		t.Fatalf("got %v", err)
	}
}

func TestAPolicyThatReadsMoreIsServedAtOnce(t *testing.T) {
	e := newEngine()
	install(t, e, "p", "v1", privilegedRego)
	admittedBefore := func() int {
		register1(t, e, `[{"policy":"q","kinds":["/Pod"]}]`)
		return len(admitted(t, e, privileged()).key.Hits)
	}
	install(t, e, "q", "v1", `package rule
violation contains {"msg": "image"} if input.review.object.spec.containers[_].image == "i"`)
	equal(t, "hits", admittedBefore(), 1)
}

func TestWhatFollowsFromReviewsThatDifferOnlyInWhoAndWhichIsTheSameText(t *testing.T) {
	e := newEngine()
	install(t, e, "p", "v1", privilegedRego)
	register1(t, e, `[{"policy":"p","kinds":["/Pod"],"before":true}]`)
	keyOfReview := func(body string) string {
		text, err := admitted(t, e, body).body()
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	one := privileged()
	owned := strings.ReplaceAll(one, `"name":"web","namespace":"shop"}`,
		`"name":"web","namespace":"shop","uid":"u","ownerReferences":[{"apiVersion":"apps/v1","kind":"ReplicaSet","name":"web-1","uid":"o","controller":true}]}`)
	for what, pair := range map[string][2]string{
		"uid":       {one, strings.Replace(one, `"uid":"1"`, `"uid":"2"`, 1)},
		"name":      {one, strings.ReplaceAll(one, `"web"`, `"other"`)},
		"user":      {one, strings.Replace(one, `"uid":"1"`, `"uid":"1","userInfo":{"username":"mallory"}`, 1)},
		"dry run":   {one, strings.Replace(one, `"uid":"1"`, `"uid":"1","dryRun":true`, 1)},
		"owner uid": {owned, strings.ReplaceAll(owned, `"o"`, `"p"`)},
	} {
		equal(t, what, keyOfReview(pair[1]), keyOfReview(pair[0]))
	}
	for what, pair := range map[string][2]string{
		"operation": {one, strings.Replace(one, `"UPDATE"`, `"CREATE"`, 1)},
		"namespace": {one, strings.ReplaceAll(one, `"shop"`, `"blog"`)},
		"labels":    {one, strings.ReplaceAll(one, `"namespace":"shop"}`, `"namespace":"shop","labels":{"a":"b"}}`)},
		"image":     {one, strings.ReplaceAll(one, `"image":"i"`, `"image":"j"`)},
		"finding":   {one, strings.ReplaceAll(one, `"privileged":true`, `"privileged":false`)},
		"before":    {one, strings.Replace(one, `"privileged":true`, `"privileged":false`, 1)},
		"owner":     {owned, strings.ReplaceAll(owned, `"web-1"`, `"web-2"`)},
	} {
		if keyOfReview(pair[0]) == keyOfReview(pair[1]) {
			t.Errorf("%s: the same text for what is not alike", what)
		}
	}
}

// admittedWithin is the answer to a review for which there is so much time, in milliseconds.
func admittedWithin(t *testing.T, e *Engine, body string, milliseconds int) admitAnswer {
	t.Helper()
	answer, err := e.admit(admitRequest{Set: "s", BudgetMS: milliseconds}, Frame{Body: []byte(body), begun: time.Now()})
	if err != nil {
		t.Fatal(err)
	}
	return answer.(admitAnswer)
}

func manyPrivileged(containers int, old bool) string {
	list := make([]string, containers)
	for i := range list {
		list[i] = fmt.Sprintf(`{"name":"c%d","image":"i","securityContext":{"privileged":true}}`, i)
	}
	body := strings.Replace(privilegedReview, "OBJECT", `{"apiVersion":"v1","kind":"Pod","spec":{"containers":[`+strings.Join(list, ",")+`]}}`, 1)
	if !old {
		return strings.Replace(body, "OBJECT", "null", 1)
	}
	return strings.Replace(body, "OBJECT", `{"apiVersion":"v1","kind":"Pod","spec":{"containers":[]}}`, 1)
}

const eachPrivileged = `package rule
violation contains {"msg": c.name} if {
	some c in input.review.object.spec.containers
	c.securityContext.privileged
}`

func TestWhoeverRefusesLooksForAllWhereTheOldVersionIsCompared(t *testing.T) {
	e := newEngine()
	for _, id := range []string{"p", "q", "r"} { // each remembers for itself
		install(t, e, id, "v1", eachPrivileged)
	}
	register1(t, e, `[{"policy":"p","kinds":["/Pod"],"before":true,"enough":10},{"policy":"q","kinds":["/Pod"],"enough":10},{"policy":"r","kinds":["/Pod"]}]`)
	for _, containers := range []int{30, 5000} { // a small review and a large one
		// In this order: what is found whole is remembered for the next time.
		for _, old := range []bool{false, true} {
			want := []int{10, 10, containers}
			if old {
				want[0] = containers
			}
			counts := make([]int, 3)
			for _, one := range admittedWithin(t, e, manyPrivileged(containers, old), 5000).key.Hits {
				counts[one.Task] = len(one.Findings)
				if one.Cut != (counts[one.Task] < containers) {
					t.Errorf("%d of %d, and cut is %v", counts[one.Task], containers, one.Cut)
				}
			}
			equal(t, "findings", counts, want)
		}
	}
}

func TestAReviewEndsInTimeAndWhatWasFoundByThenStands(t *testing.T) {
	e := newEngine()
	install(t, e, "p", "v1", eachPrivileged)
	install(t, e, "q", "v1", strings.Replace(endless, "package p", "package q", 1))
	tasks := `[{"policy":"q","kinds":["/Pod"],"before":true},{"policy":"q","kinds":["/Pod"],"before":true},{"policy":"p","kinds":["/Pod"],"before":true}]`
	register1(t, e, tasks)
	for _, containers := range []int{30, 2500} {
		began := time.Now()
		admittedWithin(t, e, manyPrivileged(containers, false), 300)
		if took := time.Since(began); took > testDeadline {
			t.Errorf("it took %s", took)
		}
		// The first time the endless ones come first; then they come last.
		answer := admittedWithin(t, e, manyPrivileged(containers, false), 1500)
		equal(t, fmt.Sprintf("hits of %d containers", containers), len(answer.key.Hits), 1)
		// On a slow machine the third does not end either: what it found stands all the same.
		equal(t, "faults of the endless ones", len(answer.key.Faults) >= 2, true)
	}
	late := admittedWithin(t, e, manyPrivileged(31, false), 1)
	equal(t, "hits and faults, when it is too late", len(late.key.Hits)+len(late.key.Faults) >= 2, true)
}

func TestASmallReviewWaitsForNoLargeOne(t *testing.T) {
	e := newEngine()
	install(t, e, "p", "v1", eachPrivileged)
	register1(t, e, `[{"policy":"p","kinds":["/Pod"]}]`)
	for range cap(e.slots) {
		e.slots <- struct{}{} // all cores evaluate
	}
	equal(t, "hits", len(admittedWithin(t, e, manyPrivileged(3, false), 5000).key.Hits), 1)
}

func TestWhatWasThereBeforeIsJudgedOnlyByThoseWhoFindSomethingNow(t *testing.T) {
	e := newEngine()
	// It has no end for what was there before, which has no containers.
	body := strings.TrimPrefix(endless, "package p\n")
	slow := strings.Replace(body, "if {", "if {\n\tcount(input.review.object.spec.containers) == 0", 1)
	install(t, e, "quiet", "v1", "package p\n"+slow)
	install(t, e, "loud", "v1", "package q\n"+slow+"\nviolation contains {\"msg\": \"bad\"} if count(input.review.object.spec.containers) > 0")
	register1(t, e, `[{"policy":"quiet","kinds":["/Pod"],"before":true},{"policy":"loud","kinds":["/Pod"],"before":true}]`)
	for _, containers := range []int{30, 2500} { // a small review and a large one
		answer := admittedWithin(t, e, manyPrivileged(containers, true), 1000)
		equal(t, "hits", len(answer.key.Hits), 1)
		equal(t, "faults", len(answer.key.Faults), 1)
		equal(t, "the task at fault", answer.key.Faults[0].Task, 1)
		equal(t, "the document", answer.key.Documents[answer.key.Faults[0].Document].Old, true)
	}
}

// changed is the review of a Pod of so many privileged containers, of which
// something in what there is now is replaced.
func changed(containers int, what, by string) string {
	list := make([]string, containers)
	for i := range list {
		list[i] = fmt.Sprintf(`{"name":"c%d","image":"i","securityContext":{"privileged":true}}`, i)
	}
	pod := `{"apiVersion":"v1","kind":"Pod","metadata":{"labels":{"a":"b"}},"spec":{"containers":[` + strings.Join(list, ",") + `]}}`
	now := strings.Replace(pod, what, by, 1)
	return strings.Replace(strings.Replace(privilegedReview, "OBJECT", now, 1), "OBJECT", pod, 1)
}

func TestWhereARuleSeesTheSameInBothItIsAskedOnceAndSomeTellAll(t *testing.T) {
	e := newEngine()
	install(t, e, "p", "v1", eachPrivileged)
	install(t, e, "asking", "v1", eachPrivileged+"\nviolation contains {\"msg\": \"x\"} if input.review.userInfo.username == \"nobody\"")
	install(t, e, "clock", "v1", eachPrivileged+"\nviolation contains {\"msg\": \"x\"} if time.now_ns() < 0")
	register1(t, e, `[{"policy":"p","kinds":["/Pod"],"before":true,"enough":10},{"policy":"asking","kinds":["/Pod"],"before":true,"enough":10},{"policy":"clock","kinds":["/Pod"],"before":true,"enough":10}]`)
	const all = 1500
	for _, one := range []struct {
		name, what, by string
		want           []int // findings of the first task, now and before
		whole          int   // that there are now
	}{
		{"nothing", `"a"`, `"a"`, []int{10, 10}, all},
		{"a label, which the rule cannot see", `"b"`, `"c"`, []int{10, 10}, all},
		{"an image, by which a container is another one", `"image":"i"`, `"image":"j"`, []int{all, all}, all},
		{"what the rule sees", `"privileged":true`, `"privileged":false`, []int{all - 1, all}, all - 1},
		{"another list", `{"name":"c0","image":"i","securityContext":{"privileged":true}},`, ``, []int{all - 1, all}, all - 1},
	} {
		found := map[[2]int]int{}
		for _, hit := range admittedWithin(t, e, changed(all, one.what, one.by), 10_000).key.Hits {
			found[[2]int{hit.Task, hit.Document}] = len(hit.Findings)
		}
		equal(t, one.name, []int{found[[2]int{0, 0}], found[[2]int{0, 1}]}, one.want)
		for task := 1; task < 3; task++ { // they see more than the object
			equal(t, one.name, []int{found[[2]int{task, 0}], found[[2]int{task, 1}]}, []int{one.whole, all})
		}
	}
}

func TestWhatKeepsARuleFromFindingAllIsToldOnceWhereItSeesTheSame(t *testing.T) {
	e := newEngine()
	install(t, e, "loud", "v1", "package p\nviolation contains {\"msg\": \"bad\"} if input.review.object.spec.containers\n"+strings.TrimPrefix(endless, "package p\n"))
	register1(t, e, `[{"policy":"loud","kinds":["/Pod"],"before":true}]`)
	for _, containers := range []int{30, 2500} { // a small review and a large one
		for by, want := range map[string]int{`"c0"`: 1, `"other"`: 2} {
			answer := admittedWithin(t, e, changed(containers, `"c0"`, by), 3000)
			equal(t, fmt.Sprintf("faults of %d containers, the first of which is %s", containers, by), len(answer.key.Faults), want)
			equal(t, "hits", len(answer.key.Hits), 2)
		}
	}
}

// manyInTemplate is the review of a Deployment of so many privileged containers.
func manyInTemplate(containers int) string {
	body := manyPrivileged(containers, false)
	body = strings.Replace(body, `"object":{"apiVersion":"v1","kind":"Pod",`, `"object":{"apiVersion":"apps/v1","kind":"Deployment","spec":{"template":{`, 1)
	body = strings.Replace(body, `}]}},"oldObject"`, `}]}}}},"oldObject"`, 1)
	return strings.Replace(body, `"kind":"Pod"},"namespace"`, `"kind":"Deployment"},"namespace"`, 1)
}

func TestWhatThePodHadBeforeAdditionsIsLookedForOnlyAsFarAsItIsCompared(t *testing.T) {
	e := newEngine()
	endlessWithoutToken := strings.Replace(strings.TrimPrefix(endless, "package p\n"), "if {", "if {\n\tnot input.review.object.spec.volumes", 1)
	install(t, e, "p", "v1", eachPrivileged+"\n"+endlessWithoutToken)
	install(t, e, "q", "v1", strings.Replace(eachPrivileged, "violation", "violation contains {\"msg\": \"a volume\"} if input.review.object.spec.volumes\nviolation", 1))
	register1(t, e, `[{"policy":"p","kinds":["/Pod"],"enough":10}]`)
	for _, containers := range []int{30, 5000} { // a small review and a large one
		began := time.Now()
		answer := admittedWithin(t, e, manyInTemplate(containers), 5000)
		equal(t, "hits", len(answer.key.Hits), 1)
		equal(t, "faults", len(answer.key.Faults), 0)
		if took := time.Since(began); took > testDeadline/2 {
			t.Errorf("%d containers took %s", containers, took)
		}
	}
	register1(t, e, `[{"policy":"q","kinds":["/Pod"],"enough":10}]`)
	var added []string
	for _, one := range admittedWithin(t, e, manyInTemplate(30), 5000).key.Findings {
		if strings.Contains(one.Msg, "the API server adds") {
			added = append(added, strings.SplitN(one.Msg, " (", 2)[0])
		}
	}
	equal(t, "what is added", added, []string{"a volume"})
}
