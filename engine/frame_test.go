package main

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"
)

func frameOf(header, body string) []byte {
	out := binary.BigEndian.AppendUint32(nil, uint32(len(header)))
	out = binary.BigEndian.AppendUint32(out, uint32(len(body)))
	return append(append(out, header...), body...)
}

func TestFramesAreReadOneAfterTheOther(t *testing.T) {
	stream := bytes.NewReader(slices.Concat(frameOf(`{"a":1}`, "body"), frameOf("", ""), frameOf("{}", "\x00\xff")))
	for _, want := range []Frame{{Header: []byte(`{"a":1}`), Body: []byte("body")}, {}, {Header: []byte("{}"), Body: []byte("\x00\xff")}} {
		frame, err := readFrame(stream)
		if err != nil || string(frame.Header) != string(want.Header) || string(frame.Body) != string(want.Body) {
			t.Fatalf("got %q %q %v", frame.Header, frame.Body, err)
		}
	}
	if _, err := readFrame(stream); err != io.EOF {
		t.Errorf("the end is %v, not io.EOF", err)
	}
}

func TestAnAnswerIsAFrameWithoutABody(t *testing.T) {
	var out bytes.Buffer
	if err := writeFrame(&out, map[string]any{"id": 7, "text": "é"}, nil); err != nil {
		t.Fatal(err)
	}
	frame, err := readFrame(&out)
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "answer", string(frame.Header)+"|"+string(frame.Body), `{"id":7,"text":"é"}|`)
}

func TestAFrameCutShortIsNoOrderlyEnd(t *testing.T) {
	whole := frameOf(`{"id":1}`, "body")
	for length := 1; length < len(whole); length++ {
		_, err := readFrame(bytes.NewReader(whole[:length]))
		if err == nil || errors.Is(err, io.EOF) {
			t.Errorf("after %d bytes: %v", length, err)
		}
		if err := serve(newEngine(), bytes.NewReader(whole[:length]), io.Discard); err == nil {
			t.Errorf("serve ends quietly after %d bytes", length)
		}
	}
}

func TestAFrameThatIsTooLargeIsRefusedUnread(t *testing.T) {
	for _, lengths := range [][2]uint32{{maxHeader + 1, 0}, {0, maxBody + 1}, {1<<32 - 1, 1<<32 - 1}} {
		start := binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(nil, lengths[0]), lengths[1])
		_, err := readFrame(bytes.NewReader(start))
		if err == nil || !strings.Contains(err.Error(), "too large") {
			t.Errorf("%v: %v", lengths, err)
		}
	}
}

func TestTheBodyCannotBeReachedThroughTheHeader(t *testing.T) {
	frame, err := readFrame(bytes.NewReader(frameOf("{}", "body")))
	if err != nil {
		t.Fatal(err)
	}
	_ = append(frame.Header, "xxxx"...)
	equal(t, "body", string(frame.Body), "body")
}

// conversation sends requests (header and body in turn) and returns answers by id.
func conversation(t *testing.T, requests ...string) map[string]map[string]any {
	t.Helper()
	var in, out bytes.Buffer
	for i := 0; i < len(requests); i += 2 {
		in.Write(frameOf(requests[i], requests[i+1]))
	}
	if err := serve(newEngine(), &in, &out); err != nil {
		t.Fatal(err)
	}
	answers := map[string]map[string]any{}
	for {
		frame, err := readFrame(&out)
		if err == io.EOF {
			return answers
		}
		if err != nil {
			t.Fatal(err)
		}
		var answer map[string]any
		if err := json.Unmarshal(frame.Header, &answer); err != nil {
			t.Fatal(err)
		}
		answers[fmt.Sprint(answer["id"])] = answer
	}
}

func TestEveryRequestIsAnsweredUnderItsOwnID(t *testing.T) {
	answers := conversation(t,
		`{"id":1,"op":"hello"}`, "", `{"id":2,"op":"fly"}`, "", `{"id":3,"op":"release","batch":"x"}`, "",
		`{"id":4,"op":"regex","patterns":["a","("]}`, "", `{"id":5,"op":"split","target":"x"}`, "",
		`{"id":6,"op":"judge","batch":"x"}`, "", `{"id":7,"op":"load","format":"list"}`, "junk", `{"id":8,"op":"compile"}`, "",
		`{"id":9,"op":"split","target":10}`, "a: b", `{"id":10,"op":"locate","documents":[{"length":4,"line":3,"paths":["a"]}]}`, "a: b",
		`{"id":11,"op":"isolate","batch":"x"}`, "", `{"id":12,"op":"inventory","batch":"x"}`, "",
	)
	equal(t, "ids", len(answers), 12)
	for id, part := range map[string]string{
		"2": `unknown op "fly"`, "3": `unknown batch "x"`, "5": "request: ", "6": `unknown batch "x"`, "7": "no Kubernetes list",
		"8": "needs a policy id", "11": `unknown batch "x"`, "12": `unknown batch "x"`,
	} {
		contains(t, "error of "+id, fmt.Sprint(answers[id]["error"]), part)
	}
	hello := answers["1"]["result"].(map[string]any)
	equal(t, "hello", slices.Sorted(maps.Keys(hello)), []string{"go", "opa", "procs", "protocol"})
	equal(t, "protocol", hello["protocol"], any(float64(protocolVersion)))
	equal(t, "regex", fmt.Sprint(answers["4"]["result"].(map[string]any)["faults"].([]any)[0]), "<nil>")
	equal(t, "positions", answers["10"]["result"], any(map[string]any{"positions": []any{[]any{map[string]any{"line": 3, "column": 1, "end": 5}}}}))
}

func TestAHeaderThatIsNoJSONEndsTheConversation(t *testing.T) {
	err := serve(newEngine(), bytes.NewReader(frameOf("hello", "")), io.Discard)
	if err == nil {
		t.Fatal("no error")
	}
	contains(t, "error", err.Error(), "frame header")
}

func TestAWholeConversationLoadsJudgesAndReleases(t *testing.T) {
	reader, writer := io.Pipe()
	answers, out := io.Pipe()
	done := make(chan error, 1)
	go func() { done <- serve(newEngine(), reader, out) }()
	ask := func(header, body string) map[string]any {
		go func() { _, _ = writer.Write(frameOf(header, body)) }()
		frame, err := readFrame(answers)
		if err != nil {
			t.Fatal(err)
		}
		var answer map[string]any
		if err := json.Unmarshal(frame.Header, &answer); err != nil {
			t.Fatal(err)
		}
		if answer["error"] != nil {
			t.Fatal(answer["error"])
		}
		return answer["result"].(map[string]any)
	}
	ask(`{"id":1,"op":"compile","policy":"p","modules":[{"name":"p.rego","version":"v1","source":"package p\nviolation contains {\"msg\": input.review.object.metadata.labels.x}"}]}`, "")
	body := "apiVersion: v1\nkind: Pod\nmetadata: {name: a, labels: {x: found}}\n"
	ask(fmt.Sprintf(`{"id":2,"op":"load","batch":"b","format":"files","parts":[{"length":%d}]}`, len(body)), body)
	found := ask(`{"id":3,"op":"judge","batch":"b","deadlineMs":1000,"tasks":[{"policy":"p","documents":[0]}]}`, "")
	equal(t, "findings", found["findings"], any([]any{map[string]any{"msg": "found", "details": "{}"}}))
	equal(t, "release", ask(`{"id":4,"op":"release","batch":"b"}`, ""), map[string]any{})
	if err := writer.Close(); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-done:
		if err != nil {
			t.Fatal(err)
		}
	case <-time.After(testDeadline):
		t.Fatal("serve does not end with its input")
	}
}

func TestLimitsComeFromTheEnvironment(t *testing.T) {
	for _, one := range []struct{ name, value, part string }{
		{"AKSP_ENGINE_PROCS", "0", "not a positive number"}, {"AKSP_ENGINE_PROCS", "many", "not a positive number"},
		{"AKSP_ENGINE_MEMORY", "1", "at least 1 MiB"}, {"AKSP_ENGINE_MEMORY", "1G", "at least 1 MiB"},
	} {
		t.Setenv(one.name, one.value)
		err := limitsFromEnv()
		if err == nil {
			t.Fatalf("%s=%s is accepted", one.name, one.value)
		}
		contains(t, "error", err.Error(), one.part)
		t.Setenv(one.name, "")
	}
	if err := limitsFromEnv(); err != nil {
		t.Error(err)
	}
}
