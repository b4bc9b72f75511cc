package main

import (
	"bufio"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"qlora/bench/gpu/plan"
)

// ours is the output of `go test -bench`: lines of "key: value" about the machine, and
// results. A result's name is Benchmark.../MEASUREMENT with a measurement of the plan;
// any other result is reported unchanged.
type ours struct {
	device string          // from "device: NVIDIA H100 80GB HBM3", which our benchmarks print
	driver string          // from "driver: 580.95.05", which run.sh adds
	failed bool            // a benchmark failed; others may be missing
	runs   map[string]runs // results of the plan by the measurement's name
	others []other         // in order
}

// runs are the results of one benchmark: milliseconds, and per cent of the device's
// limit if known.
type runs struct{ ms, limit []float64 }

// An other is a result that is not in the plan, with its metrics.
type other struct {
	Name    string             `json:"name"`
	Metrics map[string]float64 `json:"metrics"` // by unit; "ms" is the time of one
}

// processors matches the suffix that `go test` appends to a name.
var processors = regexp.MustCompile(`-\d+$`)

func readOurs(r io.Reader) (*ours, error) {
	o := &ours{runs: map[string]runs{}}
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		line := lines.Text()
		words := strings.Fields(line)
		switch {
		case strings.HasPrefix(line, "device: "):
			o.device = strings.TrimSpace(line[len("device: "):])
		case strings.HasPrefix(line, "driver: "):
			o.driver = strings.TrimSpace(line[len("driver: "):])
		case strings.HasPrefix(line, "FAIL"), strings.HasPrefix(strings.TrimSpace(line), "--- FAIL"), strings.HasPrefix(line, "panic:"):
			o.failed = true
		case len(words) >= 4 && strings.HasPrefix(line, "Benchmark"):
			if err := o.result(words); err != nil {
				return nil, err
			}
		}
	}
	return o, lines.Err()
}

// result parses a line: name, iterations, and pairs of a value and its unit.
func (o *ours) result(words []string) error {
	if len(words)%2 != 0 {
		return fmt.Errorf("not a benchmark result: %s", strings.Join(words, " "))
	}
	metrics := map[string]float64{}
	for i := 2; i < len(words); i += 2 {
		value, err := strconv.ParseFloat(words[i], 64)
		if err != nil {
			return fmt.Errorf("not a benchmark result: %s: %w", strings.Join(words, " "), err)
		}
		metrics[words[i+1]] = value
	}
	ns, ok := metrics["ns/op"]
	if !ok {
		return fmt.Errorf("a result without ns/op: %s", strings.Join(words, " "))
	}
	_, name, _ := strings.Cut(processors.ReplaceAllString(words[0], ""), "/")
	if m, err := plan.Parse(name); err == nil {
		r := o.runs[m.Name()]
		r.ms = append(r.ms, ns/1e6)
		if limit, ok := metrics["%limit"]; ok {
			r.limit = append(r.limit, limit)
		}
		o.runs[m.Name()] = r
		return nil
	} else if what, _, _ := strings.Cut(name, "/"); plan.Has(what) {
		return err // a result of the plan must not be lost
	}
	delete(metrics, "ns/op")
	metrics["ms"] = ns / 1e6
	o.others = append(o.others, other{strings.TrimPrefix(processors.ReplaceAllString(words[0], ""), "Benchmark"), metrics})
	return nil
}

// median returns the median, or 0 for an empty list.
func median(all []float64) float64 {
	if len(all) == 0 {
		return 0
	}
	all = slices.Sorted(slices.Values(all))
	n := len(all)
	return (all[(n-1)/2] + all[n/2]) / 2
}
