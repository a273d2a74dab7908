//go:build !race

package plan

const caseStep = 1
