package main

import (
	"encoding/json"
	"maps"
	"math/rand/v2"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	admissionregistration "k8s.io/api/admissionregistration/v1"
	apps "k8s.io/api/apps/v1"
	autoscaling "k8s.io/api/autoscaling/v2"
	batch "k8s.io/api/batch/v1"
	certificates "k8s.io/api/certificates/v1"
	coordination "k8s.io/api/coordination/v1"
	core "k8s.io/api/core/v1"
	discovery "k8s.io/api/discovery/v1"
	events "k8s.io/api/events/v1"
	extensions "k8s.io/api/extensions/v1beta1"
	flowcontrol "k8s.io/api/flowcontrol/v1"
	networking "k8s.io/api/networking/v1"
	networkingBeta "k8s.io/api/networking/v1beta1"
	node "k8s.io/api/node/v1"
	policy "k8s.io/api/policy/v1"
	rbac "k8s.io/api/rbac/v1"
	resources "k8s.io/api/resource/v1"
	scheduling "k8s.io/api/scheduling/v1"
	storage "k8s.io/api/storage/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/intstr"
	kubejson "sigs.k8s.io/json"
)

// fieldsOfAPI is fields.json, made from the types of k8s.io/api: of each kind in
// kinds.json and version of it the type, and of each type its fields.
func fieldsOfAPI(t *testing.T) fieldsFile {
	t.Helper()
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{
		admissionregistration.AddToScheme, apps.AddToScheme, autoscaling.AddToScheme, batch.AddToScheme, certificates.AddToScheme, coordination.AddToScheme, core.AddToScheme, discovery.AddToScheme,
		events.AddToScheme, extensions.AddToScheme, flowcontrol.AddToScheme, networking.AddToScheme, node.AddToScheme, resources.AddToScheme, scheduling.AddToScheme, networkingBeta.AddToScheme, policy.AddToScheme, rbac.AddToScheme, storage.AddToScheme,
	} {
		if err := add(scheme); err != nil {
			t.Fatal(err)
		}
	}
	made := fieldsFile{Kinds: map[string]string{}, Types: map[string]map[string]string{}}
	for kind, of := range scheme.AllKnownTypes() {
		if _, known := knownKinds[kind.Group+"/"+kind.Kind]; known {
			made.Kinds[kind.GroupVersion().String()+"/"+kind.Kind] = addType(made.Types, of)
		}
	}
	for key := range knownKinds {
		group, kind := cutKind(key)
		versions := scheme.VersionsForGroupKind(schema.GroupKind{Group: group, Kind: kind})
		if len(versions) == 0 && group != "apiextensions.k8s.io" && group != "apiregistration.k8s.io" { // whose types are elsewhere
			t.Errorf("k8s.io/api has no %s", key)
		}
	}
	return made
}

// addType adds a type with all that it holds. It returns how fields.json names it.
func addType(types map[string]map[string]string, of reflect.Type) string {
	switch reflect.New(of).Interface().(type) {
	case *resource.Quantity:
		return "quantity"
	case *intstr.IntOrString:
		return "intOrString"
	case *meta.Time, *meta.MicroTime, *meta.Duration, *[]byte:
		return "string"
	case *runtime.RawExtension, *meta.FieldsV1:
		return "any"
	}
	switch of.Kind() {
	case reflect.Pointer:
		return addType(types, of.Elem())
	case reflect.String:
		return "string"
	case reflect.Bool:
		return "boolean"
	case reflect.Int32, reflect.Int64:
		return "integer"
	case reflect.Slice:
		return "[]" + addType(types, of.Elem())
	case reflect.Map:
		return "map " + addType(types, of.Elem())
	case reflect.Struct:
		name := strings.TrimPrefix(strings.TrimPrefix(of.PkgPath(), "k8s.io/api/"), "k8s.io/apimachinery/pkg/apis/") + "." + of.Name()
		if types[name] == nil {
			types[name] = map[string]string{}
			addFields(types, types[name], of)
		}
		return name
	default:
		panic("no such type in the API: " + of.String())
	}
}

func addFields(types map[string]map[string]string, into map[string]string, of reflect.Type) {
	for i := range of.NumField() {
		field := of.Field(i)
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		switch {
		case name == "-" || name == "status" || name == "managedFields":
		case name == "" && field.Anonymous:
			addFields(types, into, field.Type)
		case name != "apiVersion" && name != "kind" || of.Name() != "TypeMeta":
			into[name] = addType(types, field.Type)
		}
	}
}

// AKSP_UPDATE_FIELDS=1 writes the file anew.
func TestFieldsAreThoseOfTheAPIsTypes(t *testing.T) {
	made, err := json.MarshalIndent(fieldsOfAPI(t), "", " ")
	if err != nil {
		t.Fatal(err)
	}
	if os.Getenv("AKSP_UPDATE_FIELDS") != "" {
		if err := os.WriteFile("fields.json", append(made, '\n'), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if string(made)+"\n" != read(t, "fields.json") {
		t.Error("fields.json is not what k8s.io/api says: AKSP_UPDATE_FIELDS=1 go test -run TestFieldsAreThoseOfTheAPIsTypes .")
	}
}

// fieldValues makes values by their types, some of them of another type.
type fieldValues struct {
	*rand.Rand
	wrong int // one of so many is of another type
}

func (g fieldValues) value(of *fieldType, depth int) any {
	if g.IntN(g.wrong) == 0 {
		return []any{"x", "1", true, json.Number("1"), json.Number("1.5"), json.Number("1e3"), []any{}, map[string]any{}, []any{"x"}, map[string]any{"a": "b"}, nil}[g.IntN(11)]
	}
	switch {
	case of.fields != nil:
		object := map[string]any{}
		for _, key := range slices.Sorted(maps.Keys(of.fields)) {
			if g.IntN(depth) == 0 {
				object[key] = g.value(of.fields[key], depth+1)
			}
		}
		return object
	case of.object:
		return map[string]any{"a": g.value(of.each, depth+1)}
	case of.each != nil:
		return []any{g.value(of.each, depth+1)}
	}
	switch of.name {
	case "boolean":
		return true
	case "integer":
		return json.Number([]string{"1", "0", "-3"}[g.IntN(3)])
	case "quantity":
		return []any{"1Gi", "1.5", " 5m", ".5", "1e3", "2E", "1.Ki", "1 Gi", "Gi", "", "-1", "1ki", "1e", "1Eee", ".", "+", "e5", "-m", "5.m", "1.2.3", json.Number("1"), json.Number("0.5")}[g.IntN(22)]
	case "intOrString":
		return []any{"http", json.Number("80")}[g.IntN(2)]
	default:
		return ""
	}
}

// What a text must look like (times, bytes) is left out, and so is how
// large a number may be.
func TestAFieldIsOfAWrongTypeWhereTheAPIsOwnDecoderSaysSo(t *testing.T) {
	seed := uint64(9)
	if text := os.Getenv("AKSP_ENGINE_SEED"); text != "" {
		seed, _ = strconv.ParseUint(text, 10, 64)
	}
	random := fieldValues{rand.New(rand.NewPCG(seed, 0)), 20}
	refused := 0
	for round := range 4000 {
		kind, into := []string{"v1/Pod", "v1/Service", "networking.k8s.io/v1/Ingress", "v1/ServiceAccount"}[round%4], []any{&core.Pod{}, &core.Service{}, &networking.Ingress{}, &core.ServiceAccount{}}[round%4]
		object, ok := random.value(fieldTypes()[kind], 1).(map[string]any)
		if !ok {
			continue
		}
		withoutNulls(object, "")
		text, err := json.Marshal(object)
		if err != nil {
			t.Fatal(err)
		}
		whole := regexp.MustCompile(`1e3\b`).ReplaceAll(text, []byte("1000")) // as kubectl writes it
		err = kubejson.UnmarshalCaseSensitivePreserveInts(whole, into)
		if err != nil && !strings.Contains(err.Error(), "cannot unmarshal") && !strings.Contains(err.Error(), "invalid type") && !strings.Contains(err.Error(), "quantities must match") {
			continue // of the look of a text
		}
		api, of, _ := strings.Cut(strings.Replace(kind, "networking.k8s.io/", "networking.k8s.io|", 1), "/")
		document := &Document{APIVersion: strings.Replace(api, "|", "/", 1), Kind: of, object: object}
		document.checkFields()
		if (err != nil) != (len(document.Problems) > 0) {
			t.Fatalf("seed %d: the API's decoder says %v, and we say %+v, of\n%s", seed, err, document.Problems, text)
		}
		if err != nil {
			refused++
		}
	}
	if refused < 500 || refused > 3500 {
		t.Errorf("%d of 4000 objects have a field of a wrong type: they test too little", refused)
	}
}

func TestProblemsComeInOneOrderAndOncePerField(t *testing.T) {
	text := `{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a", "labels": {"x": 1, "y": 2, "z": 3}}, "spec": {"hostPID": "x", "hostIPC": "x", "hostNetwork": "x", "containers": [{"name": 1, "image": "i"}]}}`
	for range 20 {
		var paths []string
		for _, one := range loaded(t, newEngine(), text).Documents[0].Problems {
			paths = append(paths, one.Path)
		}
		slices.Sort(paths[:3]) // labels are a map
		equal(t, "paths", paths, []string{"metadata.labels.x", "metadata.labels.y", "metadata.labels.z", "spec.containers[0].name", "spec.hostIPC", "spec.hostNetwork", "spec.hostPID"})
	}
}
