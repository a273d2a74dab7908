package main

import "fmt"

// Documents beyond these would take the engine past its memory or its time, and all others with it. Each is far
// more than an API server stores in one object.
const (
	// maxNodes is how many keys, values and items the YAML library reads, of which each takes some 300 bytes and 2 µs.
	maxNodes = 8 << 20
	// maxKept is how many are kept of one object, of which each takes up to 400 bytes.
	maxKept = 2 << 20
	// maxItems is how many items one list may have.
	maxItems = 2 << 20
	// maxProblems is how many problems of one part are told one by one: each is an object in the parent.
	maxProblems = 1000
	// aliasFactor is how many times as long as its text a document may be once aliases are what they stand for, and
	// aliasSpare how many bytes it may have in any case.
	aliasFactor = 8
	aliasSpare  = 64 << 20
)

var (
	errNodes = fmt.Errorf("more than %d million keys, values and items in one document, which is not read: write its objects into several files", maxNodes>>20)
	errKept  = fmt.Errorf("more than %d million keys, values and items in one object, which is not read: no API server stores so many", maxKept>>20)
	errItems = fmt.Errorf("a list of more than %d million items, which is not read: write its objects into several files", maxItems>>20)
	errAlias = fmt.Errorf("its aliases make more than %d times as much of it, which is not read: write out what they stand for", aliasFactor)
)

// nodesOf is about how many nodes a YAML text has: what begins one, or ends it, in a comment or in a
// text too. It is never less than half of what the library makes.
func nodesOf(text []byte) (nodes int) {
	for i, c := range text {
		switch c {
		case '\n', ',', '[', '{':
			nodes++
		case '-', '?':
			if i+1 == len(text) || text[i+1] <= ' ' {
				nodes++
			}
		case ':':
			if i+1 == len(text) || text[i+1] <= ' ' || i > 0 && (text[i-1] == '"' || text[i-1] == '\'') {
				nodes++
			}
		}
	}
	return nodes
}

// foldProblems tells of all problems of a part beyond maxProblems in one, at the place of the first of them,
// and says where in YAML those of items are.
func foldProblems(problems []Problem) []Problem {
	told, folded, more := map[int]int{}, map[int]int{}, map[int]int{}
	kept := problems[:0]
	for _, one := range problems {
		told[one.Part]++
		at, known := folded[one.Part]
		switch {
		case told[one.Part] <= maxProblems:
			kept = append(kept, one)
		case !known:
			folded[one.Part] = len(kept)
			more[one.Part] = 1
			kept = append(kept, one)
		default:
			more[one.Part]++
			if one.Object != foreignObject {
				kept[at].Object = one.Object
			}
		}
	}
	for part, at := range folded {
		if more[part] > 1 {
			kept[at].Message = fmt.Sprintf("%s; so it is, or alike, with %d more from here on", kept[at].Message, more[part]-1)
		}
	}
	for at := 0; at < len(kept); {
		end := at
		var paths [][]string
		for ; end < len(kept) && kept[end].of != nil && kept[end].of == kept[at].of; end++ {
			paths = append(paths, splitPath(kept[end].item))
		}
		if len(paths) > 0 {
			for i, place := range locateYAML(kept[at].of.text, paths, false) {
				kept[at+i].Line += place.Line - 1
			}
		}
		at = max(end, at+1)
	}
	return kept
}

// tooMany refuses a text that the YAML library is not to read.
func tooMany(text []byte) error {
	if len(text) > maxNodes && nodesOf(text) > maxNodes {
		return errNodes
	}
	return nil
}
