package cuda

import (
	"errors"
	"fmt"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"qlora/bench/gpu/plan"
)

// BenchmarkKernels times kernels and operations on a GPU: bench/gpu has the plan and
// compares the results with those of other programs. An iteration is a block of calls;
// ns/op is the time per call of the median block.
//
// %limit is the minimum possible time as a share of the measured one. The minimum is the
// larger of the bytes at the measured rate of a copy on the device, and the operations at
// the data sheet's rate of the tensor cores.
func BenchmarkKernels(b *testing.B) {
	d, err := New(Options{})
	if missing := errors.Is(err, ErrNoLibrary) || errors.Is(err, ErrNoDevice); missing && os.Getenv("QLORA_REQUIRE_CUDA") == "" {
		b.Skip(err)
	}
	if err != nil {
		b.Fatal(err)
	}
	defer func() { require.NoError(b, d.Close()) }()
	bed, err := newBed(d)
	require.NoError(b, err)
	defer bed.close()
	fmt.Printf("device: %s\n%s\n", bed.info.name, bed)
	for _, m := range measurements() {
		b.Run(m.Name(), func(b *testing.B) { benchmark(b, bed, m) })
	}
}

// BenchmarkKernelsSmallOnEmulator runs the same code at small shapes on the emulator. Its
// times are meaningless.
func BenchmarkKernelsSmallOnEmulator(b *testing.B) {
	bed := emulatedBed(b)
	fmt.Println("device: emulator")
	for _, m := range small(measurements()) {
		b.Run(m.Name(), func(b *testing.B) { benchmark(b, bed, m) })
	}
}

// TestKernelsAreMeasured runs all measurements once on the emulator.
func TestKernelsAreMeasured(t *testing.T) {
	bed := emulatedBed(t)
	for _, m := range small(measurements()) {
		t.Run(m.Name(), func(t *testing.T) {
			s, err := bed.subject(m)
			require.NoError(t, err)
			defer s.close()
			_, err = s.block(1)
			require.NoError(t, err)
			operations, bytes := costOf(m)
			require.Positive(t, bytes)
			require.GreaterOrEqual(t, operations, 0.)
		})
	}
}

func emulatedBed(t testing.TB) *bed {
	d := openEmulator(t)
	bed, err := newBed(d)
	require.NoError(t, err)
	t.Cleanup(bed.close)
	return bed
}

const (
	blockTime = 4 * time.Millisecond // target time of a block of calls
	mostCalls = 500                  // per block: the queue of launches is bounded
	warmUps   = 3                    // blocks before the measured ones
)

func benchmark(b *testing.B, bed *bed, m plan.Measurement) {
	s, err := bed.subject(m)
	require.NoError(b, err)
	defer s.close()
	n := 1
	if !bed.d.emulated {
		for range 2 { // the first one loads the kernels
			ms, err := s.block(len(s.calls))
			require.NoError(b, err)
			n = max(1, min(mostCalls, int(blockTime.Seconds()*1e3/max(ms, 1e-4))))
		}
		for range warmUps {
			_, err := s.block(n)
			require.NoError(b, err)
		}
	}
	var blocks []float64
	for b.Loop() {
		ms, err := s.block(n)
		require.NoError(b, err)
		blocks = append(blocks, ms)
	}
	slices.Sort(blocks)
	middle := (blocks[(len(blocks)-1)/2] + blocks[len(blocks)/2]) / 2
	operations, bytes := costOf(m)
	b.ReportMetric(middle*1e6, "ns/op")
	b.ReportMetric(bytes/middle/1e6, "GB/s")
	if operations > 0 {
		b.ReportMetric(operations/middle/1e9, "TFLOP/s")
	}
	if least := bed.least(operations, bytes); least > 0 {
		b.ReportMetric(100*least/middle, "%limit")
	}
}

// small returns the measurements at small shapes for the emulator, each once.
func small(all []plan.Measurement) []plan.Measurement {
	most := map[string]int64{
		"bytes": 1 << 16, "in": 128, "out": 192, "tokens": 48, "heads": 4, "kv_heads": 2, "vocabulary": 1000, "tensors": 4,
		"width": 192, "rank": 16, "elements": 1 << 14,
	}
	var some []plan.Measurement
	seen := map[string]bool{}
	for _, m := range all {
		m.Shape = slices.Clone(m.Shape)
		for i, f := range m.Shape {
			if n, ok := most[f.Name]; ok {
				m.Shape[i].Value = min(f.Value, n)
			}
		}
		for i, f := range m.Shape {
			if f.Name == "parameters" {
				m.Shape[i].Value = parameters(tensorsOf(m))
			}
		}
		if !seen[m.Name()] {
			seen[m.Name()] = true
			some = append(some, m)
		}
	}
	return some
}
