package main

import (
	"context"
	"slices"
	"sync"

	"github.com/open-policy-agent/opa/v1/storage"
	"github.com/open-policy-agent/opa/v1/storage/inmem"
)

// Inventory is data.inventory, the other objects that referential rules read,
// in Gatekeeper's shape: namespace.<ns>.<groupVersion>.<kind>.<name> and
// cluster.<groupVersion>.<kind>.<name>.
type Inventory struct {
	mu      sync.Mutex
	objects map[string]any // of data, so {"inventory": …}
	store   storage.Store  // made from objects when first asked for
	empty   storage.Store
}

func newInventory() *Inventory {
	return &Inventory{
		objects: map[string]any{"inventory": map[string]any{"namespace": map[string]any{}, "cluster": map[string]any{}}},
		empty:   inmem.New(),
	}
}

type inventoryRequest struct {
	Batch string   `json:"batch"`
	Kinds []string `json:"kinds"` // as "group/kind"
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
	inventory := e.inventory.objects["inventory"].(map[string]any)
	added := 0
	for _, d := range batch.documents {
		if d.Parent != nil || !slices.Contains(r.Kinds, groupOf(d.APIVersion)+"/"+d.Kind) {
			continue
		}
		added++
		var path []string
		if d.Namespace != "" {
			path = []string{"namespace", d.Namespace, d.APIVersion, d.Kind}
		} else {
			path = []string{"cluster", d.APIVersion, d.Kind}
		}
		at := inventory
		for _, key := range path {
			next, ok := at[key].(map[string]any)
			if !ok {
				next = map[string]any{}
				at[key] = next
			}
			at = next
		}
		at[d.Name] = d.object
	}
	e.inventory.store = nil
	return map[string]any{"added": added}, nil
}

// snapshot is a store with a read transaction that evaluations share.
type snapshot struct {
	store storage.Store
	txn   storage.Transaction
}

func (i *Inventory) snapshot(needed bool) (*snapshot, error) {
	store := i.empty
	if needed {
		store = i.current()
	}
	txn, err := store.NewTransaction(context.Background())
	if err != nil {
		return nil, err
	}
	return &snapshot{store: store, txn: txn}, nil
}

func (i *Inventory) current() storage.Store {
	i.mu.Lock()
	defer i.mu.Unlock()
	if i.store == nil {
		i.store = inmem.NewFromObjectWithOpts(i.objects, inmem.OptReturnASTValuesOnRead(true))
	}
	return i.store
}

func (s *snapshot) close() { s.store.Abort(context.Background(), s.txn) }
