package main

import (
	"os"
	"runtime/debug"
	"runtime/metrics"
	"strconv"
	"sync"
	"time"

	"github.com/open-policy-agent/opa/v1/topdown"
)

// Guard watches the evaluations under way: one that passes its deadline is
// cancelled, and when the heap passes its limit all are, since it cannot be
// told which of them filled it. Those are then tried one by one.
type Guard struct {
	limit uint64 // bytes of live heap

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
	cancel topdown.Cancel
	until  time.Time
	why    reason
}

const (
	watchInterval      = 20 * time.Millisecond
	defaultMemoryLimit = 768 << 20
)

func startGuard() *Guard {
	g := &Guard{limit: defaultMemoryLimit, running: map[*evaluation]struct{}{}}
	if n, err := strconv.ParseUint(os.Getenv("AKSP_ENGINE_EVALUATION_MEMORY"), 10, 64); err == nil && n > 0 {
		g.limit = n
	}
	go g.watch()
	return g
}

func (g *Guard) begin(deadline time.Duration) *evaluation {
	e := &evaluation{cancel: topdown.NewCancel(), until: time.Now().Add(deadline)}
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

func (g *Guard) watch() {
	heap := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	for range time.Tick(watchInterval) {
		metrics.Read(heap)
		full := heap[0].Value.Uint64() > g.limit
		now := time.Now()
		g.mu.Lock()
		starved := full && len(g.running) > 0
		for e := range g.running {
			if e.why == finished && full {
				e.why = overMemory
				e.cancel.Cancel()
			}
			if e.why == finished && now.After(e.until) {
				e.why = overTime
				e.cancel.Cancel()
			}
		}
		g.mu.Unlock()
		if starved {
			// Garbage counts towards the reading until it is collected.
			debug.FreeOSMemory()
		}
	}
}
