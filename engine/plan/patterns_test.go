package plan

import (
	"fmt"
	"testing"
)

// A definition that is assigned a thousand times asks each document for a thousand
// expressions in turn: were fewer kept, each of them would be compiled each time.
func TestTheExpressionsOfAThousandAssignmentsAreAllKept(t *testing.T) {
	kept := newPatterns()
	for range 2 {
		for n := range 1000 {
			text := fmt.Sprintf(`^(docker\.io|contoso-%d\.azurecr\.io)/.+$`, n)
			before := kept.made[text]
			if made := kept.get(text); before != nil && made != before {
				t.Fatalf("%s was compiled again", text)
			}
		}
		if len(kept.made) != 1000 {
			t.Fatalf("%d expressions are kept", len(kept.made))
		}
	}
}
