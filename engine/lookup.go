package main

import (
	"cmp"
	"slices"
)

// inventoryRoot begins the paths of data.inventory. No part of input is called so.
const inventoryRoot = "\x00data.inventory"

// Lookup is a kind of which a policy looks objects up in data.inventory.
type Lookup struct {
	GroupVersion string `json:"groupVersion"` // as in apiVersion; "*" for any
	Kind         string `json:"kind"`
	Below        string `json:"below"` // "cluster" or "namespace"
}

// lookupsOf are the kinds that a policy can see of data.inventory, from what it
// reads of it. It is not known when a kind is computed, or when something above
// the kinds is used: then any object counts.
func lookupsOf(inventory *Reads) (lookups []Lookup, known bool) {
	found := map[Lookup]bool{}
	known = !inventory.whole && inventory.any == nil && len(inventory.keys) > 0
	versions := func(below string, at *Reads) {
		known = known && at.branches()
		for version, kinds := range at.children() {
			known = known && kinds.branches() && kinds.any == nil
			for kind := range kinds.keys {
				found[Lookup{GroupVersion: version, Kind: kind, Below: below}] = true
			}
		}
	}
	for key, at := range inventory.keys {
		switch key {
		case "cluster":
			versions(key, at)
		case "namespace":
			known = known && at.branches()
			for _, one := range at.children() {
				versions(key, one)
			}
		}
	}
	if !known {
		return nil, false
	}
	for one := range found {
		lookups = append(lookups, one)
	}
	slices.SortFunc(lookups, func(a, b Lookup) int {
		return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.GroupVersion, b.GroupVersion), cmp.Compare(a.Below, b.Below))
	})
	return lookups, true
}

// branches: whether only parts of a value are read, not the value.
func (r *Reads) branches() bool { return !r.whole && (len(r.keys) > 0 || r.any != nil) }

// children are what is read below, by key, "*" being any.
func (r *Reads) children() map[string]*Reads {
	out := make(map[string]*Reads, len(r.keys)+1)
	for key, child := range r.keys {
		out[key] = child
	}
	if r.any != nil {
		out["*"] = r.any
	}
	return out
}
