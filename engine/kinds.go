package main

import (
	_ "embed"
	"encoding/json"
	"slices"
	"strings"
)

// knownKind is a built-in kind: see kinds.json, which the client reads, too.
type knownKind struct {
	Group    string `json:"group"`
	Kind     string `json:"kind"`
	Cluster  bool   `json:"cluster"`  // it lies in no namespace
	Template string `json:"template"` // where it keeps the Pod that it makes
}

//go:embed kinds.json
var kindsText []byte

// knownKinds are the built-in kinds by group/kind; patterns are the API groups
// whose objects hold Pods as patterns or examples, and make none.
var knownKinds, patterns = func() (map[string]knownKind, []string) {
	var read struct {
		Kinds    []knownKind `json:"kinds"`
		Patterns []string    `json:"patterns"`
	}
	if err := json.Unmarshal(kindsText, &read); err != nil {
		panic(err)
	}
	known := map[string]knownKind{}
	for _, one := range read.Kinds {
		known[one.Group+"/"+one.Kind] = one
	}
	return known, read.Patterns
}()

var builtInGroups = func() map[string]bool {
	groups := map[string]bool{}
	for _, one := range knownKinds {
		groups[one.Group] = true
	}
	return groups
}()

// templatePath is where a built-in workload keeps the Pod that it makes; nil
// for any other kind.
func templatePath(apiVersion, kind string) []string {
	if template := knownKinds[groupOf(apiVersion)+"/"+kind].Template; template != "" {
		return strings.Split(template, ".")
	}
	return nil
}

// isCustom tells whether objects of a kind may hold Pod templates anywhere: it
// is no built-in one, and not there to be compared with.
func isCustom(apiVersion, kind string) bool {
	group := groupOf(apiVersion)
	_, known := knownKinds[group+"/"+kind]
	return !known && !slices.Contains(patterns, group)
}
