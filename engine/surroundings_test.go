package main

import (
	"encoding/json"
	"testing"
)

func TestALimitRangesDefaultsAreThoseOfTheLimitRanger(t *testing.T) {
	for name, one := range map[string]struct{ limits, resources, want string }{
		"limits and requests": {`[{"type": "Container", "default": {"cpu": "1"}, "defaultRequest": {"cpu": "100m"}}]`, `{}`, `{limits: {cpu: "1"}, requests: {cpu: 100m}}`},
		"a request follows":   {`[{"type": "Container", "default": {"cpu": "1"}}]`, `{}`, `{limits: {cpu: "1"}, requests: {cpu: "1"}}`},
		"a limit is the max":  {`[{"type": "Container", "max": {"memory": "1Gi"}}]`, `{}`, `{limits: {memory: 1Gi}, requests: {memory: 1Gi}}`},
		"a request the min":   {`[{"type": "Container", "min": {"memory": "1Mi"}}]`, `{}`, `{requests: {memory: 1Mi}}`},
		"what is written":     {`[{"type": "Container", "default": {"cpu": "1", "memory": "1Gi"}}]`, `{"limits": {"cpu": "2"}}`, `{limits: {cpu: "2", memory: 1Gi}, requests: {cpu: "2", memory: 1Gi}}`},
		"another type":        {`[{"type": "Pod", "max": {"cpu": "1"}}]`, `{}`, `{}`},
		"a wrong type":        {`[{"type": "Container", "default": {"cpu": "1"}}]`, `{"limits": 1}`, `{limits: 1, requests: {cpu: "1"}}`},
	} {
		for _, kind := range []string{"Pod", "Deployment"} {
			t.Run(name+" of a "+kind, func(t *testing.T) {
				e := newEngine()
				install(t, e, "p", "v1", `package p
violation contains {"msg": "seen", "details": input.review.object.spec.initContainers[0].resources} if input.review.object.kind == "Pod"`)
				pod := podText(kind, `{"initContainers": [{"name": "a", "resources": `+one.resources+`}], "containers": []}`)
				text := pod + "\n" + `{"apiVersion": "v1", "kind": "LimitRange", "metadata": {"name": "l", "namespace": "shop"}, "spec": {"limits": ` + one.limits + `}}`
				loadAround(t, e, text)
				answer := judged(t, e, "p", "")
				equal(t, "resources", native(t, answer.Findings[0].Details), fromYAML(t, one.want))
			})
		}
	}
}

// loadAround loads a file with what is gathered from it.
func loadAround(t testing.TB, e *Engine, text string) loadAnswer {
	t.Helper()
	request := loadRequest{Batch: "b", Format: "files", Namespace: "default", Parts: []Part{{Length: len(text)}}}
	gathered, err := e.gather(request, []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	for _, one := range gathered.(map[string]any)["surroundings"].([]map[string]any) {
		raw, _ := json.Marshal(one)
		request.Surroundings = append(request.Surroundings, raw)
	}
	return loadedAs(t, e, request, text)
}

func TestAServiceAccountOfTheSameInputIsMinded(t *testing.T) {
	account := `{"apiVersion": "v1", "kind": "ServiceAccountList", "items": [{"metadata": {"name": "own", "namespace": "shop"}, "automountServiceAccountToken": false, "imagePullSecrets": [{"name": "pull"}]}]}`
	for spec, want := range map[string]string{
		`{"serviceAccountName": "own", "containers": [{"name": "a"}]}`:                                       `no token, [{"name": "pull"}]`,
		`{"serviceAccountName": "own", "automountServiceAccountToken": true, "containers": [{"name": "a"}]}`: `a token, [{"name": "pull"}]`,
		`{"serviceAccountName": "own", "imagePullSecrets": [{"name": "mine"}], "containers": []}`:            `no token, [{"name": "mine"}]`,
		`{"containers": [{"name": "a"}]}`:                                                                    `a token, []`,
	} {
		for _, kind := range []string{"Pod", "Deployment"} {
			e := newEngine()
			install(t, e, "p", "v1", `package p
token := "a token" if input.review.object.spec.volumes[_].projected
else := "no token"
violation contains {"msg": sprintf("%v, %v", [token, object.get(input.review.object.spec, "imagePullSecrets", [])])} if input.review.object.kind == "Pod"`)
			loadAround(t, e, podText(kind, spec)+"\n"+account)
			answer := judged(t, e, "p", "")
			equal(t, "findings", len(answer.Findings), 1)
			contains(t, kind+" "+spec, answer.Findings[0].Msg, want)
		}
	}
}
