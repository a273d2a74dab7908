package main

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
)

const placedYAML = `apiVersion: v1
kind: Pod
metadata: {name: one}
spec:
  containers:
  - name: a
    image: nginx
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: two}
spec:
  template:
    spec:
      containers:
      - name: a
        image: nginx
---
apiVersion: v1
kind: List
items:
- apiVersion: v1
  kind: Pod
  metadata: {name: three}
  spec:
    containers: [{name: a, image: nginx}]
- apiVersion: v1
  kind: Pod
  metadata: {name: four}
  spec:
    containers:
    - image: nginx
      name: a
---
{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "five"},
 "spec": {"containers": [{"name": "a",
  "image": "nginx"}]}}
`

// What is told with the findings is what locate tells of the same paths.
func TestPlacesOfFindingsAreThoseThatLocateFinds(t *testing.T) {
	e := newEngine()
	install(t, e, "p", "v1", `package p
violation contains {"msg": "image", "details": {"path": "spec.containers[0].image"}} if input.review.object.spec.containers[0].image
violation contains {"msg": "deeper than there is", "details": {"path": "spec.containers[0].resources.limits"}} if input.review.object.spec.containers
violation contains {"msg": "nowhere"} if input.review.object.metadata.name
violation contains {"msg": "no path", "details": {"path": 7}} if input.review.object.metadata.name
`)
	before := "# another part\n"
	load := loadRequest{Batch: "b", Format: "files", Parts: []Part{{Length: len(before)}, {Length: len(placedYAML), Line: 11}}}
	documents := loadedAs(t, e, load, before+placedYAML).Documents
	asked := judgeRequest{Batch: "b", DeadlineMS: 5000, Places: true, Tasks: []task{{Policy: "p", Parameters: json.RawMessage(`{}`)}}}
	for d := range documents {
		asked.Tasks[0].Documents = append(asked.Tasks[0].Documents, d)
	}
	result, err := e.judge(asked)
	if err != nil {
		t.Fatal(err)
	}
	answer := result.(judgeAnswer)
	equal(t, "paths", answer.Paths, []string{"spec.containers[0].image", "spec.containers[0].resources.limits"})
	var names []string
	for _, one := range answer.places.Found {
		document := documents[one.Document]
		names = append(names, document.Kind+" "+document.Name)
		prefix := document.Item
		wanted := locateDocument{Length: document.Length, Line: document.Line, JSON: document.JSON, Paths: []string{prefix}}
		if document.Template != "" {
			prefix += document.Template + "."
		}
		for _, number := range one.Paths {
			wanted.Paths = append(wanted.Paths, prefix+answer.Paths[number])
		}
		text := placedYAML[document.Offset : document.Offset+document.Length]
		found, err := locate(locateRequest{Documents: []locateDocument{wanted}}, []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		var at []int
		for _, place := range found.(map[string]any)["positions"].([][]Position)[0] {
			at = append(at, place.Line, place.Column, place.End)
		}
		equal(t, fmt.Sprintf("%s %d", document.Name, one.Document), one.At, at)
		for i, number := range one.Paths {
			if strings.HasSuffix(answer.Paths[number], "image") {
				line := strings.Split(placedYAML, "\n")[one.At[3+3*i]-11]
				contains(t, "the line of an image", line, "image")
			}
		}
	}
	equal(t, "documents", strings.Join(names, ", "), "Pod one, Deployment two, Pod two-xxxxxxxxxx-xxxxx, Pod three, Pod four, Pod five")
}

func TestOnlyFilesHavePlaces(t *testing.T) {
	e := newEngine()
	install(t, e, "p", "v1", "package p\nviolation contains {\"msg\": \"x\"} if input.review.object.metadata.name")
	text := `{"kind":"PodList","apiVersion":"v1","metadata":{},"items":[{"metadata":{"name":"one"}}]}`
	loadedAs(t, e, loadRequest{Batch: "b", Format: "list"}, text)
	answer, err := e.judge(judgeRequest{Batch: "b", DeadlineMS: 5000, Places: true, Tasks: []task{{Policy: "p", Parameters: json.RawMessage(`{}`), Documents: []int{0}}}})
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "places", answer.(judgeAnswer).places, places{})
	equal(t, "hits", len(answer.(judgeAnswer).Hits), 1)
}
