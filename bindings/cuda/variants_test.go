package cuda_test

import (
	"fmt"
	"maps"
	"math"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"qlora/bindings/conformance"
	"qlora/bindings/cuda"
	"qlora/bindings/cuda/cudatest"
)

// small is the maximum number of elements of rows that run in every order of blocks and
// threads, smallest that of rows that other variants run in every order. encodings is how
// many of the weight's each of these rows runs with: an order concerns how threads wait for
// each other, which no encoding changes.
const small, smallest, encodings = 1 << 17, 1 << 14, 2

// TestConformance runs the suite on the emulator, which reports accesses that a GPU would
// silently get wrong: all rows in ascending order of blocks and threads, small rows also
// in other orders; then the kernels that the suite's shapes do not select. Every kernel of
// the library must have been launched in every order.
func TestConformance(t *testing.T) {
	table := launches{}
	for _, schedule := range []uint64{0, 1, 20240229} {
		t.Run(fmt.Sprintf("schedule %d", schedule), func(t *testing.T) {
			run := table.begin(cuda.Options{Emulated: true}, schedule)
			var choice conformance.Choice
			if schedule > 0 {
				choice.Elements, choice.Encodings = small, encodings
			}
			run.suite(t, "", choice)
			run.variants(t)
			run.finish(t)
		})
	}
	t.Logf("launches on the emulator, by schedule:\n%s", table)
}

// TestConformanceOnGPU runs the same on a GPU.
func TestConformanceOnGPU(t *testing.T) {
	table := launches{}
	run := table.begin(cuda.Options{}, 0)
	run.suite(t, "", conformance.Choice{})
	run.variants(t)
	run.finish(t)
	t.Logf("launches on the GPU:\n%s", table)
}

// launches are how often each kernel was launched, in each run.
type launches map[string][]int64

// A coverage is a run of the suite and of variants, and the launches on its devices.
type coverage struct {
	table    launches
	options  cuda.Options
	schedule uint64
	column   int
	partial  bool // the test's -run pattern skipped something
}

// begin adds a column to the table.
func (l launches) begin(options cuda.Options, schedule uint64) *coverage {
	run := &coverage{table: l, options: options, schedule: schedule}
	for _, counts := range l {
		run.column = max(run.column, len(counts))
	}
	return run
}

// on runs a part of the test on a device that prefers a variant, and returns the launches
// there, which it adds to the column.
func (r *coverage) on(t *testing.T, variant string, run func(*cuda.Device)) []cuda.Counts {
	options := r.options
	options.Variant = variant
	d := cudatest.Open(t, options)
	require.NoError(t, d.Schedule(r.schedule))
	run(d)
	counts, err := d.Counts()
	require.NoError(t, err)
	for _, c := range counts {
		row := slices.Clone(r.table[c.Kernel])
		for len(row) <= r.column {
			row = append(row, 0)
		}
		row[r.column] += c.Launches
		r.table[c.Kernel] = row
	}
	return counts
}

// suite runs rows of the suite with a variant.
func (r *coverage) suite(t *testing.T, variant string, choice conformance.Choice) {
	r.on(t, variant, func(d *cuda.Device) {
		whole := conformance.RunSome(t, d, conformance.BFloat16, choice)
		r.partial = r.partial || !whole
	})
}

// step runs a part of the test, unless the -run pattern skips it.
func (r *coverage) step(t *testing.T, name string, run func(*testing.T)) {
	begun := false
	t.Run(name, func(t *testing.T) {
		begun = true
		run(t)
	})
	r.partial = r.partial || !begun
}

// variants runs what the suite's shapes do not select: weights decoded in chunks, the
// kernels for operands that are not aligned, the general instances, and every tile of
// products, which must give the same bits.
func (r *coverage) variants(t *testing.T) {
	brief, some := r.schedule > 0, small
	if brief {
		some = smallest
	}
	r.step(t, "chunks", func(t *testing.T) {
		r.on(t, "", func(d *cuda.Device) {
			d.SetDecoded(1) // 128 rows or columns at a time
			conformance.RunSome(t, d, conformance.BFloat16, conformance.Choice{Operations: []string{"Project", "HeadLoss"}, Elements: some, Encodings: encodings})
		})
	})
	for variant, operations := range map[string][]string{
		"elements": {"Embed", "Norm", "Extend", "Rows", "Copy"},
		"general":  {"Norm", "Attend"},
	} {
		r.step(t, variant, func(t *testing.T) {
			r.suite(t, variant, conformance.Choice{Operations: operations, Elements: some})
		})
	}
	held := conformance.Bits{}
	for _, tile := range r.tiles(t) {
		r.step(t, tile, func(t *testing.T) {
			counts := r.on(t, tile, func(d *cuda.Device) { conformance.RunTiles(t, d, conformance.BFloat16, held, brief) })
			for _, c := range counts {
				if m := product.FindStringSubmatch(c.Kernel); m != nil && m[2] == tile {
					assert.Positive(t, c.Launches, "%s is preferred, but was not launched", c.Kernel)
				}
			}
		})
	}
}

// product matches the kernels of products: the list of variants, and the tile.
var product = regexp.MustCompile(`^gemm_(nt|nn|tn|nt_coded|nn_coded)_(\d+x\d+)$`)

// tiles returns the tiles of all lists of variants.
func (r *coverage) tiles(t *testing.T) []string {
	counts, err := cudatest.Open(t, r.options).Counts()
	require.NoError(t, err)
	var tiles []string
	for _, c := range counts {
		if m := product.FindStringSubmatch(c.Kernel); m != nil && !slices.Contains(tiles, m[2]) {
			tiles = append(tiles, m[2])
		}
	}
	require.NotEmpty(t, tiles)
	return tiles
}

// finish fails the test if a kernel was never launched, after a run of everything.
func (r *coverage) finish(t *testing.T) {
	if r.partial || t.Failed() {
		return
	}
	var never []string
	least := int64(math.MaxInt64)
	for kernel, counts := range r.table {
		if least = min(least, counts[r.column]); counts[r.column] == 0 {
			never = append(never, kernel)
		}
	}
	slices.Sort(never)
	assert.Empty(t, never, "kernels that no row launched")
	t.Logf("%d kernels, each launched %d times or more", len(r.table), least)
}

// String returns a line for each kernel.
func (l launches) String() string {
	var text strings.Builder
	for _, kernel := range slices.Sorted(maps.Keys(l)) {
		fmt.Fprintf(&text, "%-36s", kernel)
		for _, n := range l[kernel] {
			fmt.Fprintf(&text, "%7d", n)
		}
		text.WriteByte('\n')
	}
	return text.String()
}

// TestSampledProjectOnGPU runs a projection of Llama 3.1 8B, which decodes the weight in
// chunks and multiplies by the largest tiles.
func TestSampledProjectOnGPU(t *testing.T) {
	d := cudatest.GPU(t)
	conformance.RunSampled(t, d, conformance.BFloat16, conformance.Projection{Tokens: 2048, In: 4096, Out: 14336, Rank: 16})
	requireLaunched(t, d, "decode_bf16", "decode_bf16_columns", "gemm_nt_128x256", "gemm_nn_128x256")
}

// TestSampledProject does the same at a smaller shape on an emulator of one processor, for
// which the largest tiles are best.
func TestSampledProject(t *testing.T) {
	d := cudatest.Open(t, cuda.Options{Emulated: true, Processors: 1})
	d.SetDecoded(2 * 576 * 256)
	conformance.RunSampled(t, d, conformance.BFloat16, conformance.Projection{Tokens: 264, In: 512, Out: 576, Rank: 16})
	requireLaunched(t, d, "decode_bf16", "decode_bf16_columns", "gemm_nt_128x256", "gemm_nn_128x256")
}

func requireLaunched(t *testing.T, d *cuda.Device, kernels ...string) {
	t.Helper()
	counts, err := d.Counts()
	require.NoError(t, err)
	for _, c := range counts {
		if slices.Contains(kernels, c.Kernel) {
			assert.Positive(t, c.Launches, "launches of %s", c.Kernel)
		}
	}
}
