package main

import (
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestChooseTakesTheLowestLoss(t *testing.T) {
	tried := []*trialResult{
		result(full, 100, 2e-5, 1.5), result(full, 100, 1e-4, 1.4),
		result(lora, 100, 2e-4, 1.2), result(lora, 100, 1e-3, 1.1), result(lora, 100, 3e-3, 1.3),
	}
	wide := result(lora, 100, 5e-4, 2)
	wide.Rank = 64
	require.Equal(t, map[configuration]float64{
		tried[0].configuration: 1e-4, tried[2].configuration: 1e-3, wide.configuration: 5e-4,
	}, choose(append(tried, wide)))
}

// TestTrials checks that a seed's trials all come before the next seed's, and that QLoRA
// uses the learning rate selected for its LoRA.
func TestTrials(t *testing.T) {
	chosen := map[configuration]float64{}
	for i, one := range candidates(16, 2) {
		chosen[one.configuration] = float64(1 + i)
	}
	require.Len(t, chosen, 5)
	all := trials(chosen, 3, 16, 2)
	require.Len(t, all, 27)
	seen := map[string]bool{}
	for i, one := range all {
		require.Equal(t, 1+i/9, one.Seed)
		require.NotZero(t, one.LearningRate)
		require.Equal(t, chosen[one.twin()], one.LearningRate)
		require.False(t, seen[one.name()], one.name())
		seen[one.name()] = true
	}
}

func TestPairs(t *testing.T) {
	all := []*trialResult{
		result(full, 1, 0, 9), result(lora, 1, 0, 1.0), result(lora, 2, 0, 2.0), result(qlora, 1, 0, 1.5), result(qlora, 2, 0, 1.75), result(qlora, 3, 0, 7),
	}
	found := pairs(all)
	require.Len(t, found, 1)
	require.Equal(t, []float64{0.5, -0.25}, found[0].differences, "seed 3 has no LoRA to compare with")
}

func TestSummary(t *testing.T) {
	mean, spread := summary([]float64{1, 2, 6})
	require.InDelta(t, 3, mean, 1e-12)
	require.InDelta(t, math.Sqrt(7), spread, 1e-12)
	_, spread = summary([]float64{1})
	require.True(t, math.IsNaN(spread))
}

// TestCheckOrder checks that LoRA and full fine-tuning must start with equal losses;
// QLoRA's base differs, and so does another seed's order.
func TestCheckOrder(t *testing.T) {
	all := []*trialResult{result(full, 1, 0, 1), result(lora, 1, 0, 1), result(qlora, 1, 0, 1), result(lora, 2, 0, 1)}
	for i, first := range []float64{2, 2 + 1e-6, 2.3, 2.5} {
		all[i].FirstLoss = first
	}
	apart, err := checkOrder(all)
	require.NoError(t, err)
	require.InDelta(t, 1e-6, apart, 1e-9)
	all[1].FirstLoss = 2.001
	_, err = checkOrder(all)
	require.ErrorContains(t, err, "did not see the same records")
	all[1].FirstLoss = math.NaN()
	_, err = checkOrder(all)
	require.Error(t, err)
}

func TestMissingInput(t *testing.T) {
	for _, c := range []struct {
		o    options
		want string
	}{
		{options{data: "d"}, "MODEL=folder"},
		{options{model: "m"}, "DATA=folder"},
		{options{model: "m", data: "d", seeds: 0, steps: 1, batch: 1}, "-seeds"},
		{options{model: filepath.Join("..", "..", "demo", "base"), data: "nowhere", seeds: 1, steps: 1, batch: 1}, "nowhere"},
	} {
		require.ErrorContains(t, c.o.check(0), c.want)
	}
	o := options{}
	require.Error(t, o.check(1))
}

// TestStudy measures a base and a trial of each method with the demonstration's base,
// whose file is in 16 bits. It then finds the finished results without any program,
// unless the program or the data differs.
func TestStudy(t *testing.T) {
	dir := t.TempDir()
	binary := filepath.Join(dir, "qlora")
	said, err := exec.Command("go", "build", "-o", binary, "qlora/cmd/qlora").CombinedOutput()
	require.NoError(t, err, "%s", said)
	t.Setenv("QLORA_CPU_KERNELS", "gonum")
	model := filepath.Join("..", "..", "demo", "base")
	data, err := writeSplits(dir, model, writeData(t))
	require.NoError(t, err)
	require.Equal(t, [3]int{4, validation, heldOut}, [3]int{data.Train.Records, data.Validation.Records, data.HeldOut.Records})
	s := &study{ctx: t.Context(), out: io.Discard, program: program(binary), folders: [2]string{model, ""}, dir: dir, data: data, commit: "one"}

	var r results
	measureAll := func() error {
		r = results{}
		for _, b := range s.bases() {
			one, err := s.base(b)
			if err != nil {
				return err
			}
			r.Bases = append(r.Bases, one)
		}
		var some []trial
		for _, c := range []configuration{{Method: full}, {lora, 8, queryAndV}, {qlora, 8, queryAndV}} {
			some = append(some, trial{c, 1e-3, 1, 2, 2, onHeldOut})
		}
		r.Trials, err = s.trials(some)
		return err
	}
	require.NoError(t, measureAll())
	require.Len(t, r.Bases, 5, "all but the one whose folder is not named")
	for _, b := range r.Bases {
		require.Greater(t, b.Loss, 0.0)
		require.Equal(t, data.HeldOut.Trained, b.Tokens)
	}
	require.NotEqual(t, r.base("bf16").Loss, r.base("nf4").Loss)
	for _, one := range r.Trials {
		require.NotEqual(t, r.base("bf16").Loss, one.Loss, "%s has changed nothing", one.name())
		require.Greater(t, one.Memory, int64(0))
	}
	_, err = checkOrder(r.Trials)
	require.NoError(t, err)
	require.NoDirExists(t, filepath.Join(dir, "run"))

	require.NoError(t, r.report(dir))
	for _, name := range []string{resultsFile, tableFile, pictureFile} {
		require.FileExists(t, filepath.Join(dir, name))
	}
	table, err := os.ReadFile(filepath.Join(dir, tableFile))
	require.NoError(t, err)
	require.Contains(t, string(table), "| QLoRA, rank 8, q and v | 0.001 | 2 |")

	measured := r
	s.program = "there is no such program"
	require.NoError(t, measureAll())
	require.Equal(t, measured, r)
	s.commit = "two"
	require.ErrorContains(t, measureAll(), "there is no such program")
}

// writeData writes questions, 4 of them for training.
func writeData(t *testing.T) string {
	dir := t.TempDir()
	for name, records := range map[string]int{"train.jsonl": 4 + validation, "test.jsonl": heldOut + 3} {
		var b strings.Builder
		for i := range records {
			fmt.Fprintf(&b, "{\"question\": \"What is %d?\", \"answer\": \"A number of %s.\"}\n", i, name)
		}
		b.WriteString("{\"question\": \"What is long?\", \"answer\": \"" + strings.Repeat("Too long. ", maxTokens) + "\"}\n")
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(b.String()), 0o644))
	}
	return dir
}

func result(method string, seed int, rate, loss float64) *trialResult {
	r := &trialResult{trial: trial{configuration: configuration{Method: method}, Seed: seed, LearningRate: rate}}
	if method != full {
		r.Rank, r.Targets = 8, allLinear
	}
	r.Loss = loss
	return r
}
