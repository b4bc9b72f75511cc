package verbs

import (
	"errors"
	"os"
	"path/filepath"

	"qlora/bindings"
	"qlora/bindings/cpu"
	"qlora/bindings/cuda"
	"qlora/cmd/internal/exit"
	"qlora/internal/safetensors"
	"qlora/internal/tokenizer"
	"qlora/lora"
	"qlora/nn"
	"qlora/nn/quantize"
	"qlora/trainer"
)

// machine is the option of every verb that computes.
type machine struct {
	Device string `option:"device" help:"what computes: auto, cpu, cuda, cuda:N or emu"`
}

// open gives the device that is named. Only the CPU can be opened so far; auto
// is the best that can.
func (m machine) open() (bindings.Device, error) {
	switch m.Device {
	case "auto", "cpu":
		dev, err := cpu.New(cpu.Options{})
		return dev, exit.AsWrong(err)
	}
	if _, err := m.profile(); err != nil {
		return nil, err
	}
	return nil, exit.Wrongf("--device %s: this build has no library for it; use --device cpu", m.Device)
}

// profile gives what planning needs of the device, which need not be there.
func (m machine) profile() (bindings.Profile, error) {
	switch name := m.Device; {
	case name == "auto" || name == "cpu":
		return cpu.Profile(), nil
	case name == "cuda" || name == "emu" || isNumbered(name, "cuda:"):
		return cuda.Profile(), nil
	}
	return nil, exit.Wrongf("--device is %q, but it can be auto, cpu, cuda, cuda:N or emu", m.Device)
}

func isNumbered(name, prefix string) bool {
	if len(name) <= len(prefix) || len(name) > len(prefix)+3 || name[:len(prefix)] != prefix {
		return false
	}
	for _, c := range name[len(prefix):] {
		if c < '0' || c > '9' {
			return false
		}
	}
	return true
}

// methods are the values of --method.
const (
	methodQLoRA = "qlora"
	methodLoRA  = "lora"
	methodFull  = "full"
)

// method sets up a model for one of the ways to tune it.
func method(m *trainer.Model, name string, q quantize.Options, adapters lora.Options) error {
	m.Quantize, m.Lora, m.Adapter = nil, nil, ""
	held, err := q.Device()
	if err != nil {
		return exit.AsWrong(err)
	}
	switch name {
	case methodQLoRA:
		m.Quantize = held
	case methodLoRA:
	case methodFull:
		return nil
	default:
		return exit.Wrongf("--method is %q, but it can be qlora, lora or full", name)
	}
	var config lora.Config
	if adapters.Adapter != "" {
		config, err = m.ReadAdapter(adapters.Adapter)
	} else {
		config, err = adapters.Config()
	}
	if err != nil {
		return exit.AsWrong(err)
	}
	config.BaseModel = m.Name
	m.Lora, m.Adapter = &config, adapters.Adapter
	return nil
}

// openModel reads a model folder. Without weights in it, which only planning
// allows, the base is nil.
func openModel(dir string, planning bool) (*trainer.Model, error) {
	if err := required("model", dir); err != nil {
		return nil, err
	}
	if err := existing("model", dir); err != nil {
		return nil, err
	}
	if !planning || hasWeights(dir) {
		m, err := trainer.OpenModel(dir)
		return m, exit.AsWrong(err)
	}
	config, err := nn.ReadConfig(dir)
	if err != nil {
		return nil, exit.AsWrong(err)
	}
	return &trainer.Model{Name: filepath.Clean(dir), Config: config}, nil
}

func hasWeights(dir string) bool {
	for _, name := range []string{safetensors.SingleFile, safetensors.IndexFile} {
		if _, err := os.Stat(filepath.Join(dir, name)); err == nil {
			return true
		}
	}
	return false
}

func openTokenizer(dir string) (*tokenizer.Tokenizer, error) {
	tok, err := tokenizer.LoadFolder(dir)
	return tok, exit.AsWrong(err)
}

// openTokenizerIfAny gives nil for a folder without tokenizer.json: records that
// are token ids already need none, and package dataset refuses all others.
func openTokenizerIfAny(dir string) (*tokenizer.Tokenizer, error) {
	if _, err := os.Stat(filepath.Join(dir, "tokenizer.json")); errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	return openTokenizer(dir)
}

// sideFiles are the small files of a model folder that belong beside whatever
// is made of the model.
var sideFiles = []string{
	"tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json",
	"tokenizer.model", "chat_template.jinja", "generation_config.json",
}

// maxSideFile bounds the size of one of sideFiles in bytes.
const maxSideFile = 256 << 20

func readSideFiles(dir string) ([]trainer.File, error) {
	var files []trainer.File
	for _, name := range sideFiles {
		info, err := os.Stat(filepath.Join(dir, name))
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, exit.AsWrong(err)
		}
		if info.Size() > maxSideFile || !info.Mode().IsRegular() {
			return nil, exit.Wrongf("%s is no regular file of at most %d bytes", filepath.Join(dir, name), maxSideFile)
		}
		data, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			return nil, exit.AsWrong(err)
		}
		files = append(files, trainer.File{Name: name, Data: data})
	}
	return files, nil
}
