package main

import (
	"fmt"
	"os"
	"runtime/debug"
	"runtime/metrics"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/open-policy-agent/opa/v1/topdown"
)

// Guard watches the evaluations under way: one that passes its deadline is
// cancelled, and when the heap passes its limit all are, since it cannot be
// told which of them filled it. Those are then tried one by one. One that takes
// no notice is within a built-in that nothing stops: then the process ends, and
// its parent, which starts another, finds out which policy it is.
type Guard struct {
	limit uint64        // bytes of live heap
	grace time.Duration // how long one may go on after it was cancelled

	mu      sync.Mutex
	running map[*evaluation]struct{}
	// Evaluations share; one that is tried again alone excludes all others.
	alone sync.RWMutex
}

type reason int

const (
	finished reason = iota
	overTime
	overMemory
)

type evaluation struct {
	policy    string
	cancel    topdown.Cancel
	until     time.Time
	grace     time.Duration // how long it may go on after it was cancelled
	why       reason
	cancelled time.Time
}

func (e *evaluation) stop(why reason, now time.Time) {
	e.why, e.cancelled = why, now
	e.cancel.Cancel()
}

// culpritPrefix is what a line begins with that names the policy at fault.
const culpritPrefix = "culprit: "

const (
	watchInterval      = 20 * time.Millisecond
	busyInterval       = 5 * time.Millisecond // while something is evaluated
	defaultMemoryLimit = 768 << 20
	// How long an evaluation that was cancelled may go on; less when it goes on
	// filling the memory.
	graceTime   = 2 * time.Second
	graceMemory = 500 * time.Millisecond
)

func startGuard() *Guard {
	g := &Guard{limit: defaultMemoryLimit, grace: graceTime, running: map[*evaluation]struct{}{}}
	if n, err := strconv.ParseUint(os.Getenv("AKSP_ENGINE_EVALUATION_MEMORY"), 10, 64); err == nil && n > 0 {
		g.limit = n
	}
	if n, err := strconv.ParseUint(os.Getenv("AKSP_ENGINE_EVALUATION_GRACE"), 10, 32); err == nil && n > 0 {
		g.grace = time.Duration(n) * time.Millisecond
	}
	go g.watch()
	return g
}

func (g *Guard) begin(policy string, deadline, grace time.Duration) *evaluation {
	e := &evaluation{policy: policy, cancel: topdown.NewCancel(), until: time.Now().Add(deadline), grace: grace}
	g.mu.Lock()
	g.running[e] = struct{}{}
	g.mu.Unlock()
	return e
}

func (g *Guard) end(e *evaluation) reason {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.running, e)
	return e.why
}

// end ends the process, whose parent reads the last line: with one policy alone
// that is the one which brought it down.
func end(policies []string, full bool) {
	why := "does not end"
	if full {
		why = "fills the memory"
	}
	if len(policies) == 1 {
		fmt.Fprintf(os.Stderr, "%s%s\n", culpritPrefix, policies[0])
	}
	fmt.Fprintf(os.Stderr, "a built-in function of a rule %s\n", why)
	os.Exit(1)
}

func (g *Guard) watch() {
	heap := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	interval := watchInterval
	for {
		time.Sleep(interval)
		metrics.Read(heap)
		full := heap[0].Value.Uint64() > g.limit+uint64(weights.size())
		now := time.Now()
		g.mu.Lock()
		if interval = watchInterval; len(g.running) > 0 {
			interval = busyInterval
		}
		starved := full && len(g.running) > 0
		var stuck []string
		for e := range g.running {
			switch {
			case e.why == finished && full:
				e.stop(overMemory, now)
			case e.why == finished && now.After(e.until):
				e.stop(overTime, now)
			case e.why != finished && (now.Sub(e.cancelled) > e.grace || full && now.Sub(e.cancelled) > graceMemory):
				stuck = append(stuck, e.policy)
			}
		}
		if len(stuck) > 0 {
			slices.Sort(stuck)
			end(slices.Compact(stuck), full)
		}
		g.mu.Unlock()
		if starved {
			// Garbage counts towards the reading until it is collected.
			debug.FreeOSMemory()
		}
	}
}
