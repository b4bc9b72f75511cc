// Package conformance is the test suite for devices: a table of cases for each operation,
// with random inputs from a logged seed, compared with references in float64
// (reference_*.go). The references define the operations; their backward is checked
// against finite differences of their forward.
//
// Outputs are NaN before a call, to reveal reads of them, and every tensor is followed by
// a guard zone that must not change.
package conformance

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"qlora/bindings"
)

// Tolerances describe the precision of a device's arithmetic.
type Tolerances struct {
	Unit   float64 // unit roundoff of accumulation
	Stored float64 // unit roundoff of stored activations
	Codes  Backend // the bitsandbytes backend whose 4-bit codes it matches

	// Split is the unit roundoff of factors in matrix products, of a device that splits
	// float32 into parts to multiply it; 0 if it does not.
	Split float64
}

// Float32 is for a device that stores and sums everything in float32.
var Float32 = Tolerances{Unit: 0x1p-24, Stored: 0x1p-24, Codes: CPU}

// BFloat16 is for a GPU: bfloat16 activations, float32 sums. bfloat16 has 8 bits of
// precision, float32 has 24.
var BFloat16 = Tolerances{Unit: 0x1p-24, Stored: 0x1p-8, Codes: CUDA}

// SplitFloat32 is for a device that stores and sums everything in float32 but multiplies
// matrices as three products of bfloat16: x·y ~ hi·hi + hi·lo + lo·hi with hi = bf16(x) and
// lo = bf16(x - hi).
//
// What is missing of a product is lo·lo, x·(y - hi - lo) and (x - hi - lo)·y. hi and lo each
// have an error of up to u = 2^-8 of the number, with a standard deviation of 0.42·u: so
// relative to the product each of the three is at most u² and has a standard deviation of
// (0.42·u)², together 0.42²·sqrt(3)·u² = 0.31·u². That is less than the 0.42·Stored of
// stored numbers with Stored = u².
var SplitFloat32 = Tolerances{Unit: 0x1p-24, Stored: 0x1p-24, Codes: CPU, Split: 0x1p-16}

// relative returns the allowed error of a sum of k terms, relative to the larger of the
// root-mean-square of the results and the result itself.
//
// A sum of k terms with random signs has the size of sqrt(k) terms; each of its
// k additions rounds by up to Unit of the partial sum, and these errors add up
// like a random walk: Unit·sqrt(k) of the result. The largest of some thousand
// such errors is below 6 standard deviations, and 8 leaves room for operations
// that chain two or three sums.
//
// stored is the allowed effect of rounding to the activations' type on the result, in
// units of Stored:
//
//   - 0 if only float32 rounds: sums of the operation's inputs (DTable, DWeight, DBias,
//     Mean, RStd, LSE, Norms, GradNorm, Optimize). The result itself still rounds to
//     float32.
//   - 1 if the result is stored, or is a sum of products with values that are stored or
//     rounded for multiplication: dropout(X), XA, U, H, V, W's values in Project, P and
//     DS in Attend. Each term of such a sum has an error of up to Stored with a random
//     sign: relative to the sum, a standard deviation of 0.42·Stored (a rounding error is
//     uniform within half a unit in the last place, which is between Stored and half of
//     it relative to the number). A chain of three such sums and the rounding of the
//     result give 6·0.42·sqrt(3) + 1, about 5.4.
//   - more if a stored error is amplified: see HeadLoss.
//
// In the groups that multiply matrices, factors are rounded like stored numbers where
// float32 is split: Stored is then Split, and an unstored sum of products is allowed one of
// it, see operand.products.
func (tol Tolerances) relative(k int, stored float64) float64 {
	return 8 * (tol.Unit*math.Sqrt(float64(k)) + max(tol.Unit, stored*tol.Stored))
}

// A Choice selects the rows to run. The zero value selects all.
type Choice struct {
	Operations []string // rows of these operations; empty: of all
	Elements   int      // rows with at most this many elements; 0: all
	Encodings  int      // of the weight of each case, that many in turn; 0: all
}

// Run compares dev with the references for all operations and cases, and logs the number
// of rows. An operation without rows, or one that dev lacks, fails the test by name.
func Run(t *testing.T, dev bindings.Device, tol Tolerances) { RunSome(t, dev, tol, Choice{}) }

// groups is the suite: a test for each group of operations.
var groups = []struct {
	name       string
	operations []bindings.Operation
	run        func(*testing.T, *suite)
}{
	{"Embed", []bindings.Operation{&bindings.Embed{}, &bindings.EmbedBackward{}}, runEmbed},
	{"Norm", []bindings.Operation{&bindings.Norm{}, &bindings.NormBackward{}}, runNorm},
	{"Project", []bindings.Operation{&bindings.Project{}, &bindings.ProjectBackward{}}, runProject},
	{"RowNorms", []bindings.Operation{&bindings.RowNorms{}}, runRowNorms},
	{"RoPE", []bindings.Operation{&bindings.RoPE{}}, runRoPE},
	{"Extend", []bindings.Operation{&bindings.Extend{}}, runExtend},
	{"Attend", []bindings.Operation{&bindings.Attend{}, &bindings.AttendBackward{}}, runAttend},
	{"Activate", []bindings.Operation{&bindings.Activate{}, &bindings.ActivateBackward{}}, runActivate},
	{"Add", []bindings.Operation{&bindings.Add{}, &bindings.AddBackward{}}, runAdd},
	{"Clamp", []bindings.Operation{&bindings.Clamp{}, &bindings.ClampBackward{}}, runClamp},
	{"HeadLoss", []bindings.Operation{&bindings.HeadLoss{}}, runHeadLoss},
	{"Preference", []bindings.Operation{&bindings.LogProbs{}, &bindings.Preference{}}, runPreference},
	{"Fold", []bindings.Operation{&bindings.Fold{}, &bindings.Unfold{}, &bindings.Round{}}, runFold},
	{"Policy", []bindings.Operation{&bindings.Policy{}}, runPolicy},
	{"GradNorm", []bindings.Operation{&bindings.GradNorm{}, &bindings.SquareSums{}}, runGradNorm},
	{"Optimize", []bindings.Operation{&bindings.Optimize{}}, runOptimize},
	{"Rows", []bindings.Operation{&bindings.ScaleRows{}, &bindings.Gather{}}, runRows},
	{"Copy", []bindings.Operation{&bindings.Copy{}, &bindings.Zero{}}, runCopy},
	{"Transfer", []bindings.Operation{&bindings.Transfer{}, &bindings.Await{}}, runTransfer},
	{"Quantize", nil, runQuantize},
	{"Errors", nil, runErrors},
}

// multiplying are the groups of operations that multiply matrices.
var multiplying = []string{"Project", "RowNorms", "Attend", "HeadLoss"}

// RunSome runs the chosen rows. It reports whether the test's -run pattern skipped none.
func RunSome(t *testing.T, dev bindings.Device, tol Tolerances, choice Choice) (whole bool) {
	whole = true
	s := &suite{dev: dev, most: choice.Elements, encodings: choice.Encodings, ran: map[string]bool{}, missing: map[string]bool{}}
	held := map[string]bool{}
	for _, g := range groups {
		for _, op := range g.operations {
			held[op.Name()] = true
		}
		if len(choice.Operations) > 0 && !slices.Contains(choice.Operations, g.name) {
			continue
		}
		before := s.rows
		s.tol = tol
		if slices.Contains(multiplying, g.name) {
			s.tol.Stored = max(tol.Stored, tol.Split)
		}
		s.asked, s.begun = 0, 0
		begun := false
		t.Run(g.name, func(t *testing.T) {
			begun = true
			g.run(t, s)
		})
		whole = whole && begun
		t.Logf("%s: %d rows", g.name, s.rows-before)
		if s.begun < s.asked {
			whole = false
			continue // the test's -run pattern skipped some
		}
		for _, op := range g.operations {
			if s.asked > 0 && !s.ran[op.Name()] {
				t.Errorf("no row of %s runs %q", g.name, op.Name())
			}
		}
	}
	t.Logf("%s: %d rows in all", dev.Info().Name, s.rows)
	if s.rows == 0 {
		t.Error("no row ran")
	}
	for _, op := range bindings.Operations() {
		if name := op.Name(); s.missing[name] {
			t.Errorf("%s does not implement operation %q", dev.Info().Name, name)
		} else if !held[name] {
			t.Errorf("the suite has no rows for %q", name)
		}
	}
	return whole
}

type suite struct {
	dev  bindings.Device
	tol  Tolerances
	most int // maximum elements of a row; 0: any number
	rows int // completed rows

	encodings int // of each case's weight; 0: all
	turn      int // the encoding that the next case begins with
	bits      Bits

	asked, begun int             // rows of a group, and those not skipped
	ran, missing map[string]bool // names of operations
}

// row runs one case on new memory. Its random numbers depend only on the case's name, so
// every device gets the same ones.
func (s *suite) row(t *testing.T, name string, run func(*fixture)) {
	t.Helper()
	s.asked++
	t.Run(name, func(t *testing.T) {
		s.begun++
		seed := uint64(0x9e3779b97f4a7c15)
		for _, c := range []byte(name) {
			seed = (seed ^ uint64(c)) * 0x100000001b3
		}
		t.Cleanup(func() {
			if t.Failed() {
				t.Logf("seed %#x", seed)
			}
		})
		f := &fixture{
			t: t, suite: s, dev: s.dev, tol: s.tol, act: s.dev.Info().Activation,
			mem: bindings.NewMemory(), rng: rand.New(rand.NewPCG(seed, 1)), most: s.most, row: name,
		}
		run(f)
	})
}
