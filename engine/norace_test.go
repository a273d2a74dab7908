//go:build !race

package main

const raceStep = 1
