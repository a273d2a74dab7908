package main

import (
	_ "crypto/sha256"
	_ "crypto/sha512"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"testing"

	"github.com/distribution/reference"
	"github.com/open-policy-agent/opa/v1/ast"
	"k8s.io/apimachinery/pkg/api/resource"
)

// The functions of the built-in definitions, held against the parsers that
// Kubernetes and container runtimes use themselves.

// library is a policy that may import the modules of definitions/lib.
func library(t testing.TB, source string) *Policy {
	t.Helper()
	var libraries []module
	for _, path := range glob(t, "../definitions/lib/*.rego") {
		libraries = append(libraries, module{Name: "lib/" + filepath.Base(path), Source: read(t, path), Version: "v1"})
	}
	return compiled(t, "v1", source, libraries...)
}

// asked gives each of the values to a policy that answers with a finding whose
// msg is the value's number and whose details are {"answer": …}. Values without
// an answer are missing.
func asked(t testing.TB, policy *Policy, values any) map[string]json.RawMessage {
	t.Helper()
	text, err := json.Marshal(map[string]any{"values": values})
	if err != nil {
		t.Fatal(err)
	}
	out := evaluated(t, policy, map[string]any{"apiVersion": "v1", "kind": "Pod"}, native(t, string(text)))
	for _, fault := range out.faults {
		t.Error(fault)
	}
	answers := map[string]json.RawMessage{}
	for _, one := range out.findings {
		var details struct{ Answer json.RawMessage }
		if err := json.Unmarshal([]byte(one.Details), &details); err != nil {
			t.Fatal(err)
		}
		answers[one.Msg] = details.Answer
	}
	return answers
}

// generator makes spellings; half of them are as people write them.
type generator struct{ *rand.Rand }

func (g generator) pick(from ...string) string { return from[g.IntN(len(from))] }

func (g generator) some(alphabet string, most int) string {
	var text strings.Builder
	for range g.IntN(most + 1) {
		text.WriteByte(alphabet[g.IntN(len(alphabet))])
	}
	return text.String()
}

func (g generator) digits() string {
	switch g.IntN(8) {
	case 0:
		return g.some("0", 3) + g.some("0123456789", 80)
	case 1:
		return g.pick("1", "9") + strings.Repeat(g.pick("0", "9"), g.IntN(30))
	case 2:
		return g.some("0123456789", 400)
	default:
		return g.some("0123456789", 6)
	}
}

func (g generator) quantity() string {
	if g.IntN(10) == 0 {
		return g.some("0123456789.eEinumkKMGTP+- ", 12)
	}
	number := g.digits()
	if g.IntN(3) == 0 {
		number += "." + g.digits()
	}
	suffix := g.pick("", "n", "u", "m", "k", "M", "G", "T", "P", "E", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei", "Gi", "Mi", "m", "")
	switch g.IntN(12) {
	case 0, 1:
		suffix = g.pick("e", "E") + g.pick("", "+", "-") + g.some("0", 2) + fmt.Sprint(g.IntN(40))
	case 2:
		suffix = g.pick("e", "E") + g.pick("", "+", "-") + g.some("0123456789", 4)
	case 3:
		suffix = g.pick("K", "ki", "mi", "gi", "GB", "B", "i", "Mib", " Gi", "e1.5", "Eie3", "me3")
	}
	space := g.pick("", "", "", "", "", "", " ", "\u00a0", "  ", "\u0085", "\u2003")
	return space + g.pick("", "", "", "", "+", "-", "--") + number + suffix + g.pick("", "", "", space)
}

// stored is a quantity as the API server reads it from JSON.
func stored(text []byte) (resource.Quantity, bool) {
	var quantity resource.Quantity
	err := json.Unmarshal(text, &quantity)
	return quantity, err == nil
}

const quantities = `package policy
import data.lib.quantity
violation contains {"msg": sprintf("%d", [i]), "details": {"answer": relation}} if {
	some i, [x, y] in input.parameters.values
	relation := [quantity.nano(x) < quantity.nano(y), quantity.nano(x) == quantity.nano(y), sign(quantity.nano(x))]
}
sign(n) := "+" if n > 0
else := "-" if n < 0
else := "0"
`

func TestQuantitiesCompareAsKubernetesComparesThem(t *testing.T) {
	const rounds, each = 100 / raceStep, 100
	policy := library(t, quantities)
	seed := rand.Uint64()
	g := generator{rand.New(rand.NewPCG(seed, 0))}
	valid, beyond := 0, 0
	for range rounds {
		pairs := make([][2]json.RawMessage, each)
		for i := range pairs {
			pairs[i] = g.pair()
		}
		answers := asked(t, policy, pairs)
		for i, pair := range pairs {
			x, isX := stored(pair[0])
			y, isY := stored(pair[1])
			answer, answered := answers[fmt.Sprint(i)]
			if !isX || !isY {
				if answered {
					t.Fatalf("seed %d: %s and %s are answered with %s, and are no quantities", seed, pair[0], pair[1], answer)
				}
				continue
			}
			if !answered {
				if !told(pair[0]) && !told(pair[1]) {
					t.Fatalf("seed %d: %s and %s are no quantities to the rule", seed, pair[0], pair[1])
				}
				beyond++
				continue
			}
			valid++
			sign := []string{"-", "0", "+"}[x.Sign()+1]
			want, _ := json.Marshal([]any{x.Cmp(y) < 0, x.Cmp(y) == 0, sign})
			equal(t, fmt.Sprintf("seed %d: %s and %s", seed, pair[0], pair[1]), answer, json.RawMessage(want))
		}
	}
	// The generator would prove nothing if it made only what is refused.
	if valid < rounds*each/3 || beyond > rounds*each/10 {
		t.Errorf("seed %d: of %d pairs %d are compared, %d told", seed, rounds*each, valid, beyond)
	}
}

// pair are two quantities as JSON, often near to each other, at times numbers.
func (g generator) pair() [2]json.RawMessage {
	x := g.quantity()
	y := g.quantity()
	switch g.IntN(4) {
	case 0:
		y = strings.Replace(x, g.pick("0", "1", "9"), g.pick("0", "1", "9"), 1)
	case 1:
		y = g.pick("0", "00", "+", "") + strings.TrimSpace(x)
	case 2:
		y = strings.TrimSpace(x) + g.pick("", "0", "000", "m", "k")
	}
	return [2]json.RawMessage{g.written(x), g.written(y)}
}

// written is the text as a JSON string, or as a number where it can be one that
// OPA takes; others make a document a gap before any rule sees it. Numbers have
// at most 15 digits: OPA remembers what a function made of a number, and takes
// longer ones that are near to each other for the same.
func (g generator) written(text string) json.RawMessage {
	raw := json.RawMessage(text)
	if _, err := ast.NumberChecked(text); err == nil && g.IntN(3) == 0 && json.Valid(raw) && len(text) <= 15 {
		return raw
	}
	raw, _ = json.Marshal(text)
	return raw
}

// told are the quantities that a rule reports as none, although Kubernetes
// takes them: without any digit, or with an exponent of four digits and more.
func told(raw json.RawMessage) bool {
	text := strings.Trim(string(raw), `"`)
	if !strings.ContainsAny(text, "0123456789") {
		return true
	}
	number, exponent, ok := strings.Cut(strings.ToLower(text), "e")
	digits := strings.TrimLeft(strings.TrimLeft(exponent, "+-"), "0")
	return !strings.ContainsAny(number, "0123456789") || ok && len(strings.TrimSpace(digits)) > 3
}

const images = `package policy
violation contains {"msg": sprintf("%d", [i]), "details": {"answer": data.lib.images.canonical(image)}} if some i, image in input.parameters.values
`

func (g generator) component() string {
	if g.IntN(12) == 0 {
		return g.some("abc0-_.:@[]A/", 8)
	}
	name := g.pick("nginx", "library", "app", "a", "0", "web-1", "a__b", "a--b", "a.b", "shop")
	if g.IntN(40) == 0 {
		return strings.Repeat(name, 60)
	}
	return name
}

func (g generator) image() string {
	var image string
	if g.IntN(3) > 0 {
		image = g.pick("docker.io", "index.docker.io", "Docker.io", "docker.IO", "localhost", "Localhost", "localhost:5000", "contoso.azurecr.io",
			"CONTOSO.azurecr.io", "Contoso", "contoso", "quay.io:443", "docker.io:443", "10.0.0.1", "[::1]", "[2001:DB8::1]:5000", "a-.b", "-a.b", "a..b",
			"registry-1.docker.io", "docker.io.", "x:y", ":5000", "a:b:1") + "/"
	}
	for range g.IntN(4) {
		image += g.component() + "/"
	}
	image += g.component()
	if g.IntN(2) == 0 {
		image += ":" + g.pick("1.27", "latest", "V1_0", "", "-a", ".a", "a/b", strings.Repeat("a", 128), strings.Repeat("a", 129))
	}
	if g.IntN(4) == 0 {
		hex := g.pick(strings.Repeat("0a", 32), strings.Repeat("0a", 48), strings.Repeat("0a", 64), strings.Repeat("0A", 32), strings.Repeat("a", 32), "")
		image += "@" + g.pick("sha256", "sha256", "sha384", "sha512", "md5", "") + ":" + hex
	}
	if g.IntN(50) == 0 {
		image = strings.Repeat("0a", 32)
	}
	return image
}

func TestImagesAreReadAsContainerRuntimesReadThem(t *testing.T) {
	const rounds, each = 20, 500
	rego := module{Name: "allowed-images.rego", Source: read(t, "../definitions/allowed-images/policy.rego"), Version: "v1"}
	var libraries []module
	for _, path := range glob(t, "../definitions/lib/*.rego") {
		libraries = append(libraries, module{Name: "lib/" + filepath.Base(path), Source: read(t, path), Version: "v1"})
	}
	policy := compiled(t, "v1", images, append(libraries, rego)...)
	seed := rand.Uint64()
	g := generator{rand.New(rand.NewPCG(seed, 0))}
	valid := 0
	for range rounds {
		values := make([]string, each)
		for i := range values {
			values[i] = g.image()
		}
		answers := asked(t, policy, values)
		for i, image := range values {
			want := ""
			// In lower case, what is no host could pass for a part of the name.
			_, wrong := reference.ParseNormalizedNamed(image)
			// What stands where a host is due and is none, as a.0_b.c, leaves a name without a host, which nobody can pull.
			if named, err := reference.ParseNormalizedNamed(hostInLowerCase(image)); err == nil && wrong == nil && reference.Domain(named) != "" {
				want = strings.ToLower(reference.Domain(named)) + "/" + reference.Path(named) + "/"
				valid++
			}
			var got string
			if answer, ok := answers[fmt.Sprint(i)]; ok {
				if err := json.Unmarshal(answer, &got); err != nil {
					t.Fatal(err)
				}
			}
			equal(t, fmt.Sprintf("seed %d: %s", seed, image), got, want)
		}
	}
	if valid < rounds*each/3 {
		t.Errorf("seed %d: of %d images only %d are valid", seed, rounds*each, valid)
	}
}

// hostInLowerCase: hosts have no case, but to the parser Docker.io is another
// host than docker.io. A host without a dot or a port is known by its capitals.
func hostInLowerCase(image string) string {
	host, name, ok := strings.Cut(image, "/")
	if !ok || !strings.ContainsAny(host, ".:") {
		return image
	}
	return strings.ToLower(host) + "/" + name
}
