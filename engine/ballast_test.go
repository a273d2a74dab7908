package main

import (
	"bytes"
	"testing"
)

// What is split will be loaded: the collector need not wait for that to be told of a long scan.
func TestASplitOfALongTextBeginsALongScan(t *testing.T) {
	t.Setenv("GOGC", "")
	for size, want := range map[int]int{longScan / 2: smallBallast, longScan: largeBallast} {
		weights.loaded.Store(0)
		weights.put(smallBallast)
		if _, err := split(splitRequest{Target: 1 << 20}, bytes.Repeat([]byte("# a\n"), size/4)); err != nil {
			t.Fatal(err)
		}
		if weights.size() != want {
			t.Errorf("after a split of %d bytes there are %d of ballast", size, weights.size())
		}
	}
}
