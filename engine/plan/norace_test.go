//go:build !race

package plan

const raceStep = 1
