package main

import (
	"cmp"
	"slices"
)

// apportion gives the violations of a Pod to its containers, by judging copies
// of it. A violation belongs to the containers whose copies have it, unless a
// copy with none has it, too.
//
// First the copies hold one container alone. What is found there of several
// containers, or of none, is looked for in copies that leave each container in
// its place, for messages that count ("container 1: …"): there an empty object
// stands in the place of every other one.
func (e *Engine) apportion(d *Document, j job, data *snapshot, left *budget) isolated {
	result := isolated{Containers: make([][]Finding, len(d.Containers)), Faults: []string{}}
	for c := range result.Containers {
		result.Containers[c] = []Finding{}
	}
	found := func(keep *Container, inPlace bool) []Finding {
		part := func(object map[string]any) map[string]any { return d.only(object, keep, inPlace) }
		out := e.toldApart(j, d, e.run(j, d.review(part(d.object)), data, left), data, left, part)
		result.Faults = append(result.Faults, out.faults...)
		return out.findings
	}
	owners := map[Finding][]int{}
	for _, one := range e.judgeBy(j, &inquiry{document: d}, data, left).findings {
		owners[one] = nil
	}
	attribute := func(owners map[Finding][]int, inPlace bool) {
		for _, one := range found(nil, inPlace) {
			delete(owners, one)
		}
		if len(owners) == 0 {
			return
		}
		for c := range d.Containers {
			for _, one := range found(&d.Containers[c], inPlace) {
				if known, open := owners[one]; open {
					owners[one] = append(known, c)
				}
			}
		}
	}
	attribute(owners, false)
	unclear := map[Finding][]int{}
	for one, containers := range owners {
		if len(containers) != 1 {
			unclear[one] = nil
		}
	}
	if len(unclear) > 0 && len(d.Containers) > 1 && len(d.Containers) <= maxInPlace {
		attribute(unclear, true)
		for one, containers := range unclear {
			if len(containers) > 0 {
				owners[one] = containers
			}
		}
	}
	for one, containers := range owners {
		for _, c := range containers {
			result.Containers[c] = append(result.Containers[c], one)
		}
	}
	for _, list := range result.Containers {
		slices.SortFunc(list, Finding.compare)
	}
	slices.Sort(result.Faults)
	result.Faults = slices.Compact(result.Faults)
	return result
}

// maxInPlace bounds the copies in which all containers keep their places: their
// work grows with the square of the number.
const maxInPlace = 64

func (f Finding) compare(other Finding) int {
	return cmp.Or(cmp.Compare(f.Msg, other.Msg), cmp.Compare(f.Details, other.Details))
}

// only is a copy of the Pod that keeps one container, or none: alone, or in its
// place among empty objects.
func (d *Document) only(object map[string]any, keep *Container, inPlace bool) map[string]any {
	object = cloneShallow(object)
	spec, _ := object["spec"].(map[string]any)
	spec = cloneShallow(spec)
	for _, field := range containerFields {
		list, ok := spec[field].([]any)
		if !ok {
			continue
		}
		kept := []any{}
		if inPlace {
			for range list {
				kept = append(kept, map[string]any{})
			}
		}
		if keep != nil && keep.Type == field {
			if inPlace {
				kept[keep.index] = list[keep.index]
			} else {
				kept = append(kept, list[keep.index])
			}
		}
		spec[field] = kept
	}
	object["spec"] = spec
	return object
}

func cloneShallow(object map[string]any) map[string]any {
	copied := make(map[string]any, len(object))
	for key, value := range object {
		copied[key] = value
	}
	return copied
}
