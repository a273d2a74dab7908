package main

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"sort"
	"sync"
	"sync/atomic"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/topdown"
	"github.com/open-policy-agent/opa/v1/topdown/cache"

	"aksp.dev/engine/plan"
)

// Policy is one definition's Rego, compiled on its own so that a broken policy
// harms no other.
type Policy struct {
	id           string
	compiler     *ast.Compiler
	query        ast.Body
	reads        *Reads
	visible      *visibleFields
	request      *Reads // of an AdmissionRequest, nil for nothing
	audit        string // what can be found without a request
	useInventory bool
	lookups      []Lookup // in data.inventory
	lookupsKnown bool
	parameters   []string // that it reads by name
	tells        bool     // its violations are told as they are found
	values       cache.InterQueryValueCache
	program      *plan.Program // nil when topdown evaluates it
	unplanned    string        // why there is none although one was asked for
	planLate     atomic.Int64  // when the plan last took too long, in Unix nanoseconds
	distrusted   atomic.Bool   // topdown did not agree once: it alone evaluates it, and nothing is remembered
	pure         bool          // it finds the same at any time
	enumerates   bool          // it goes over the fields of input.review: some must not be there
	trips        trips
	coveredBy    atomic.Pointer[Reads] // the last tree found to have all that it reads

	mu   sync.Mutex
	sets map[string]*parameterSet // by their JSON
}

// parameterSet is a set of parameters, decoded, and what is remembered for it:
// nothing when this policy's outcomes are not remembered.
type parameterSet struct {
	native  any
	unusual bool // it has numbers that are left to topdown
	memo    *Memo
	kept    *plan.Kept // what functions of the plan made of them alone
}

const maxParameterSets = 64

// with is the set of parameters that a JSON text holds.
func (p *Policy) with(text string) (*parameterSet, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if known := p.sets[text]; known != nil {
		return known, nil
	}
	set := &parameterSet{native: map[string]any{}}
	if text != "" {
		var err error
		if set.native, err = parseJSON([]byte(text), everything()); err != nil {
			return nil, err
		}
	}
	set.unusual = !plan.Usual(set.native)
	if p.visible != nil {
		set.memo = newMemo()
	}
	if p.program != nil {
		set.kept = p.program.Keep()
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
	Faults     []PolicyFault `json:"faults"`
	Reads      []string      `json:"reads"`
	Inventory  any           `json:"inventory"`  // a list of Lookup, or "unknown"
	Request    []string      `json:"request"`    // the fields of an AdmissionRequest that it reads
	Audit      string        `json:"audit"`      // what can be found without a request: whole, part or never
	Parameters []string      `json:"parameters"` // that it reads by name
	Unplanned  string        `json:"unplanned,omitempty"`
}

// compile parses and compiles a policy and remembers it under its id. Faults
// of the Rego are part of the answer.
func (e *Engine) compile(r compileRequest) (any, error) {
	if r.Policy == "" || len(r.Modules) == 0 {
		return nil, errors.New("compile needs a policy id and at least one module")
	}
	policy, faults := compilePolicy(r)
	if len(faults) > 0 {
		return compileAnswer{
			Faults: faults, Reads: []string{}, Inventory: []Lookup{}, Request: []string{}, Audit: auditWhole, Parameters: []string{},
		}, nil
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.policies[r.Policy] = policy
	clear(e.trees)
	answer := compileAnswer{
		Faults: []PolicyFault{}, Reads: policy.reads.paths(), Inventory: "unknown", Request: []string{}, Audit: policy.audit,
		Parameters: append([]string{}, policy.parameters...), Unplanned: policy.unplanned,
	}
	if policy.request != nil {
		answer.Request = sorted(policy.request).names
	}
	if policy.lookupsKnown {
		answer.Inventory = append([]Lookup{}, policy.lookups...)
	}
	return answer, nil
}

// What a policy's Rego may have: OPA's parser and compiler take up to a
// kilobyte for each byte, and time that grows with the square of a body.
const (
	maxSource      = 256 << 10 // bytes of all modules: no larger object can be applied with kubectl
	maxExpressions = 1000      // expressions of one body
)

func compilePolicy(r compileRequest) (*Policy, []PolicyFault) {
	caps := capabilities()
	size := 0
	modules := map[string]*ast.Module{}
	var entry ast.Ref
	for i, m := range r.Modules {
		if size += len(m.Source); size > maxSource {
			return nil, []PolicyFault{{File: m.Name, Row: 1, Col: 1, Message: fmt.Sprintf(
				"the Rego, libraries included, is longer than %d KiB: give lists of values as parameters", maxSource>>10)}}
		}
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
		if at := longBody(parsed); at != nil {
			return nil, []PolicyFault{{File: m.Name, Row: at.Row, Col: at.Col, Message: fmt.Sprintf(
				"a body has more than %d expressions: divide it among several rules", maxExpressions)}}
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
	sees := readsOf(compiler, entry.String())
	policy.parameters = slices.Sorted(maps.Keys(sees.parameters.keys))
	policy.reads, policy.useInventory, policy.lookupsKnown = sees.document, sees.inventory != nil, true
	if policy.useInventory {
		policy.lookups, policy.lookupsKnown = lookupsOf(sees.inventory)
	}
	policy.request, policy.audit = requestOf(sees.review), sees.audit
	policy.enumerates = sees.review == nil || sees.review.whole || sees.review.any != nil
	policy.reads.settle()
	policy.pure = pure(compiler)
	policy.visible = visibleFieldsOf(policy, sees.review)
	if evaluator != byTopdown {
		if indexed := indexedComprehension(compiler); indexed != nil {
			policy.unplanned = fmt.Sprintf("OPA indexes the comprehension at %s:%d", indexed.File, indexed.Row)
		} else if policy.program, err = plan.Compile(compiler, query, "parameters"); err != nil {
			policy.unplanned = err.Error()
		}
	}
	// Last, since all else goes over the rules as they were written.
	policy.tells = tellFound(compiler, entry)
	return policy, nil
}

// indexedComprehension is the place of a comprehension that topdown evaluates
// once for all values that its body may begin with. Then a built-in can fail for
// a value that the rule never asks about, which a plan would not tell.
func indexedComprehension(compiler *ast.Compiler) *ast.Location {
	var found *ast.Location
	for _, module := range compiler.Modules {
		ast.WalkTerms(module, func(term *ast.Term) bool {
			if found == nil && compiler.ComprehensionIndex(term) != nil {
				found = term.Location
			}
			return found != nil
		})
	}
	return found
}

// longBody is the place of a body that has too many expressions.
func longBody(module *ast.Module) *ast.Location {
	var found *ast.Location
	ast.WalkBodies(module, func(body ast.Body) bool {
		if len(body) > maxExpressions && found == nil {
			found = body.Loc()
		}
		return found != nil
	})
	return found
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
	late     bool // stopped at its deadline
	cut      bool // ended after enough findings: there may be more
}

// patience is how long to evaluate, and what to make of an evaluation that does not end.
type patience struct {
	deadline time.Duration
	extra    time.Duration // that it may go on, once stopped, within a built-in that nothing stops
	brief    bool          // one that is stopped is put off: its policy has not run into its deadline yet
	partial  bool          // the deadline is less than an evaluation may take by itself: other ones had their part
	anyway   bool          // evaluate it however often the policy has run into its deadline before
	early    bool          // what is found by the deadline counts, as it must at admission
	enough   int           // with early, findings after which the evaluation ends; 0 for no bound
	topdown  bool          // by topdown: it is tried again, since the memory ran short, or compared
	aside    bool          // it is compared alone: what stops it counts for nothing
}

// evaluate runs the policy over one review. Built-ins that fail are undefined
// to the rule, as in Gatekeeper, and told as faults besides: a rule that fails
// at run time must not look like a pass.
func (p *Policy) evaluate(guard *Guard, of *subject, parameters *parameterSet, data *snapshot, limits patience) (out *outcome) {
	if !limits.anyway && !limits.aside && p.trips.tripped(of.fields) {
		return &outcome{faults: []string{fmt.Sprintf("not evaluated: the policy ran into its deadline %d times with objects that are no larger", maxTrips)}}
	}
	defer func() {
		if r := recover(); r != nil {
			out = &outcome{faults: []string{fmt.Sprintf("the evaluation crashed: %v", r)}}
		}
	}()
	question := question{of: of, parameters: parameters, data: data, limits: limits, at: time.Now()}
	out, why := p.evaluated(guard, question)
	switch why {
	case overMemory:
		out.starved = true
		out.faults = append(out.faults, fmt.Sprintf("the evaluation needed more than %d MiB of memory", guard.limit>>20))
	case overTime:
		out.late = true
		// One that found something is worth trying again.
		switch {
		case limits.aside:
		case limits.brief:
			p.trips.slow()
		case len(out.findings) == 0:
			p.trips.add(of.fields, limits.partial || limits.anyway)
		}
		out.faults = append(out.faults, fmt.Sprintf("the evaluation took longer than %s", limits.deadline.Round(time.Millisecond)))
	}
	slices.Sort(out.faults)
	out.faults = slices.Compact(out.faults)
	return out
}

// timed is what an evaluator finds within the deadline, and what stopped it.
func (p *Policy) timed(guard *Guard, q question, by func(question) (*outcome, bool)) (*outcome, reason) {
	running := guard.begin(p.id, q.limits.deadline, guard.grace+q.limits.extra)
	defer guard.end(running)
	q.cancel = running.cancel
	out, cancelled := by(q)
	if !cancelled {
		return out, finished
	}
	return out, guard.end(running)
}

// question is one evaluation, by whichever evaluator.
type question struct {
	of         *subject
	parameters *parameterSet
	data       *snapshot
	limits     patience
	cancel     topdown.Cancel
	at         time.Time // that rules see
}

// byTopdown is what OPA's own evaluator finds, and whether it was cancelled.
func (p *Policy) byTopdown(q question) (out *outcome, cancelled bool) {
	out = &outcome{}
	input, err := p.inputOf(q.of.fields, q.parameters.native)
	if err != nil {
		return &outcome{faults: []string{err.Error()}}, false
	}
	store, txn, err := q.data.storage()
	if err != nil {
		return &outcome{faults: []string{err.Error()}}, false
	}
	var builtinErrors []topdown.Error
	ctx := context.Background()
	early := &found{violations: ast.NewSet(), enough: q.limits.enough}
	if q.limits.early && p.tells {
		ctx = early.within(ctx)
	}
	query := topdown.NewQuery(p.query).
		WithCompiler(p.compiler).
		WithStore(store).
		WithTransaction(txn).
		WithInput(input).
		WithTime(q.at).
		WithCancel(q.cancel).
		WithBuiltins(foundBuiltins).
		WithInterQueryBuiltinValueCache(p.values).
		WithBuiltinErrorList(&builtinErrors)
	err = query.Iter(ctx, func(result topdown.QueryResult) error {
		switch value := result["result"].Value.(type) {
		case ast.Set:
			out.take(value)
		default:
			out.faults = append(out.faults, fmt.Sprintf("violation is %s, not a set", ast.ValueName(value)))
		}
		return nil
	})
	cancelled = topdown.IsCancel(err)
	switch {
	case cancelled:
		out.take(early.violations)
	case errors.Is(err, errEnough):
		out.take(early.violations)
		out.cut = true
	case err != nil:
		out.faults = append(out.faults, evalMessage(err))
	}
	for i := range builtinErrors {
		out.faults = append(out.faults, evalMessage(&builtinErrors[i]))
	}
	return out, cancelled
}

// take adds a set of violations to what was found.
func (out *outcome) take(violations ast.Set) {
	for _, term := range violations.Slice() {
		one, err := findingOf(term.Value)
		if err != nil {
			out.faults = append(out.faults, err.Error())
			continue
		}
		out.findings = append(out.findings, one)
	}
}

// A policy that ran into its deadline this often is not tried again for a
// while: with a loop in it, every one of 10,000 Pods would wait for it. Smaller
// objects than those that it ran into it with are still judged: else whoever
// sends three large ones would switch the policy off for everybody.
const (
	maxTrips    = 3
	tripsExpire = time.Minute
)

type trips struct {
	mu     sync.Mutex
	seen   []trip
	slowAt time.Time   // when an evaluation last was not quick
	ends   bool        // an evaluation that was put off has ended by itself
	quick  atomic.Bool // one was quick
}

// trip is one evaluation that took too long: when, and the class of its input.
type trip struct {
	at      time.Time
	class   int
	partial bool // it had less time than it may take: it only comes last from now on
}

func (t *trips) add(review map[string]any, partial bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.expire()
	t.seen = append(t.seen, trip{at: time.Now(), class: classOf(review), partial: partial})
}

// slow notes that an evaluation was not quick.
func (t *trips) slow() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.slowAt = time.Now()
}

// ended notes that an evaluation ended by itself, and whether it was quick.
func (t *trips) ended(quick bool) {
	if quick {
		if !t.quick.Load() {
			t.quick.Store(true)
		}
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.ends = true
}

func (t *trips) expire() {
	t.seen = slices.DeleteFunc(t.seen, func(one trip) bool { return time.Since(one.at) > tripsExpire })
}

// tripped tells whether there were enough trips with inputs of the class of
// this one, or of a smaller class.
func (t *trips) tripped(review map[string]any) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.expire()
	if len(t.seen) < maxTrips {
		return false
	}
	class, count := classOf(review), 0
	for _, one := range t.seen {
		if one.class <= class && !one.partial {
			count++
		}
	}
	return count >= maxTrips
}

// recent tells whether the policy was not quick, or ran into its deadline, lately, with any input.
func (t *trips) recent() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.late() || !t.slowAt.IsZero() && time.Since(t.slowAt) <= tripsExpire
}

// late tells whether the policy ran into its deadline lately. The caller holds the lock.
func (t *trips) late() bool {
	return len(t.seen) > 0 && time.Since(t.seen[len(t.seen)-1].at) <= tripsExpire
}

// classOf is the size class of an input: 0 up to smallValues values, and one
// more for each time that there are four times as many. Classes, not sizes: an
// endless policy must not be tried with each object that is a little smaller.
func classOf(review map[string]any) int {
	class := 0
	for count := countValues(review) / smallValues; count > 0; count /= 4 {
		class++
	}
	return class
}

// smallValues: ordinary objects have some hundreds. A rule that compares each
// with each other one takes some 10 ms with so many.
const smallValues = 1000

// countValues counts texts, numbers, lists and objects; a long text counts more.
func countValues(value any) int {
	count := 1
	switch value := value.(type) {
	case string:
		count += len(value) / 64
	case []any:
		for _, entry := range value {
			count += countValues(entry)
		}
	case map[string]any:
		for _, entry := range value {
			count += countValues(entry)
		}
	}
	return count
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
