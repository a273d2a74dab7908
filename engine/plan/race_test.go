//go:build race

package plan

// Under the race detector, compiling all cases would take minutes: each fifth is tried.
const raceStep = 5
