package main

import (
	"os"
	"sync/atomic"
)

// ballast is never touched, so that it takes no memory, but counts as live: the
// collector, which else would go over the compiled policies five times as often,
// waits until there is as much garbage, too. After many bytes of documents there is
// more of it: a small scan stays small, and a long one is not held up. Where GOGC
// says when to collect, there is none.
type ballast struct {
	weight atomic.Pointer[[]byte]
	loaded atomic.Int64
}

const (
	smallBallast = 16 << 20
	largeBallast = 64 << 20
	// longScan is how many bytes of documents make a scan a long one.
	longScan = 16 << 20
)

var weights = newBallast()

func newBallast() *ballast {
	b := &ballast{}
	b.put(smallBallast)
	return b
}

func (b *ballast) put(size int) {
	if os.Getenv("GOGC") == "" {
		weight := make([]byte, size)
		b.weight.Store(&weight)
	}
}

// size is how many bytes of the heap are ballast.
func (b *ballast) size() int {
	if weight := b.weight.Load(); weight != nil {
		return len(*weight)
	}
	return 0
}

// count takes note of documents that are loaded.
func (b *ballast) count(bytes int) {
	loaded := b.loaded.Add(int64(bytes))
	if before := loaded - int64(bytes); before < longScan && loaded >= longScan {
		b.put(largeBallast)
	}
}
