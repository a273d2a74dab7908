// Command aksp-engine parses Kubernetes documents and evaluates Rego over
// them with OPA. It knows no assignment, scope or exemption: those belong to
// its parent, the Python package aksp, which speaks to it over stdin and
// stdout in the frames that README.md describes. It opens no file and no
// socket.
package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"sync"
	"syscall"
	"time"

	"github.com/open-policy-agent/opa/v1/version"
)

func main() {
	showVersion := flag.Bool("version", false, "print the versions of the engine and of OPA")
	flag.Parse()
	if *showVersion {
		fmt.Printf("aksp-engine protocol %d, OPA %s, %s\n", protocolVersion, version.Version, runtime.Version())
		return
	}
	if err := errors.Join(limitsFromEnv(), checkEvaluator()); err != nil {
		fmt.Fprintln(os.Stderr, "aksp-engine:", err)
		os.Exit(2)
	}
	engine := newEngine()
	// One of Go's processors more than evaluate, for who reads and answers meanwhile. What waits in the kernel for a request
	// keeps none of them, since it is read through Go's poller: the runtime's monitor needs not look every 20 µs whether
	// it has come back, which takes a seventh of the time of a review, and work does not wait up to 10 ms for it to look.
	runtime.GOMAXPROCS(cap(engine.slots) + 1)
	_ = syscall.SetNonblock(syscall.Stdin, true)
	if err := serve(engine, os.NewFile(uintptr(syscall.Stdin), "stdin"), os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "aksp-engine:", err)
		os.Exit(1)
	}
}

// limitsFromEnv applies AKSP_ENGINE_PROCS (threads that evaluate) and
// AKSP_ENGINE_MEMORY (bytes, a soft limit for the garbage collector). They
// come by environment because the parent starts the child with nothing else.
func limitsFromEnv() error {
	if text := os.Getenv("AKSP_ENGINE_PROCS"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 1 {
			return fmt.Errorf("AKSP_ENGINE_PROCS is %q, not a positive number", text)
		}
		runtime.GOMAXPROCS(n)
	}
	if text := os.Getenv("AKSP_ENGINE_MEMORY"); text != "" {
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil || n < 1<<20 {
			return fmt.Errorf("AKSP_ENGINE_MEMORY is %q, not a number of bytes of at least 1 MiB", text)
		}
		debug.SetMemoryLimit(n)
	}
	return nil
}

// reply is the header of an answer.
type reply struct {
	ID     uint64 `json:"id"`
	Result any    `json:"result,omitempty"`
	Error  string `json:"error,omitempty"`
	Code   string `json:"code,omitempty"`
}

// farewell is how long answers under way are waited for when the parent has
// closed the pipe. It may have been killed, and some evaluations never end.
const farewell = 2 * time.Second

// hugeReview is a size in bytes from which on a review is worth collecting
// garbage for, which takes some 20 ms.
const hugeReview = 512 << 10

// serve answers frames until the parent closes the pipe. Each request has a
// goroutine for itself, so answers may come in another order than requests; the
// id ties them together.
func serve(engine *Engine, in io.Reader, out io.Writer) error {
	var (
		writing sync.Mutex
		workers = newWorkers()
		writer  = bufio.NewWriterSize(out, 1<<16)
	)
	answer := func(id uint64, result any, err error) {
		made := reply{ID: id}
		var body []byte
		if parted, ok := result.(interface{ body() ([]byte, error) }); ok && err == nil {
			body, err = parted.body()
		}
		if err != nil {
			made.Error = err.Error()
			var coded *codedError
			if errors.As(err, &coded) {
				made.Code = coded.code
			}
		} else {
			made.Result = result
		}
		writing.Lock()
		defer writing.Unlock()
		if err := writeFrame(writer, made, body); err != nil {
			// A result that cannot be encoded must not look like silence.
			_ = writeFrame(writer, reply{ID: id, Error: "encoding the answer: " + err.Error()}, nil)
		}
		_ = writer.Flush()
	}
	reader := bufio.NewReaderSize(in, 1<<16)
	for {
		frame, err := readFrame(reader)
		if errors.Is(err, io.EOF) {
			ended := make(chan struct{})
			go func() { workers.end(); close(ended) }()
			select {
			case <-ended:
			case <-time.After(farewell):
			}
			return nil
		}
		if err != nil {
			return err
		}
		var request struct {
			ID uint64 `json:"id"`
			Op string `json:"op"`
		}
		if err := json.Unmarshal(frame.Header, &request); err != nil {
			return fmt.Errorf("frame header: %w", err)
		}
		workers.run(func() {
			result, err := engine.handle(request.Op, frame)
			answer(request.ID, result, err)
			if request.Op == "admit" && len(frame.Body) > hugeReview {
				// The next one must not come beside what this one has left.
				frame, result = Frame{}, nil
				debug.FreeOSMemory()
			}
		})
	}
}
