package main

import (
	"fmt"
	"strings"
	"testing"
)

const yamlReview = `apiVersion: v1
kind: ConfigMap
metadata: {name: before}
---
apiVersion: admission.k8s.io/v1
kind: AdmissionReview
request:
  operation: UPDATE
  userInfo: {username: eve}
  kind: {group: apps, version: v1, kind: Deployment}
  namespace: shop
  object:
    apiVersion: apps/v1
    kind: Deployment
    metadata: {name: web}
    spec:
      template:
        spec:
          hostNetwork: true
          containers: [{name: a, image: a}]
  oldObject: {apiVersion: apps/v1, kind: Deployment, metadata: {name: old}, spec: {}}
`

func TestReviewsAmongManifestsAreJudgedAsTheWebhookWould(t *testing.T) {
	e := newEngine()
	install(t, e, "p", "v1", `package p
violation contains {"msg": sprintf("%s by %s, %s before", [input.review.operation, input.review.userInfo.username, input.review.oldObject.metadata.name])}
violation contains {"msg": "network"} if input.review.object.spec.hostNetwork`)
	answer := loaded(t, e, yamlReview)
	equal(t, "problems", answer.Problems, []Problem{})
	shown := []string{}
	for _, d := range answer.Documents {
		shown = append(shown, fmt.Sprintf("%s %s/%s line %d %s%s", d.Kind, d.Namespace, d.Name, d.Line, d.Item, d.Template))
	}
	equal(t, "documents", shown, []string{
		"ConfigMap /before line 1 ", "Deployment shop/web line 5 request.object.", "Pod shop/web-xxxxxxxxxx-xxxxx line 5 request.object.spec.template",
	})
	found, faults := messages(judged(t, e, "p", "{}"))
	equal(t, "found", found, []string{"1: UPDATE by eve, old before", "2: network"})
	equal(t, "faults", len(faults), 0)
}

func TestTheObjectOfAReviewInJSONHasItsOwnPlace(t *testing.T) {
	e := newEngine()
	text := strings.Replace(fmt.Sprintf(asking, "CREATE", "eve", "false"), `"uid": "u1", `, "", 1)
	answer := loaded(t, e, "\n"+text)
	equal(t, "documents", len(answer.Documents), 1)
	one := answer.Documents[0]
	equal(t, "place", ("\n" + text)[one.Offset:one.Offset+one.Length], `{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web"}, "spec": {"hostNetwork": true}}`)
	equal(t, "line", one.Line, 5)
}

func TestReviewsThatNobodyCanJudgeAreTold(t *testing.T) {
	for text, want := range map[string]string{
		fmt.Sprintf(asking, "DELETE", "eve", "false"):                                                                       `operation "DELETE"`,
		`{"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "response": {}}`:                                  "has no request",
		strings.Replace(fmt.Sprintf(asking, "CREATE", "eve", "false"), "k8s.io/v1", "k8s.io/v1beta1", 1):                    `"admission.k8s.io/v1beta1"`,
		`{"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": {"operation": "CREATE", "object": 3}}`: "request.object is a number",
	} {
		answer := loaded(t, newEngine(), text)
		equal(t, "documents of "+text, len(answer.Documents), 0)
		equal(t, "problems of "+text, len(answer.Problems), 1)
		contains(t, "problem", answer.Problems[0].Message, want)
	}
}

func TestAReviewWhoseObjectLiesElsewhereIsAProblem(t *testing.T) {
	for namespace, want := range map[string][]string{
		"shop": nil, "kube-system": {"metadata.namespace is not the namespace of the request"},
	} {
		text := strings.Replace(yamlReview, "metadata: {name: web}", "metadata: {name: web, namespace: "+namespace+"}", 1)
		equal(t, namespace, wrongs(loaded(t, newEngine(), text).Documents[1]), want)
	}
}
