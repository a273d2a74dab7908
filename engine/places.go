package main

// places tell where the fields are written that findings in files are about. They are
// found with the findings, while the text is at hand: to ask for them later takes the
// text through the pipe once more.
type places struct {
	Paths []string `json:"paths,omitempty"` // that findings name, each once
	Found []placed `json:"places,omitempty"`
}

// placed are places in one document: of the document itself, then of paths, each by
// its number, as line, column and end (Position), one after the other.
type placed struct {
	Document int   `json:"d"`
	Paths    []int `json:"p"`
	At       []int `json:"at"`
}

// writtenText is a text of a part. It may hold several documents.
type writtenText struct{ part, offset, length int }

// placesOf finds the places of what an answer tells of a batch of files. Each text is
// read once.
func (e *Engine) placesOf(batch *Batch, answer judgeAnswer) places {
	var (
		out     places
		numbers = map[string]int{}
		seen    = map[[2]int]bool{} // of a document and a path
		index   = map[int]int{}     // of a document's entry
		texts   []writtenText
		within  = map[writtenText][]int{} // entries
	)
	for _, one := range answer.Hits {
		document := batch.documents[one.Document]
		entry, known := index[one.Document]
		if !known {
			entry = len(out.Found)
			index[one.Document] = entry
			out.Found = append(out.Found, placed{Document: one.Document, Paths: []int{}})
			text := writtenText{document.Part, document.Offset, document.Length}
			if within[text] == nil {
				texts = append(texts, text)
			}
			within[text] = append(within[text], entry)
		}
		for _, f := range one.Findings {
			path := answer.Findings[f].path
			if path == "" {
				continue
			}
			number, known := numbers[path]
			if !known {
				number = len(out.Paths)
				numbers[path] = number
				out.Paths = append(out.Paths, path)
			}
			if pair := [2]int{one.Document, number}; !seen[pair] {
				seen[pair] = true
				out.Found[entry].Paths = append(out.Found[entry].Paths, number)
			}
		}
	}
	e.parallel(len(texts), func(i int) {
		entries := within[texts[i]]
		first := batch.documents[out.Found[entries[0]].Document]
		wanted := locateDocument{Length: first.Length, Line: first.Line, JSON: first.JSON, block: first.block}
		if first.Parent != nil {
			wanted.block = batch.documents[*first.Parent].block
		}
		for _, entry := range entries {
			document := batch.documents[out.Found[entry].Document]
			wanted.Paths = append(wanted.Paths, document.Item)
			prefix := document.Item
			if document.Template != "" {
				prefix += document.Template + "."
			}
			for _, number := range out.Found[entry].Paths {
				wanted.Paths = append(wanted.Paths, prefix+out.Paths[number])
			}
		}
		text := batch.parts[first.Part][first.Offset : first.Offset+first.Length]
		found := wanted.locate(text)
		for _, entry := range entries {
			one := &out.Found[entry]
			for _, at := range found[:1+len(one.Paths)] {
				one.At = append(one.At, at.Line, at.Column, at.End)
			}
			found = found[1+len(one.Paths):]
		}
	})
	return out
}
