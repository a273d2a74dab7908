package main

import (
	"encoding/json"
	"fmt"
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"

	"github.com/open-policy-agent/opa/v1/version"
)

// Engine holds what outlives one request: compiled policies, parsed batches
// and the inventory that referential rules read.
type Engine struct {
	mu        sync.Mutex
	policies  map[string]*Policy
	batches   map[string]*Batch
	taskSets  map[string]*taskSet
	inventory *Inventory
	trees     map[string]*trees // what to parse along, by format, until policies change
	slots     chan struct{}
	guard     *Guard
	lost      lost

	remembered   atomic.Int64 // bytes of outcomes, at least
	rememberable int64
}

func newEngine() *Engine {
	e := &Engine{
		policies:  map[string]*Policy{},
		batches:   map[string]*Batch{},
		taskSets:  map[string]*taskSet{},
		inventory: newInventory(),
		trees:     map[string]*trees{},
		slots:     make(chan struct{}, runtime.GOMAXPROCS(0)),

		rememberable: rememberable(debug.SetMemoryLimit(-1)),
	}
	e.guard = startGuard()
	e.lost.limit = lostTime
	return e
}

// codedError is an error that a client tells from others by its code.
type codedError struct{ code, message string }

func (e *codedError) Error() string { return e.message }

// handle answers one request. An error is the request's fault; what goes wrong
// within documents and policies is part of the result.
func (e *Engine) handle(op string, frame Frame) (result any, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("engine bug in %s: %v", op, r)
		}
	}()
	switch op {
	case "hello":
		return map[string]any{
			"protocol": protocolVersion, "opa": version.Version,
			"go": runtime.Version(), "procs": cap(e.slots),
		}, nil
	case "compile":
		return decode(frame, e.compile)
	case "regex":
		return decode(frame, checkRegexes)
	case "split":
		return decode(frame, func(r splitRequest) (any, error) { return split(r, frame.Body) })
	case "load":
		return decode(frame, func(r loadRequest) (any, error) { return e.load(r, frame.Body) })
	case "gather":
		return decode(frame, func(r loadRequest) (any, error) { return e.gather(r, frame.Body) })
	case "judge":
		return decode(frame, e.judge)
	case "register":
		return decode(frame, e.register)
	case "admit":
		return decode(frame, func(r admitRequest) (any, error) { return e.admit(r, frame) })
	case "isolate":
		return decode(frame, func(r isolateRequest) (any, error) {
			r.begun = frame.begun
			return e.isolate(r)
		})
	case "inventory":
		return decode(frame, e.addToInventory)
	case "store":
		return decode(frame, func(r storeRequest) (any, error) { return e.storeObjects(r, frame.Body) })
	case "release":
		return decode(frame, e.release)
	case "locate":
		return decode(frame, func(r locateRequest) (any, error) { return locate(r, frame.Body) })
	}
	return nil, fmt.Errorf("unknown op %q", op)
}

func decode[T any](frame Frame, run func(T) (any, error)) (any, error) {
	var request T
	if err := json.Unmarshal(frame.Header, &request); err != nil {
		return nil, fmt.Errorf("request: %w", err)
	}
	return run(request)
}

type batchRequest struct {
	Batch string `json:"batch"`
}

func (e *Engine) batch(id string) (*Batch, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	batch, ok := e.batches[id]
	if !ok {
		return nil, fmt.Errorf("unknown batch %q", id)
	}
	return batch, nil
}

func (e *Engine) release(r batchRequest) (any, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if _, ok := e.batches[r.Batch]; !ok {
		return nil, fmt.Errorf("unknown batch %q", r.Batch)
	}
	delete(e.batches, r.Batch)
	return struct{}{}, nil
}

// parallel runs work(0..n-1) on as many goroutines as there are evaluation
// slots, shared by all requests, so that two requests do not fight for cores.
// Work is handed out in runs: most of it is shorter than waking a goroutine.
func (e *Engine) parallel(n int, work func(i int)) {
	if n == 1 {
		// An admission review: to wake a goroutine for it would take longer than it takes.
		e.slots <- struct{}{}
		defer func() { <-e.slots }()
		work(0)
		return
	}
	workers := cap(e.slots)
	run := max(1, min(maxRun, n/(4*workers)))
	var next atomic.Int64
	var wg sync.WaitGroup
	for range min(workers, n) {
		wg.Go(func() {
			for {
				e.slots <- struct{}{}
				start := int(next.Add(int64(run))) - run
				for i := start; i < min(start+run, n); i++ {
					work(i)
				}
				<-e.slots
				if start+run >= n {
					return
				}
			}
		})
	}
	wg.Wait()
}

const maxRun = 16
