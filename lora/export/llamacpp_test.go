package export

import (
	"encoding/binary"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"qlora/bindings/cpu"
	"qlora/checkpoint"
	"qlora/lora"
	"qlora/nn"
	"qlora/nn/family"
)

// TestLlamaCpp runs llama.cpp on each recorded family: QLORA_LLAMACPP_JUDGE is
// bench/peers/llamacpp/judge.c built. The merged model in float32, and the base with the
// adapter's file, give the logits of this program.
func TestLlamaCpp(t *testing.T) {
	judge := os.Getenv("QLORA_LLAMACPP_JUDGE")
	if judge == "" {
		t.Skip("QLORA_LLAMACPP_JUDGE does not name the judge")
	}
	for _, name := range cases(t) {
		if unknown[name] || name == "phi3-longrope" { // its factors go by the size of the cache
			continue
		}
		t.Run(name, func(t *testing.T) {
			base, adapter := folders(t, name)
			alone, ids := run(t, Options{Model: base, OutType: "f32"})
			plain := logits(t, base, "", ids)
			compare := func(what string, want []float32, files ...string) {
				got := judged(t, judge, ids, files...)
				require.Len(t, got, len(want), what)
				d := distance(want, got)
				t.Logf("%s: %s: llama.cpp's logits differ by %.2g", name, what, d)
				if d > 5e-3 { // llama.cpp looks GELU up in a table of binary16
					t.Errorf("%s: llama.cpp's logits differ by %.3g", what, d)
				}
			}
			compare("base", plain, alone)
			if adapter == "" {
				return
			}
			want := logits(t, base, adapter, ids)
			t.Logf("%s: the adapter moves the logits by %.2g", name, distance(plain, want))
			merged, _ := run(t, Options{Model: base, Adapters: []string{adapter}, OutType: "f32"})
			compare("merged", want, merged)
			if file := adapterFile(t, base, adapter); file != "" {
				compare("base and adapter", want, alone, file)
			}
		})
	}
}

// adapterFile exports the adapter alone; "" if llama.cpp can have no such adapter.
func adapterFile(t *testing.T, base, adapter string) string {
	t.Helper()
	opts := Options{Model: base, Adapters: []string{adapter}, AdapterOnly: true, Format: "gguf", OutType: "f32", OutFile: filepath.Join(t.TempDir(), "adapter.gguf")}
	job, err := NewJob(opts, reference)
	if err != nil {
		t.Log(err)
		return ""
	}
	defer job.Close()
	require.NoError(t, job.Write(t.Context(), nil))
	return opts.OutFile
}

// judged returns llama.cpp's logits.
func judged(t *testing.T, judge string, ids []int32, files ...string) []float32 {
	t.Helper()
	dir := t.TempDir()
	in, out := filepath.Join(dir, "ids"), filepath.Join(dir, "logits")
	require.NoError(t, os.WriteFile(in, []byte(strings.Trim(fmt.Sprint(ids), "[]")+"\n"), 0o600))
	args := append([]string{"logits", files[0], in, out}, files[1:]...)
	if text, err := exec.Command(judge, args...).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	data, err := os.ReadFile(out)
	require.NoError(t, err)
	values := make([]float32, len(data)/4)
	for i := range values {
		values[i] = math.Float32frombits(binary.LittleEndian.Uint32(data[4*i:]))
	}
	return values
}

// logits computes the logits of a folder, with or without an adapter.
func logits(t *testing.T, dir, adapter string, ids []int32) []float32 {
	t.Helper()
	dev, err := cpu.New(cpu.Options{Kernels: "gonum"})
	require.NoError(t, err)
	base, err := checkpoint.Open(dir)
	require.NoError(t, err)
	defer base.Close()
	config, err := family.ParseConfig(base.Config())
	require.NoError(t, err)
	var adapted *lora.Config
	if adapter != "" {
		c, err := lora.ReadConfig(adapter)
		require.NoError(t, err)
		adapted = &c
	}
	tuned, err := lora.Assemble(config, base, nn.Options{}, adapted, dev.Info())
	require.NoError(t, err)
	tuned.Plan(dev, nn.Shapes{Generate: len(ids)})
	require.NoError(t, tuned.Load(dev, lora.Values{Base: base, Adapter: adapter}))
	defer tuned.Close()
	var all []float32
	require.NoError(t, tuned.Model.Logits(dev, ids, func(_ int, x []float32) error {
		all = append(all, x...)
		return nil
	}))
	return all
}

// distance returns the largest difference.
func distance(a, b []float32) float64 {
	worst := 0.0
	for i, x := range a {
		worst = max(worst, math.Abs(float64(x)-float64(b[i])))
	}
	return worst
}
