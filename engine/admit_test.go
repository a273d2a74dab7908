package main

import (
	"encoding/json"
	"errors"
	"strings"
	"testing"
)

func standing1(t *testing.T, e *Engine, tasks string) {
	t.Helper()
	var request standRequest
	if err := json.Unmarshal([]byte(`{"set":"s","deadlineMs":1000,"tasks":`+tasks+`}`), &request); err != nil {
		t.Fatal(err)
	}
	if _, err := e.stand(request); err != nil {
		t.Fatal(err)
	}
}

func admitted(t *testing.T, e *Engine, body string, skip ...int) admitAnswer {
	t.Helper()
	answer, err := e.admit(admitRequest{Set: "s", Skip: skip}, []byte(body))
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
	standing1(t, e, `[{"policy":"p","kinds":["/Pod"],"before":true},{"policy":"p","kinds":["*/Pod"]},{"policy":"p","kinds":["/Service"]},{"policy":"p","kinds":["*/*"]}]`)
	answer := admitted(t, e, privileged())
	var hits [][2]int
	for _, one := range answer.matter.Hits {
		hits = append(hits, [2]int{one.Task, one.Document})
	}
	equal(t, "hits", hits, [][2]int{{0, 0}, {1, 0}, {3, 0}, {0, 1}})
	equal(t, "request", answer.Request.UID, "1")
	equal(t, "documents", len(answer.matter.Documents), 2)
	equal(t, "batches kept", len(e.batches), 0)
}

func TestAdmitLeavesOutTasksThatAreToBeSkipped(t *testing.T) {
	e := newEngine()
	install(t, e, "p", "v1", privilegedRego)
	standing1(t, e, `[{"policy":"p","kinds":["/Pod"]}]`)
	equal(t, "hits", len(admitted(t, e, privileged(), 0).matter.Hits), 0)
}

func TestAdmitKnowsOnlySetsThatStand(t *testing.T) {
	e := newEngine()
	install(t, e, "p", "v1", privilegedRego)
	standing1(t, e, `[{"policy":"p","kinds":["/Pod"]}]`)
	if _, err := e.stand(standRequest{Set: "s", Drop: true}); err != nil {
		t.Fatal(err)
	}
	if _, err := e.admit(admitRequest{Set: "s"}, []byte(privileged())); err == nil {
		t.Fatal("a set that was dropped is still there")
	}
}

func TestAdmitRefusesWhatIsNoReview(t *testing.T) {
	e := newEngine()
	install(t, e, "p", "v1", privilegedRego)
	standing1(t, e, `[{"policy":"p","kinds":["/Pod"]}]`)
	_, err := e.admit(admitRequest{Set: "s"}, []byte(`{"kind":"Pod"}`))
	var coded *codedError
	if !errors.As(err, &coded) || coded.code != "BadReview" {
		t.Fatalf("got %v", err)
	}
}

func TestAPolicyThatReadsMoreIsServedAtOnce(t *testing.T) {
	e := newEngine()
	install(t, e, "p", "v1", privilegedRego)
	admittedBefore := func() int {
		standing1(t, e, `[{"policy":"q","kinds":["/Pod"]}]`)
		return len(admitted(t, e, privileged()).matter.Hits)
	}
	install(t, e, "q", "v1", `package rule
violation contains {"msg": "image"} if input.review.object.spec.containers[_].image == "i"`)
	equal(t, "hits", admittedBefore(), 1)
}

func TestWhatFollowsFromReviewsThatDifferOnlyInWhoAndWhichIsTheSameText(t *testing.T) {
	e := newEngine()
	install(t, e, "p", "v1", privilegedRego)
	standing1(t, e, `[{"policy":"p","kinds":["/Pod"],"before":true}]`)
	matterOf := func(body string) string {
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
		equal(t, what, matterOf(pair[1]), matterOf(pair[0]))
	}
	for what, pair := range map[string][2]string{
		"operation": {one, strings.Replace(one, `"UPDATE"`, `"CREATE"`, 1)},
		"deleting":  {one, strings.Replace(one, `"name":"web","namespace":"shop"}`, `"name":"web","namespace":"shop","deletionTimestamp":"2026-01-01T00:00:00Z"}`, 1)},
		"namespace": {one, strings.ReplaceAll(one, `"shop"`, `"blog"`)},
		"labels":    {one, strings.ReplaceAll(one, `"namespace":"shop"}`, `"namespace":"shop","labels":{"a":"b"}}`)},
		"image":     {one, strings.ReplaceAll(one, `"image":"i"`, `"image":"j"`)},
		"finding":   {one, strings.ReplaceAll(one, `"privileged":true`, `"privileged":false`)},
		"before":    {one, strings.Replace(one, `"privileged":true`, `"privileged":false`, 1)},
		"owner":     {owned, strings.ReplaceAll(owned, `"web-1"`, `"web-2"`)},
	} {
		if matterOf(pair[0]) == matterOf(pair[1]) {
			t.Errorf("%s: the same text for what is not alike", what)
		}
	}
}
