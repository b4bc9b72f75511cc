package trainer

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"text/tabwriter"

	"github.com/stretchr/testify/require"

	"qlora/bindings"
	"qlora/bindings/cpu"
	"qlora/nf4"
	"qlora/trainer/dataset"
)

// parityFolder has recorded runs of transformers, peft and bitsandbytes on their CPU
// back ends; its generate.py made them and documents each file.
const parityFolder = "testdata/parity"

// A parityLimit bounds the difference between a run and the recorded one, relative to
// the recorded value.
type parityLimit struct {
	loss     float64 // of each step, evaluations and the mean of the run
	norm     float64 // of the gradients before clipping
	gradient float64 // L2, of each tensor at the first step
	weights  float64 // of each tensor at the end, of the largest recorded value in it
	codes    float64 // of 8-bit moments at the end: the share that differ
}

// TestParity trains every recorded case from its recorded start.
func TestParity(t *testing.T) {
	for _, dev := range parityDevices(t) {
		t.Run(dev.Info().Detail, func(t *testing.T) {
			// Seen: 3e-7, 1e-6, 2e-6 and 1e-5. The promised limits (losses 2e-4, 1e-3
			// on a 4-bit base; gradients 1e-4, weights 2e-3) would hide a small
			// mistake; the margin here is for another processor's order of summation.
			limit := parityLimit{loss: 5e-6, norm: 1e-5, gradient: 2e-5, weights: 1e-4, codes: 1e-3}
			var rows [][]string
			for _, c := range parityCases(t) {
				var far distance
				t.Run(c.Name, func(t *testing.T) { far, _ = c.replay(t, dev, limit) })
				rows = append(rows, append([]string{c.Name}, far.columns()...))
			}
			logTable(t, append([]string{"case"}, distanceColumns...), rows)
		})
	}
}

// A parityCase is an entry of index.json.
type parityCase struct {
	Name       string
	OnlyLosses bool `json:"only_losses"` // only the log was recorded
}

// replay repeats a case, compares everything that was recorded of it, and returns the
// run's output folder, too.
func (c parityCase) replay(t *testing.T, dev bindings.Device, limit parityLimit) (distance, string) {
	folder := filepath.Join(parityFolder, c.Name)
	s := readParitySettings(t, filepath.Join(folder, "settings.json"))
	recorder := &recorder{Device: dev}
	run := s.run(t, recorder)
	require.NoError(t, train(t, t.Context(), run))

	far := distance{}
	far.log(t, limit, filepath.Join(folder, "log_history.json"), history(t, run.Args.OutputDir))
	if c.OnlyLosses {
		return far, run.Args.OutputDir
	}
	far.gradients(t, limit, readTensors(t, filepath.Join(folder, "gradients.safetensors")), recorder.gradients)
	if len(recorder.codes) > 0 {
		far.codes(t, limit, filepath.Join(folder, "optimizer.safetensors"), recorder.codes)
		// Where rounding decides between two codes, a moment differs by up to a few
		// percent, and so does a step of that weight. Seen: one code of 5760, and
		// 3e-4.
		limit.weights *= 20
	}
	if s.Run.AdamEpsilon < 1e-7 {
		// Adam moves by the gradient relative to its own size: with a small epsilon,
		// the sign of a gradient of pure rounding error is a whole step. Such a run is
		// compared by its losses.
		return far, run.Args.OutputDir
	}
	want, got := "final/adapter_model.safetensors", "adapter_model.safetensors"
	if s.Method == "full" {
		want, got = "final.safetensors", "model.safetensors"
	}
	far.weights(t, limit, readTensors(t, filepath.Join(folder, want)), readTensors(t, filepath.Join(run.Args.OutputDir, got)))
	return far, run.Args.OutputDir
}

// parityDevices returns the CPU with gonum's products and, unless -short is set, with the
// kernels that are the best for this processor.
func parityDevices(t *testing.T) []*cpu.Device {
	t.Helper()
	own, err := cpu.New(cpu.Options{Kernels: "gonum"})
	require.NoError(t, err)
	if testing.Short() {
		return []*cpu.Device{own}
	}
	best, err := cpu.New(cpu.Options{})
	require.NoError(t, err)
	return []*cpu.Device{own, best}
}

func parityCases(t *testing.T) []parityCase {
	t.Helper()
	var index struct{ Cases []parityCase }
	readJSON(t, filepath.Join(parityFolder, "index.json"), &index)
	require.NotEmpty(t, index.Cases)
	return fewer(index.Cases)
}

// run returns the run of the recorded case; paths in its settings are relative to the
// folder of the recordings.
func (s *paritySettings) run(t *testing.T, dev bindings.Device) Run {
	t.Helper()
	m, err := OpenBase(filepath.Join(parityFolder, s.Model))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, m.Close()) })
	if s.Method == "qlora" {
		kind, err := nf4.ParseKind(s.Kind)
		require.NoError(t, err)
		m.Quantize = &bindings.QuantizeOptions{Kind: kind, BlockSize: s.BlockSize, Double: s.Double}
	}
	if s.Method != "full" {
		if s.Adapters.Adapter != "" {
			s.Adapters.Adapter = filepath.Join(parityFolder, s.Adapters.Adapter)
		}
		if s.Adapters.Adapter != "" {
			require.NoError(t, m.UseAdapter(s.Adapters.Adapter))
		} else {
			config, err := s.Adapters.Config()
			require.NoError(t, err)
			m.ApplyLora(config)
		}
	}
	require.Equal(t, s.Method, m.Method())
	s.Run.OutputDir = t.TempDir()
	return Run{Base: m, Args: s.Run, TrainSet: readRecords(t, s.Dataset), EvalSet: readRecords(t, s.Eval), Device: dev}
}

// readRecords reads pretokenized records unchanged. Package dataset, which reads those with
// weights, drops records without trained tokens, which Trainer trains on too.
func readRecords(t *testing.T, path string) []dataset.Example {
	t.Helper()
	if path == "" {
		return nil
	}
	text, err := os.ReadFile(filepath.Join(parityFolder, path))
	require.NoError(t, err)
	if strings.Contains(string(text), `"weight"`) {
		set, err := dataset.Load([]string{filepath.Join(parityFolder, path)}, nil, dataset.Options{}, nil)
		require.NoError(t, err)
		return set.Examples
	}
	var all []dataset.Example
	for line := range strings.Lines(string(text)) {
		var record struct {
			IDs    []int32 `json:"input_ids"`
			Labels []int32 `json:"labels"`
		}
		require.NoError(t, json.Unmarshal([]byte(line), &record))
		all = append(all, dataset.Example{IDs: record.IDs, Labels: record.Labels})
	}
	return all
}

func readJSON(t *testing.T, path string, to any) {
	t.Helper()
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(text, to), path)
}

func logTable(t *testing.T, head []string, rows [][]string) {
	t.Helper()
	var text strings.Builder
	w := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	for _, row := range append([][]string{head}, rows...) {
		fmt.Fprintln(w, strings.Join(row, "\t"))
	}
	require.NoError(t, w.Flush())
	t.Log("\n" + text.String())
}
