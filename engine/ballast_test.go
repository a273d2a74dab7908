package main

import "testing"

// What follows is told with the first load, so a long scan is known to be one before memory was used.
func TestALongScanIsKnownByWhatFollows(t *testing.T) {
	t.Setenv("GOGC", "")
	// Other tests count how much memory an evaluation takes.
	t.Cleanup(func() { weights.loaded.Store(0); weights.put(smallBallast) })
	for following, want := range map[int]int{longScan / 2: smallBallast, longScan: largeBallast} {
		weights.loaded.Store(0)
		weights.put(smallBallast)
		loadedAs(t, newEngine(), loadRequest{Batch: "b", Format: "files", Parts: []Part{}, Following: following}, "")
		if weights.size() != want {
			t.Errorf("before %d bytes there are %d of ballast", following, weights.size())
		}
	}
}
