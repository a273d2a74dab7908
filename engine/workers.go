package main

import "sync"

// workers are goroutines that outlive a request. A new one begins with a small
// stack, and to grow it to what parsing and evaluating take costs a fifth of an
// admission review. There are as many as there are requests under way, and of
// those without work no more than keptWorkers.
type workers struct {
	work chan func()
	idle chan struct{} // holds one entry for each worker that may wait
	all  sync.WaitGroup
}

const keptWorkers = 32

func newWorkers() *workers {
	return &workers{work: make(chan func()), idle: make(chan struct{}, keptWorkers)}
}

// run does a job beside all others, in a worker that waits or in a new one.
func (w *workers) run(job func()) {
	select {
	case w.work <- job:
		return
	default:
	}
	w.all.Go(func() {
		for {
			job()
			select {
			case w.idle <- struct{}{}:
			default:
				return
			}
			var more bool
			job, more = <-w.work
			<-w.idle
			if !more {
				return
			}
		}
	})
}

// end waits for all jobs. None may be given any more.
func (w *workers) end() {
	close(w.work)
	w.all.Wait()
}
