package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/storage"
	"github.com/open-policy-agent/opa/v1/storage/inmem"

	"aksp.dev/engine/plan"
)

// Inventory is data.inventory, the other objects that referential rules read,
// in Gatekeeper's shape: namespace.<ns>.<groupVersion>.<kind>.<name> and
// cluster.<groupVersion>.<kind>.<name>.
//
// Nothing that an evaluation has seen is ever changed: a change makes new
// values for what it touches, up to the root, and a new store around them. So
// evaluations go on with what they began with, and none waits for another.
type Inventory struct {
	mu      sync.Mutex
	root    *shelf        // with "namespace" and "cluster"
	changes int           // so far
	store   storage.Store // of root, nil after a change
	empty   storage.Store
}

// shelf is a level of the inventory: an object, or what lies below a key.
type shelf struct {
	below   map[string]*shelf // nil for an object
	object  map[string]any    // as it was decoded; of a level nil after a change below
	unusual bool              // object has numbers that are left to topdown
	value   ast.Value         // for topdown, nil until asked for and after a change below
}

func newShelf() *shelf { return &shelf{below: map[string]*shelf{}} }

func newInventory() *Inventory {
	root := newShelf()
	root.below["namespace"], root.below["cluster"] = newShelf(), newShelf()
	return &Inventory{root: root, empty: inmem.New()}
}

// built is the shelf's value; what has not changed since the last time is not
// made again.
func (s *shelf) built() (ast.Value, error) {
	if s.value != nil {
		return s.value, nil
	}
	if s.below == nil {
		value, err := ast.InterfaceToValue(s.object)
		if err != nil {
			return nil, err
		}
		s.value = value
		if evaluator == byTopdown {
			s.object = nil // nobody else asks for it
		}
		return value, nil
	}
	pairs := make([][2]*ast.Term, 0, len(s.below))
	for name, one := range s.below {
		value, err := one.built()
		if err != nil {
			return nil, err
		}
		pairs = append(pairs, [2]*ast.Term{ast.StringTerm(name), ast.NewTerm(value)})
	}
	s.value = ast.NewObject(pairs...)
	return s.value, nil
}

// decoded is the shelf's value for plans, as built is for topdown.
func (s *shelf) decoded() (map[string]any, bool) {
	if s.object != nil {
		return s.object, s.unusual
	}
	s.object, s.unusual = make(map[string]any, len(s.below)), false
	for name, one := range s.below {
		value, unusual := one.decoded()
		s.object[name], s.unusual = value, s.unusual || unusual
	}
	return s.object, s.unusual
}

// put sets the object at a path.
func (s *shelf) put(path []string, object map[string]any) {
	s.value, s.object = nil, nil
	if len(path) == 1 {
		s.below[path[0]] = &shelf{object: object, unusual: evaluator != byTopdown && !plan.Usual(object)}
		return
	}
	next := s.below[path[0]]
	if next == nil {
		next = newShelf()
		s.below[path[0]] = next
	}
	next.put(path[1:], object)
}

// drop removes the object at a path, and what is empty then: it must look as if
// it had never been there. The first levels stay. It tells whether there was one.
func (s *shelf) drop(path []string) bool {
	next := s.below[path[0]]
	if next == nil || len(path) > 1 && !next.drop(path[1:]) {
		return false
	}
	s.value, s.object = nil, nil
	if len(path) == 1 || len(next.below) == 0 {
		delete(s.below, path[0])
	}
	return true
}

// place is the path of an object.
func place(apiVersion, kind, namespace, name string) []string {
	if namespace != "" {
		return []string{"namespace", namespace, apiVersion, kind, name}
	}
	return []string{"cluster", apiVersion, kind, name}
}

// drop removes an object; the first level stays even when empty.
func (i *Inventory) drop(path []string) bool {
	gone := i.root.below[path[0]].drop(path[1:])
	if gone {
		i.root.value, i.root.object, i.store = nil, nil, nil
		i.changes++
	}
	return gone
}

func (i *Inventory) put(d *Document) {
	i.root.put(place(d.APIVersion, d.Kind, d.Namespace, d.Name), d.object)
	i.store = nil
	i.changes++
}

type inventoryRequest struct {
	Batch string   `json:"batch"`
	Kinds []string `json:"kinds"` // as "group/kind"; the group may be *
}

// amongKinds: whether one of some kinds, as "group/kind" with * for any group,
// is this one.
func amongKinds(kinds []string, group, kind string) bool {
	return len(kinds) > 0 && (slices.Contains(kinds, group+"/"+kind) || slices.Contains(kinds, "*/"+kind))
}

// addToInventory puts a batch's documents of some kinds into the inventory.
// They must have been loaded whole, since rules may read any part of them.
func (e *Engine) addToInventory(r inventoryRequest) (any, error) {
	batch, err := e.batch(r.Batch)
	if err != nil {
		return nil, err
	}
	e.inventory.mu.Lock()
	defer e.inventory.mu.Unlock()
	added := 0
	for _, d := range batch.documents {
		if d.Parent != nil || !amongKinds(r.Kinds, groupOf(d.APIVersion), d.Kind) {
			continue
		}
		added++
		e.inventory.put(d)
	}
	return map[string]any{"added": added}, nil
}

// storeRequest changes single objects: some go, then others come.
type storeRequest struct {
	Parts  []int       `json:"parts"` // lengths of objects in the body
	Remove []storedKey `json:"remove"`
}

// storedKey names an object.
type storedKey struct {
	APIVersion string `json:"apiVersion"`
	Kind       string `json:"kind"`
	Namespace  string `json:"namespace"`
	Name       string `json:"name"`
}

// storeObjects does all that a request says, or nothing.
func (e *Engine) storeObjects(r storeRequest, body []byte) (any, error) {
	documents := make([]*Document, len(r.Parts))
	at := 0
	for i, length := range r.Parts {
		if length < 0 || at+length > len(body) {
			return nil, fmt.Errorf("part %d reaches past the body", i)
		}
		document, err := storedDocument(body[at : at+length])
		if err != nil {
			return nil, fmt.Errorf("object %d for the inventory: %w", i, err)
		}
		documents[i], at = document, at+length
	}
	e.inventory.mu.Lock()
	defer e.inventory.mu.Unlock()
	removed := 0
	for _, key := range r.Remove {
		if e.inventory.drop(place(key.APIVersion, key.Kind, key.Namespace, key.Name)) {
			removed++
		}
	}
	stored := make([]storedKey, len(documents))
	for i, d := range documents {
		e.inventory.put(d)
		stored[i] = storedKey{APIVersion: d.APIVersion, Kind: d.Kind, Namespace: d.Namespace, Name: d.Name}
	}
	return map[string]any{"stored": stored, "removed": removed}, nil
}

func storedDocument(raw []byte) (*Document, error) {
	parsed, err := parseJSON(raw, everything(), trusted...)
	if err != nil {
		return nil, errors.New(jsonMessage(err))
	}
	object, ok := parsed.(map[string]any)
	if !ok {
		return nil, fmt.Errorf("it is %s, not an object", typeName(parsed))
	}
	d := &Document{object: object}
	d.APIVersion, _ = object["apiVersion"].(string)
	d.Kind, _ = object["kind"].(string)
	metadata, _ := object["metadata"].(map[string]any)
	d.Name, _ = metadata["name"].(string)
	d.Namespace, _ = metadata["namespace"].(string)
	if d.APIVersion == "" || d.Kind == "" || d.Name == "" {
		return nil, errors.New("it lacks apiVersion, kind or metadata.name")
	}
	return d, nil
}

// snapshot is the inventory as it was at one time, for evaluations that share it.
type snapshot struct {
	root    map[string]any // data, for plans
	unusual bool           // it has numbers that are left to topdown

	of      *Inventory
	changes int // of the inventory when it was taken
	needed  bool
	once    sync.Once
	store   storage.Store
	txn     storage.Transaction
	failed  error
}

func (i *Inventory) snapshot(needed bool) (*snapshot, error) {
	s := &snapshot{of: i, needed: needed}
	if !needed {
		return s, nil
	}
	i.mu.Lock()
	s.changes = i.changes
	if evaluator != byTopdown {
		var inventory map[string]any
		inventory, s.unusual = i.root.decoded()
		s.root = map[string]any{"inventory": inventory}
	}
	i.mu.Unlock()
	if evaluator == byTopdown {
		_, _, err := s.storage()
		return s, err
	}
	return s, nil
}

// storage is the store for topdown, with a read transaction, made when it is
// first asked for: most evaluations need none.
func (s *snapshot) storage() (storage.Store, storage.Transaction, error) {
	s.once.Do(func() {
		if s.store, s.failed = s.stored(); s.failed == nil {
			s.txn, s.failed = s.store.NewTransaction(context.Background())
		}
	})
	return s.store, s.txn, s.failed
}

func (s *snapshot) stored() (storage.Store, error) {
	if !s.needed {
		return s.of.empty, nil
	}
	s.of.mu.Lock()
	defer s.of.mu.Unlock()
	if s.root == nil || s.of.changes == s.changes {
		return s.of.current()
	}
	// It has changed since: of what it was there are only the decoded objects.
	value, err := ast.InterfaceToValue(s.root)
	if err != nil {
		return nil, err
	}
	return inmem.NewFromASTObject(value.(ast.Object)), nil
}

// current is the store of the inventory as it is, with its lock held.
func (i *Inventory) current() (storage.Store, error) {
	if i.store == nil {
		value, err := i.root.built()
		if err != nil {
			return nil, err
		}
		i.store = inmem.NewFromASTObject(ast.NewObject([2]*ast.Term{ast.InternedTerm("inventory"), ast.NewTerm(value)}))
	}
	return i.store, nil
}

func (s *snapshot) close() {
	if s.txn != nil {
		s.store.Abort(context.Background(), s.txn)
	}
}
