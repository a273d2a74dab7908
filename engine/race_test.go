//go:build race

package main

// Under the race detector everything is about six times slower. What looks for
// wrong answers, and not for races, tries one in so many there: one definition
// in so many, one in so many random inputs. `make unit` runs all of it without.
const raceStep = 8
