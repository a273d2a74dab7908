package main

import (
	"sync"
	"sync/atomic"
	"testing"
)

func TestJobsThatWaitForEachOtherAllRun(t *testing.T) {
	const many = 4 * keptWorkers
	w := newWorkers()
	var arrived sync.WaitGroup
	arrived.Add(many)
	for range many {
		w.run(func() {
			arrived.Done()
			arrived.Wait()
		})
	}
	w.end()
}

func TestTheEndWaitsForEveryJob(t *testing.T) {
	w := newWorkers()
	var done atomic.Int64
	for range 1000 {
		w.run(func() { done.Add(1) })
	}
	w.end()
	equal(t, "jobs done", done.Load(), int64(1000))
}
