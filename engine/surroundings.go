package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// surroundings are the objects of the cluster, or of the same manifests, by
// which admission plugins change a Pod: LimitRanges and ServiceAccounts.
type surroundings struct {
	limitRanges []*Document // by name
	accounts    map[string]*Document
}

// surroundingKinds are kept whole, and looked for in the text of manifests.
var surroundingKinds = []string{"/LimitRange", "/ServiceAccount"}

func surroundingsOf(texts []json.RawMessage) (*surroundings, error) {
	out := &surroundings{accounts: map[string]*Document{}}
	for _, text := range texts {
		document, err := storedDocument(text)
		if err != nil {
			return nil, fmt.Errorf("surroundings: %w", err)
		}
		if document.Kind == "LimitRange" {
			out.limitRanges = append(out.limitRanges, document)
		} else {
			out.accounts[document.Namespace+"/"+document.Name] = document
		}
	}
	slices.SortFunc(out.limitRanges, func(a, b *Document) int { return strings.Compare(a.Name, b.Name) })
	return out, nil
}

// account is the ServiceAccount of a Pod; nil when it is not known.
func (s *surroundings) account(d *Document, spec map[string]any) map[string]any {
	name, _ := spec["serviceAccountName"].(string)
	if name == "" {
		name = "default"
	}
	if found := s.accounts[d.Namespace+"/"+name]; found != nil {
		return found.object
	}
	return nil
}

// gather finds LimitRanges and ServiceAccounts in manifests, to be given to
// load. What cannot be read is told by load.
func (e *Engine) gather(r loadRequest, body []byte) (any, error) {
	sources, _, err := partSources(r.Parts, body)
	if err != nil {
		return nil, err
	}
	sources = slices.DeleteFunc(sources, func(s source) bool {
		return !mayHoldSurroundings(s.text) &&
			!slices.Contains(surroundingKinds, "/"+s.span.Kind) // an item of a list, which has the kind
	})
	r.Format, r.WholeKinds = "files", surroundingKinds
	documents, _ := e.readAll(e.reader(r), sources)
	found := []map[string]any{}
	for _, document := range documents {
		if amongKinds(surroundingKinds, groupOf(document.APIVersion), document.Kind) && document.Name != "" && len(document.Problems) == 0 {
			found = append(found, document.object)
		}
	}
	return map[string]any{"surroundings": found}, nil
}

// mayHoldSurroundings tells without parsing whether it is worth to look.
func mayHoldSurroundings(text []byte) bool {
	return bytes.Contains(text, []byte("LimitRange")) ||
		bytes.Count(text, []byte("ServiceAccount")) > bytes.Count(text, []byte("automountServiceAccountToken"))
}

// addLimits gives containers the defaults of the LimitRanges of their namespace,
// as the LimitRanger plugin does: what is not given there follows from the
// others (SetDefaults_LimitRangeItem, mergeContainerResources).
func (d *Document) addLimits(spec map[string]any, s *surroundings) string {
	var names []string
	for _, one := range s.limitRanges {
		if one.Namespace != d.Namespace {
			continue
		}
		limits, requests := containerDefaultsOf(one)
		if limited(spec, limits, requests) {
			names = append(names, one.Name)
		}
	}
	if names == nil {
		return ""
	}
	return "the defaults of the LimitRange " + strings.Join(names, " and ")
}

func containerDefaultsOf(limitRange *Document) (limits, requests map[string]any) {
	limits, requests = map[string]any{}, map[string]any{}
	eachObject(objectIn(limitRange.object, "spec")["limits"], func(item map[string]any) {
		if item["type"] != "Container" {
			return
		}
		own := merged(objectIn(item, "default"), objectIn(item, "max"))
		wanted := merged(merged(objectIn(item, "defaultRequest"), own), objectIn(item, "min"))
		// A later item overrides.
		limits, requests = merged(own, limits), merged(wanted, requests)
	})
	return limits, requests
}

// merged has all of two objects; the first wins.
func merged(first, second map[string]any) map[string]any {
	out := cloneShallow(second)
	for key, value := range first {
		out[key] = value
	}
	return out
}

// limited fills in what containers do not say, and tells whether there was any.
func limited(spec, limits, requests map[string]any) (changed bool) {
	for _, field := range []string{"containers", "initContainers"} {
		list, ok := spec[field].([]any)
		if !ok {
			continue
		}
		list = slices.Clone(list)
		for i, entry := range list {
			container, ok := entry.(map[string]any)
			resources, isObject := container["resources"].(map[string]any)
			if !ok || container["resources"] != nil && !isObject {
				continue
			}
			resources = cloneShallow(resources)
			filled := fillMissing(resources, "limits", limits)
			filled = fillMissing(resources, "requests", requests) || filled
			if filled {
				container = cloneShallow(container)
				container["resources"] = resources
				list[i], changed = container, true
			}
		}
		spec[field] = list
	}
	return changed
}

func fillMissing(resources map[string]any, key string, defaults map[string]any) bool {
	own, isObject := resources[key].(map[string]any)
	if resources[key] != nil && !isObject {
		return false
	}
	all := merged(own, defaults)
	if len(all) == len(own) {
		return false
	}
	resources[key] = all
	return true
}
