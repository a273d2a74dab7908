package main

import (
	"slices"
	"sync"
	"time"
)

// quick is within what time a policy judges an object so that it takes no time
// from others. Most need some 10 to 250 µs; the guard looks every 5 ms.
const quick = 10 * time.Millisecond

const (
	// lostTime is for how long evaluations of scans may go on until they are stopped,
	// all together, within tripsExpire: else 50 endless rules would take 50 times as
	// long as one, and the states of all others would wait for them.
	lostTime = 4 * time.Second
	// lastChance is what a policy that did not run into its deadline lately has when
	// that time is over, while those that were stopped have not taken lastChances
	// together: else each of 100 endless rules would take so long on each core.
	lastChance  = 50 * time.Millisecond
	lastChances = 500 * time.Millisecond
)

// lost is the time that evaluations of scans went on until they were stopped.
type lost struct {
	limit time.Duration
	mu    sync.Mutex
	seen  []loss
}

type loss struct {
	at   time.Time
	took time.Duration
	last bool // it was a last chance
}

// add notes an evaluation that was stopped after this long, of so much that it was allowed.
func (l *lost) add(took, allowed time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.seen = append(l.seen, loss{at: time.Now(), took: took, last: allowed <= lastChance})
}

// patience is how long the next evaluation of a policy with these trips may take,
// of its own deadline: at most half of what is left, so that something is left for
// others; 0 for not at all.
func (l *lost) patience(of *trips, own time.Duration) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.seen = slices.DeleteFunc(l.seen, func(one loss) bool { return time.Since(one.at) > tripsExpire })
	left, chances := l.allowed(own), lastChances
	for _, one := range l.seen {
		if one.last {
			chances -= one.took
		} else {
			left -= one.took
		}
	}
	if left/2 >= lastChance {
		return min(own, left/2)
	}
	of.mu.Lock()
	defer of.mu.Unlock()
	switch {
	case of.late():
		return 0
	case chances > 0 || of.ends:
	case of.quick.Load():
		// A machine that does other things may have kept it from being so once.
		return min(own, quick)
	default:
		return 0
	}
	return min(own, lastChance)
}

// allowed is the time for all, where an evaluation may take so long: at least as
// much as for one object.
func (l *lost) allowed(own time.Duration) time.Duration { return max(l.limit, objectShare*own) }
