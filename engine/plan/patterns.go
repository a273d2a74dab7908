package plan

import (
	"regexp"
	"regexp/syntax"
	"sync"
)

// Bounds of the regular expressions kept, since a rule may make them of the
// documents' texts: how many, and how many instructions they have in all, some 80
// bytes each. A short one may have a thousand: "x{1000}". A definition that is
// assigned a thousand times has a thousand of them, and each document asks for all.
const (
	maxPatterns     = 1 << 12
	maxInstructions = 1 << 17
)

// patterns keeps compiled regular expressions, for any number of evaluations.
type patterns struct {
	mu           sync.RWMutex
	made         map[string]*regexp.Regexp
	instructions int
}

func newPatterns() *patterns { return &patterns{made: map[string]*regexp.Regexp{}} }

// get is nil for what is no regular expression.
func (p *patterns) get(text string) *regexp.Regexp {
	p.mu.RLock()
	known := p.made[text]
	p.mu.RUnlock()
	if known != nil {
		return known
	}
	made, err := regexp.Compile(text)
	if err != nil {
		return nil
	}
	size := instructionsOf(text)
	if size > maxInstructions {
		return made
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.made[text] != nil {
		return made
	}
	if len(p.made) >= maxPatterns || p.instructions+size > maxInstructions {
		clear(p.made)
		p.instructions = 0
	}
	p.made[text] = made
	p.instructions += size
	return made
}

// instructionsOf compiles again what package regexp does not tell the size of.
func instructionsOf(text string) int {
	parsed, err := syntax.Parse(text, syntax.Perl)
	if err != nil {
		return 0
	}
	program, err := syntax.Compile(parsed.Simplify())
	if err != nil {
		return 0
	}
	return len(program.Inst)
}
