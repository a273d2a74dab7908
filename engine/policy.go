package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sort"
	"sync"
	"sync/atomic"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/topdown"
	"github.com/open-policy-agent/opa/v1/topdown/cache"
)

// Policy is one definition's Rego, compiled on its own so that a broken policy
// harms no other.
type Policy struct {
	id           string
	compiler     *ast.Compiler
	query        ast.Body
	reads        *Reads
	sight        *sight
	useInventory bool
	values       cache.InterQueryValueCache
	trips        trips
	coveredBy    atomic.Pointer[Reads] // the last tree found to have all that it reads

	mu   sync.Mutex
	sets map[string]*parameterSet // by their JSON
}

// parameterSet is a set of parameters, parsed, and what is remembered for it:
// nothing when this policy's outcomes are not remembered.
type parameterSet struct {
	value ast.Value
	memo  *Memo
}

const maxParameterSets = 64

// with is the set of parameters that a JSON text holds.
func (p *Policy) with(text string) (*parameterSet, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if known := p.sets[text]; known != nil {
		return known, nil
	}
	set := &parameterSet{value: ast.NewObject()}
	if text != "" {
		native, err := parseJSON([]byte(text), everything())
		if err != nil {
			return nil, err
		}
		if set.value, err = ast.InterfaceToValue(native); err != nil {
			return nil, err
		}
	}
	if p.sight != nil {
		set.memo = newMemo()
	}
	if p.sets == nil || len(p.sets) >= maxParameterSets {
		p.sets = map[string]*parameterSet{}
	}
	p.sets[text] = set
	return set, nil
}

// forget drops all that is remembered.
func (p *Policy) forget() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, set := range p.sets {
		if set.memo != nil {
			set.memo.empty()
		}
	}
}

// Built-ins that reach out of the process, tell of the machine, or compile
// more Rego at run time.
var forbiddenBuiltins = []string{
	"http.send", "net.lookup_ip_addr", "opa.runtime", "providers.aws.sign_req", "rego.parse_module",
}

func capabilities() *ast.Capabilities {
	caps := ast.CapabilitiesForThisVersion()
	caps.Builtins = slices.DeleteFunc(caps.Builtins, func(b *ast.Builtin) bool {
		return slices.Contains(forbiddenBuiltins, b.Name)
	})
	caps.AllowNet = []string{}
	return caps
}

type module struct {
	Name    string `json:"name"` // file name, for messages
	Source  string `json:"source"`
	Version string `json:"version"` // "v0" or "v1"
}

type compileRequest struct {
	Policy  string   `json:"policy"`
	Modules []module `json:"modules"` // the policy itself first, then its libraries
}

// PolicyFault is one compile error, with its place in the source.
type PolicyFault struct {
	File    string `json:"file"`
	Row     int    `json:"row"`
	Col     int    `json:"col"`
	Message string `json:"message"`
}

type compileAnswer struct {
	Faults    []PolicyFault `json:"faults"`
	Reads     []string      `json:"reads"`
	Inventory bool          `json:"inventory"`
}

// compile parses and compiles a policy and remembers it under its id. Faults
// of the Rego are part of the answer.
func (e *Engine) compile(r compileRequest) (any, error) {
	if r.Policy == "" || len(r.Modules) == 0 {
		return nil, errors.New("compile needs a policy id and at least one module")
	}
	policy, faults := compilePolicy(r)
	if len(faults) > 0 {
		return compileAnswer{Faults: faults, Reads: []string{}}, nil
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.policies[r.Policy] = policy
	clear(e.trees)
	return compileAnswer{Faults: []PolicyFault{}, Reads: policy.reads.paths(), Inventory: policy.useInventory}, nil
}

func compilePolicy(r compileRequest) (*Policy, []PolicyFault) {
	caps := capabilities()
	modules := map[string]*ast.Module{}
	var entry ast.Ref
	for i, m := range r.Modules {
		options := ast.ParserOptions{RegoVersion: ast.RegoV1, Capabilities: caps}
		if m.Version == "v0" {
			options.RegoVersion = ast.RegoV0
		}
		parsed, err := ast.ParseModuleWithOpts(m.Name, m.Source, options)
		if err != nil {
			return nil, faultsOf(err, m.Name)
		}
		if parsed == nil {
			return nil, []PolicyFault{{File: m.Name, Row: 1, Col: 1, Message: "the module is empty"}}
		}
		modules[fmt.Sprintf("%d/%s", i, m.Name)] = parsed
		if i == 0 {
			entry = parsed.Package.Path.Append(ast.StringTerm("violation"))
			if !slices.ContainsFunc(parsed.Rules, func(rule *ast.Rule) bool {
				return rule.Head.Name == "violation" || rule.Head.Ref().String() == "violation"
			}) {
				return nil, []PolicyFault{{
					File: m.Name, Row: parsed.Package.Loc().Row, Col: parsed.Package.Loc().Col,
					Message: "the module has no rule named violation: it must define violation contains {\"msg\": …, \"details\": …}",
				}}
			}
		}
	}
	compiler := ast.NewCompiler().WithCapabilities(caps).WithStrict(false)
	compiler.Compile(modules)
	if compiler.Failed() {
		return nil, faultsOf(compiler.Errors, r.Modules[0].Name)
	}
	// The value of the entry point, bound to a variable the answer is read from.
	query, err := compiler.QueryCompiler().Compile(ast.NewBody(ast.Equality.Expr(ast.VarTerm("result"), ast.NewTerm(entry))))
	if err != nil {
		return nil, faultsOf(err, r.Modules[0].Name)
	}
	policy := &Policy{id: r.Policy, compiler: compiler, query: query, values: newValueCache()}
	var review *Reads
	policy.reads, review, policy.useInventory = readsOf(compiler)
	policy.sight = sightOf(policy, review, compiler)
	return policy, nil
}

// newValueCache keeps compiled regular expressions and globs. Without a bound,
// a rule that makes them of the documents' texts would fill the memory.
func newValueCache() cache.InterQueryValueCache {
	bound := 1 << 12
	return cache.NewInterQueryValueCache(context.Background(), &cache.Config{
		InterQueryBuiltinValueCache: cache.InterQueryBuiltinValueCacheConfig{MaxNumEntries: &bound},
	})
}

func faultsOf(err error, file string) []PolicyFault {
	var list ast.Errors
	if !errors.As(err, &list) {
		return []PolicyFault{{File: file, Row: 1, Col: 1, Message: err.Error()}}
	}
	var faults []PolicyFault
	for _, one := range list {
		fault := PolicyFault{File: file, Row: 1, Col: 1, Message: one.Message}
		if one.Location != nil {
			fault.Row, fault.Col = one.Location.Row, one.Location.Col
			if one.Location.File != "" {
				fault.File = one.Location.File
			}
		}
		faults = append(faults, fault)
	}
	sort.SliceStable(faults, func(i, j int) bool { return faults[i].Row < faults[j].Row })
	return faults
}

// outcome is what one evaluation found.
type outcome struct {
	findings []Finding
	faults   []string
	starved  bool // stopped because the engine's memory ran short
}

// evaluate runs the policy over one review. Built-ins that fail are undefined
// to the rule, as in Gatekeeper, and told as faults besides: a rule that fails
// at run time must not look like a pass.
func (p *Policy) evaluate(guard *Guard, input *ast.Term, data *snapshot, deadline time.Duration) (out *outcome) {
	if p.trips.tripped() {
		return &outcome{faults: []string{fmt.Sprintf("not evaluated: the policy ran into its deadline of %s %d times", deadline, maxTrips)}}
	}
	running := guard.begin(deadline)
	defer func() {
		if r := recover(); r != nil {
			guard.end(running)
			out = &outcome{faults: []string{fmt.Sprintf("the evaluation crashed: %v", r)}}
		}
	}()
	out = &outcome{}
	var builtinErrors []topdown.Error
	ctx := context.Background()
	query := topdown.NewQuery(p.query).
		WithCompiler(p.compiler).
		WithStore(data.store).
		WithTransaction(data.txn).
		WithInput(input).
		WithCancel(running.cancel).
		WithInterQueryBuiltinValueCache(p.values).
		WithBuiltinErrorList(&builtinErrors)
	err := query.Iter(ctx, func(result topdown.QueryResult) error {
		switch value := result["result"].Value.(type) {
		case ast.Set:
			for _, term := range value.Slice() {
				one, err := findingOf(term.Value)
				if err != nil {
					out.faults = append(out.faults, err.Error())
					continue
				}
				out.findings = append(out.findings, one)
			}
		default:
			out.faults = append(out.faults, fmt.Sprintf("violation is %s, not a set", ast.ValueName(value)))
		}
		return nil
	})
	why := guard.end(running)
	switch {
	case err == nil:
	case topdown.IsCancel(err) && why == overMemory:
		return &outcome{starved: true, faults: []string{fmt.Sprintf("the evaluation needed more than %d MiB of memory", guard.limit>>20)}}
	case topdown.IsCancel(err):
		p.trips.add()
		out.faults = append(out.faults, fmt.Sprintf("the evaluation took longer than %s", deadline))
	default:
		out.faults = append(out.faults, evalMessage(err))
	}
	for i := range builtinErrors {
		out.faults = append(out.faults, evalMessage(&builtinErrors[i]))
	}
	slices.Sort(out.faults)
	out.faults = slices.Compact(out.faults)
	return out
}

// A policy that ran into its deadline this often is not tried again for a
// while: with a loop in it, every one of 10,000 Pods would wait for it.
const (
	maxTrips    = 3
	tripsExpire = time.Minute
)

type trips struct {
	mu    sync.Mutex
	times []time.Time
}

func (t *trips) add() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.times = append(t.times, time.Now())
}

func (t *trips) tripped() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.times = slices.DeleteFunc(t.times, func(at time.Time) bool { return time.Since(at) > tripsExpire })
	return len(t.times) >= maxTrips
}

func evalMessage(err error) string {
	var failure *topdown.Error
	if !errors.As(err, &failure) {
		return err.Error()
	}
	if failure.Location == nil {
		return failure.Message
	}
	return fmt.Sprintf("%s:%d: %s", failure.Location.File, failure.Location.Row, failure.Message)
}
