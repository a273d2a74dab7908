// Command hammer posts AdmissionReviews to a webhook over TLS, on some
// connections, as fast as they are answered or at a fixed rate, and prints what
// it measured as one JSON object.
package main

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"flag"
	"fmt"
	neturl "net/url"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

type result struct {
	Reviews int     `json:"reviews"`
	Denied  int     `json:"denied"`
	Failed  int     `json:"failed"`
	Seconds float64 `json:"seconds"`
	Rate    float64 `json:"rate"` // reviews a second
	// Milliseconds from when a review was due to its answer. At a fixed rate a
	// review that had to wait for a connection has waited too.
	P50    float64 `json:"p50"`
	P90    float64 `json:"p90"`
	P99    float64 `json:"p99"`
	Max    float64 `json:"max"`
	Sample string  `json:"sample"` // an answer, or the first failure
}

func main() {
	url := flag.String("url", "", "the webhook")
	ca := flag.String("ca", "", "file with the CA certificate")
	file := flag.String("reviews", "", "file with an AdmissionReview per line")
	connections := flag.Int("connections", 8, "connections")
	rate := flag.Float64("rate", 0, "reviews a second; 0: as many as are answered")
	seconds := flag.Float64("seconds", 5, "how long")
	mark := flag.String("mark", "", "a text in the reviews in whose place each gets a number that no other has had")
	count := flag.Int("count", 0, "how many reviews; 0: as many as there is time for")
	flag.Parse()
	out, err := hammer(*url, *ca, *file, *mark, *connections, *rate, *seconds, *count)
	if err != nil {
		fmt.Fprintln(os.Stderr, "hammer:", err)
		os.Exit(1)
	}
	_ = json.NewEncoder(os.Stdout).Encode(out)
}

func hammer(url, ca, file, mark string, connections int, rate, seconds float64, count int) (*result, error) {
	pem, err := os.ReadFile(ca)
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%s holds no certificate", ca)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	bodies := bytes.Split(bytes.TrimSpace(text), []byte("\n"))
	address, err := neturl.Parse(url)
	if err != nil {
		return nil, err
	}

	var (
		next    atomic.Int64
		mu      sync.Mutex
		all     []float64
		out     result
		workers sync.WaitGroup
	)
	began := time.Now()
	end := began.Add(time.Duration(seconds * float64(time.Second)))
	for range connections {
		workers.Go(func() {
			caller := &caller{url: address, tls: &tls.Config{RootCAs: roots, ServerName: address.Hostname()}}
			defer caller.close()
			var took []float64
			var denied, failed int
			var sample string
			for {
				number := next.Add(1) - 1
				if count > 0 && number >= int64(count) {
					break
				}
				due := time.Now()
				if rate > 0 {
					due = began.Add(time.Duration(float64(number) / rate * float64(time.Second)))
					time.Sleep(time.Until(due))
				}
				if count == 0 && due.After(end) {
					break
				}
				body := bodies[int(number)%len(bodies)]
				if mark != "" {
					// The nanoseconds tell this run from others.
					body = bytes.ReplaceAll(body, []byte(mark), fmt.Appendf(nil, "%d-%d", began.UnixNano(), number))
				}
				answer, allowed, err := caller.post(body)
				took = append(took, float64(time.Since(due).Microseconds())/1000)
				switch {
				case err != nil:
					failed++
					sample = err.Error()
				case !allowed:
					denied++
				}
				if sample == "" {
					sample = string(answer)
				}
			}
			mu.Lock()
			defer mu.Unlock()
			all = append(all, took...)
			out.Denied += denied
			out.Failed += failed
			if out.Sample == "" || failed > 0 {
				out.Sample = sample
			}
		})
	}
	workers.Wait()
	out.Seconds = time.Since(began).Seconds()
	out.Reviews = len(all)
	out.Rate = float64(len(all)) / out.Seconds
	if len(all) > 0 {
		slices.Sort(all)
		at := func(share float64) float64 { return all[min(len(all)-1, int(share*float64(len(all))))] }
		out.P50, out.P90, out.P99, out.Max = at(0.50), at(0.90), at(0.99), all[len(all)-1]
	}
	return &out, nil
}
