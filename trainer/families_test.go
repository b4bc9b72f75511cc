package trainer

import (
	"cmp"
	"os"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"qlora/bindings"
	"qlora/checkpoint"
	"qlora/internal/formulaweights"
	"qlora/internal/safetensors"
	"qlora/lora"
	"qlora/nn"
	"qlora/nn/family"
)

// familiesFolder has a recorded run of every model family; its generate.py made them
// and documents each file.
const familiesFolder = "testdata/families"

// familyLimits are the limits by run.
var familyLimits = map[string]parityLimit{
	"lora": {loss: 2e-4, norm: 1e-3, gradient: 1e-4, weights: 2e-3},
	"nf4":  {loss: 1e-3, norm: 5e-3, weights: 2e-3},
	"full": {loss: 2e-4, norm: 1e-3, gradient: 1e-4, weights: 2e-3},
}

// familyForwardLimit is the largest error of a logit, relative to the largest recorded
// one for its token. Seen: 1e-6. The two forms of GELU differ by 1e-4 here, so a wider
// limit would not tell them apart.
const familyForwardLimit = 2e-5

// TestFamilies replays every case; `go test ./trainer -run 'TestFamilies/gpt2$'`
// replays one, and /nf4 at the end one of its runs. QLORA_FAMILIES names another
// folder of cases, as made by generate.py --variants.
func TestFamilies(t *testing.T) {
	root := cmp.Or(os.Getenv("QLORA_FAMILIES"), familiesFolder)
	var index struct{ Cases []familyCase }
	readJSON(t, filepath.Join(root, "index.json"), &index)
	require.NotEmpty(t, index.Cases)
	for _, c := range index.Cases {
		t.Run(c.Name, func(t *testing.T) {
			c.folder = filepath.Join(root, c.Name)
			c.data = filepath.Join(root, "data", "train.jsonl")
			c.write(t)
			t.Run("forward", c.forward)
			var rows [][]string
			replay := func(name, run, model string) {
				var far distance
				t.Run(name, func(t *testing.T) { far = c.replay(t, run, model) })
				rows = append(rows, append([]string{name}, far.columns()...))
			}
			for _, run := range c.Runs {
				replay(run, run, c.model)
			}
			if stored := filepath.Join(c.folder, "stored"); exists(stored) {
				replay("stored", "nf4", stored)
			}
			logTable(t, append([]string{"run"}, distanceColumns...), rows)
		})
	}
}

// A familyCase is an entry of index.json.
type familyCase struct {
	Name string
	Runs []string

	folder, data   string
	model, adapter string // written from the formula
}

// write writes the model's folder and the adapter's.
func (c *familyCase) write(t *testing.T) {
	t.Helper()
	weights, err := formulaweights.Read(filepath.Join(c.folder, "weights.json"))
	require.NoError(t, err)
	c.model, c.adapter = t.TempDir(), t.TempDir()
	copyFile(t, filepath.Join(c.folder, "config.json"), c.model)
	require.NoError(t, weights.WriteBase(filepath.Join(c.model, "model.safetensors")))
	copyFile(t, filepath.Join(c.folder, "adapter_config.json"), c.adapter)
	require.NoError(t, weights.WriteAdapter(filepath.Join(c.adapter, lora.WeightsFile)))
}

// forward compares the logits after every prefix of a sequence, which the model reads
// token by token and at once, and the tokens that greedy generation adds to a prompt.
func (c *familyCase) forward(t *testing.T) {
	var want struct{ IDs, Prompt, Greedy []int32 }
	readJSON(t, filepath.Join(c.folder, "forward.json"), &want)
	logits := readTensors(t, filepath.Join(c.folder, "forward.safetensors"))["logits"]
	dev := &recorder{Device: parityDevices(t)[0]}
	m := loadForward(t, dev, c.model)
	vocabulary := m.Config.Vocabulary
	require.Len(t, logits, len(want.IDs)*vocabulary)
	worst := 0.0
	hold := func(how string, at int, got []float32) {
		far, reason := logitDistance(got, logits[at*vocabulary:(at+1)*vocabulary], familyForwardLimit)
		worst = max(worst, far)
		if reason != "" {
			t.Errorf("%s, after token %d: %s", how, at, reason)
		}
	}
	require.NoError(t, m.Logits(dev, want.IDs, func(at int, got []float32) error {
		hold("one by one", at, got)
		return nil
	}))
	for at := range want.IDs {
		m.generate(t, want.IDs[:at+1], 1)
		hold("at once", at, dev.logits)
	}
	t.Logf("logits %.1e", worst)
	require.Equal(t, want.Greedy, m.generate(t, want.Prompt, len(want.Greedy)), "greedy tokens")
}

// replay repeats a recorded training run on the base in folder model.
func (c *familyCase) replay(t *testing.T, name, model string) distance {
	folder, limit := filepath.Join(c.folder, name), familyLimits[name]
	s := readParitySettings(t, filepath.Join(folder, "settings.json"))
	if s.Method == "full" {
		model = inFloat32(t, model)
	}
	s.Model, s.Dataset = fromParity(t, model), fromParity(t, c.data)
	if s.Method != "full" {
		s.Adapters.Adapter = fromParity(t, c.adapterOf(t, folder))
	}
	recorder := &recorder{Device: parityDevices(t)[0]}
	run := s.run(t, recorder)
	require.NoError(t, train(t, t.Context(), run))

	far := distance{}
	far.log(t, limit, filepath.Join(folder, "log_history.json"), history(t, run.Args.OutputDir))
	if path := filepath.Join(folder, "gradients.safetensors"); exists(path) {
		transposeConv1D(t, model, recorder.gradients)
		far.gradients(t, limit, readTensors(t, path), strided(t, path, recorder.gradients))
	}
	got := lora.WeightsFile
	if s.Method == "full" {
		got = "model.safetensors"
	} else {
		require.Equal(t, fanInFanOut(t, c.adapterOf(t, folder)), fanInFanOut(t, run.Args.OutputDir), "fan_in_fan_out of %s", lora.ConfigFile)
	}
	path := filepath.Join(folder, "final.safetensors")
	far.weights(t, limit, readTensors(t, path), strided(t, path, readTensors(t, filepath.Join(run.Args.OutputDir, got))))
	return far
}

// transposeConv1D transposes the gradients of weights that the model's folder stores
// as [in, out].
func transposeConv1D(t *testing.T, model string, gradients map[string][]float32) {
	t.Helper()
	config, err := family.ReadConfig(model)
	require.NoError(t, err)
	m, err := nn.New(config, nil, nn.Options{}, bindings.NewMemory(), bindings.Info{})
	require.NoError(t, err)
	for _, p := range m.Projections() {
		g, trained := gradients[p.Name+".weight"]
		if !trained || !p.Transposed() {
			continue
		}
		out, in := p.Weight.Out, p.Weight.In
		turned := make([]float32, len(g))
		for i := range g {
			turned[i%in*out+i/in] = g[i]
		}
		gradients[p.Name+".weight"] = turned
	}
}

// TestNoteOfTheModel checks that the note on how config.json was read appears once.
func TestNoteOfTheModel(t *testing.T) {
	for name, want := range map[string]string{
		"relative": `model_type "aquila" is unknown; all its keys are Llama's, so it is read as llama`,
		"gemma3":   `only the text part of model_type "gemma3" is used; the other tensors stay unchanged`,
	} {
		c := familyCase{Name: name, folder: filepath.Join(familiesFolder, name)}
		c.write(t)
		r := tinyRun(t)
		m, err := OpenBase(c.model)
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, m.Close()) })
		m.ApplyLora(lora.Config{R: 2, Alpha: 4, Init: lora.InitDefault, Targets: lora.ParseTargets("q_proj")})
		r.Base = m
		var notes []string
		r.Note = func(s string) { notes = append(notes, s) }
		_, err = New(r)
		require.NoError(t, err)
		require.Equal(t, []string{want}, notes)
	}
}

// inFloat32 returns a copy of the model's folder with another dtype in config.json:
// that in which the recorded runs of method full stored and saved the weights.
func inFloat32(t *testing.T, model string) string {
	t.Helper()
	config, err := os.ReadFile(filepath.Join(model, "config.json"))
	require.NoError(t, err)
	config, err = checkpoint.EditConfig(config, map[string]any{"dtype": "float32"})
	require.NoError(t, err)
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "config.json"), config, 0o600))
	copyFile(t, filepath.Join(model, "model.safetensors"), dir)
	return dir
}

// adapterOf returns the adapter's folder, with the run's own configuration if it has
// one.
func (c *familyCase) adapterOf(t *testing.T, run string) string {
	t.Helper()
	if !exists(filepath.Join(run, lora.ConfigFile)) {
		return c.adapter
	}
	dir := t.TempDir()
	copyFile(t, filepath.Join(run, lora.ConfigFile), dir)
	copyFile(t, filepath.Join(c.adapter, lora.WeightsFile), dir)
	return dir
}

func fanInFanOut(t *testing.T, dir string) bool {
	t.Helper()
	var config struct {
		FanInFanOut bool `json:"fan_in_fan_out"`
	}
	readJSON(t, filepath.Join(dir, lora.ConfigFile), &config)
	return config.FanInFanOut
}

// strided reduces each tensor to the elements that the file at path has.
func strided(t *testing.T, path string, all map[string][]float32) map[string][]float32 {
	t.Helper()
	file, err := safetensors.Open(path)
	require.NoError(t, err)
	defer file.Close()
	text, ok := file.Metadata()["stride"]
	if !ok {
		return all
	}
	stride, err := strconv.Atoi(text)
	require.NoError(t, err)
	kept := map[string][]float32{}
	for name, x := range all {
		for i := 0; i < len(x); i += stride {
			kept[name] = append(kept[name], x[i])
		}
	}
	return kept
}

// fromParity returns path as settings have it: relative to the folder of the recorded
// runs.
func fromParity(t *testing.T, path string) string {
	t.Helper()
	from, err := filepath.Abs(parityFolder)
	require.NoError(t, err)
	to, err := filepath.Abs(path)
	require.NoError(t, err)
	relative, err := filepath.Rel(from, to)
	require.NoError(t, err)
	return relative
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

func copyFile(t *testing.T, path, dir string) {
	t.Helper()
	text, err := os.ReadFile(path)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, filepath.Base(path)), text, 0o600))
}
