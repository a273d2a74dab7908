package plan

import (
	"errors"

	"github.com/open-policy-agent/opa/v1/topdown"
)

// checkEvery is how many steps are taken between looks at the cancel flag.
const checkEvery = 64

// maxMoved bounds the values that one evaluation hands to OPA's functions and gets
// from them: each is copied, also one that stands in a thousand places. It takes
// some 30 ms. Topdown copies nothing, so more is left to it.
const maxMoved = 1 << 18

var errMoved = errors.New("too much would be copied for OPA's functions")

// watch is asked at each step of all that may go on for long. It ends an
// evaluation by a panic, which Ask turns into its error. The zero watch lets
// everything pass.
type watch struct {
	cancel topdown.Cancel
	steps  uint
	moved  int
}

func (w *watch) step() {
	w.steps++
	if w.steps%checkEvery == 0 {
		w.look()
	}
}

func (w *watch) look() {
	if w.cancel != nil && w.cancel.Cancelled() {
		panic(ErrCancelled)
	}
}

// move is a step for each value that is copied.
func (w *watch) move() {
	if w.moved++; w.moved > maxMoved {
		panic(errMoved)
	}
	w.step()
}

func (w *watch) compare(a, b any) int { return compare(w, a, b) }
