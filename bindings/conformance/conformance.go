// Package conformance is the suite that every device has to pass: a table of
// cases for each operation, random inputs from a printed seed, against
// references in float64 (reference_*.go). The references are the definition of
// the operations; their backward is held to finite differences of their forward.
//
// Outputs are full of NaN before a call, so that reading one of them shows, and
// every tensor is followed by a guard zone that has to stay as it was.
package conformance

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"qlora/bindings"
)

// Tolerances are what a device's arithmetic may lose.
type Tolerances struct {
	Unit   float64 // unit roundoff of its accumulation
	Stored float64 // unit roundoff of the activations that it stores
	Codes  Backend // whose codes it makes of a weight in 4 bits
}

// Float32 is for a device that keeps and sums everything in float32.
var Float32 = Tolerances{Unit: 0x1p-24, Stored: 0x1p-24, Codes: CPU}

// BFloat16 is for a GPU: bfloat16 activations, float32 sums. bfloat16 has 8 bits of
// precision, float32 has 24.
var BFloat16 = Tolerances{Unit: 0x1p-24, Stored: 0x1p-8, Codes: CUDA}

// relative returns the error that a sum of k terms may have, as a share of the
// root-mean-square of the results or of the result itself, whichever is more.
//
// A sum of k terms with random signs has the size of sqrt(k) terms; each of its
// k additions rounds by up to Unit of the partial sum, and these errors add up
// like a random walk: Unit·sqrt(k) of the result. The largest of some thousand
// such errors is below 6 standard deviations, and 8 leaves room for operations
// that chain two or three sums.
//
// stored is how much of the result one rounding to the activations' type may
// move, in units of Stored:
//
//   - 0 where all that rounds is in float32: sums of what the operation is given
//     (DTable, DWeight, DBias, Mean, RStd, LSE, Norms, GradNorm, Optimize). The result
//     itself still rounds to float32.
//   - 1 where the result is stored, or is a sum of products with what is stored or
//     rounded to be multiplied: dropout(X), XA, U, H, V, W's values in Project, P and
//     DS in Attend. Such a sum's terms are off by up to Stored each, with random
//     signs: of the sum, 0.42·Stored at a standard deviation (a rounding error is
//     uniform within half a unit in the last place, whose share of the number is
//     from Stored down to half of it), and a chain of three and the rounding of the
//     result come to 6·0.42·sqrt(3) + 1, about 5.4.
//   - more where an error that is stored is magnified: see HeadLoss.
func (tol Tolerances) relative(k int, stored float64) float64 {
	return 8 * (tol.Unit*math.Sqrt(float64(k)) + max(tol.Unit, stored*tol.Stored))
}

// A Choice is which rows run.
type Choice struct {
	Operations []string // those of these operations; none: of all
	Elements   int      // rows whose tensors have no more elements than that; 0: all
}

// Run holds dev to the references, all operations and cases, and logs how many
// rows ran. An operation without rows, and one that dev lacks, fails by its name.
func Run(t *testing.T, dev bindings.Device, tol Tolerances) { RunSome(t, dev, tol, Choice{}) }

// groups is the suite: what holds each of the operations.
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
	{"Attend", []bindings.Operation{&bindings.Attend{}, &bindings.AttendBackward{}}, runAttend},
	{"Activate", []bindings.Operation{&bindings.Activate{}, &bindings.ActivateBackward{}}, runActivate},
	{"Add", []bindings.Operation{&bindings.Add{}, &bindings.AddBackward{}}, runAdd},
	{"Clamp", []bindings.Operation{&bindings.Clamp{}, &bindings.ClampBackward{}}, runClamp},
	{"HeadLoss", []bindings.Operation{&bindings.HeadLoss{}}, runHeadLoss},
	{"GradNorm", []bindings.Operation{&bindings.GradNorm{}}, runGradNorm},
	{"Optimize", []bindings.Operation{&bindings.Optimize{}}, runOptimize},
	{"Copy", []bindings.Operation{&bindings.Copy{}, &bindings.Zero{}}, runCopy},
	{"Quantize", nil, runQuantize},
	{"Errors", nil, runErrors},
}

// RunSome computes Run for some rows.
func RunSome(t *testing.T, dev bindings.Device, tol Tolerances, choice Choice) {
	s := &suite{dev: dev, tol: tol, most: choice.Elements, ran: map[string]bool{}, missing: map[string]bool{}}
	held := map[string]bool{}
	for _, g := range groups {
		for _, op := range g.operations {
			held[op.Name()] = true
		}
		if len(choice.Operations) > 0 && !slices.Contains(choice.Operations, g.name) {
			continue
		}
		before := s.rows
		s.asked, s.begun = 0, 0
		t.Run(g.name, func(t *testing.T) { g.run(t, s) })
		t.Logf("%s: %d rows", g.name, s.rows-before)
		if s.begun < s.asked {
			continue // the test's own choice left some out
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
			t.Errorf("%s has no operation %q", dev.Info().Name, name)
		} else if !held[name] {
			t.Errorf("the suite has no rows for %q", name)
		}
	}
}

type suite struct {
	dev  bindings.Device
	tol  Tolerances
	most int // elements of a row; 0: any number
	rows int // that ran to their end

	asked, begun int             // rows of a group, and those of them that were not left out
	ran, missing map[string]bool // names of operations
}

// row runs one case on fresh memory. Its random numbers depend on the case's
// name alone: every device sees the same ones.
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
			mem: bindings.NewMemory(), rng: rand.New(rand.NewPCG(seed, 1)), most: s.most,
		}
		run(f)
	})
}
