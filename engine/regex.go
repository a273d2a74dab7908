package main

import "regexp"

type regexRequest struct {
	Patterns []string `json:"patterns"`
}

// checkRegexes compiles patterns with the RE2 implementation that OPA's
// regex.match uses, so that what is accepted when assigning is accepted when
// judging. The answer has null for a pattern that compiles.
func checkRegexes(r regexRequest) (any, error) {
	faults := make([]*string, len(r.Patterns))
	for i, pattern := range r.Patterns {
		if _, err := regexp.Compile(pattern); err != nil {
			message := err.Error()
			faults[i] = &message
		}
	}
	return map[string]any{"faults": faults}, nil
}
