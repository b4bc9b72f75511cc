package lora

import (
	"bytes"
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"qlora/checkpoint"
	"qlora/internal/gitlfs"
	"qlora/internal/mistaken"
	"qlora/nn"
)

// ConfigFile is the name of an adapter's configuration in its folder.
const ConfigFile = "adapter_config.json"

const (
	maxConfigBytes = 1 << 20
	// maxRank is far above any use and keeps r·in within an int32.
	maxRank  = 1 << 14
	causalLM = "CAUSAL_LM"
)

// Config is the configuration of a LoRA adapter, as stored in adapter_config.json.
// PEFT's other keys are either refused on reading or do not change a number.
//
// R and Alpha must be set; the zero value of any other field is PEFT's default.
// [DefaultConfig] returns the QLoRA recipe.
type Config struct {
	BaseModel string         // name or path of the base; "": unknown
	Revision  string         // of the base; "": unknown
	TaskType  string         // "CAUSAL_LM" or "": unknown
	R         int            // the rank
	Alpha     float64        // scales the adapter's output by Alpha/R
	Dropout   float64        // dropout probability of the adapter's input in training
	RSLoRA    bool           // scale by Alpha/sqrt(R) instead
	Init      Initialization // of A and B; "": InitDefault
	Targets   Targets        // the layers that get an adapter; zero: PEFT's for the architecture

	// DoRA: each output's magnitude is trained apart from the direction W + Scale·B·A.
	DoRA bool
	// ModulesToSave are name endings of the modules that are trained whole and stored
	// with the adapters.
	ModulesToSave []string
	// TieWeights keeps a tied head and embedding tied if ModulesToSave has either
	// (PEFT's ensure_weight_tying). Otherwise each is trained separately.
	TieWeights bool
	// LoraBias gives every B a bias: the adapter adds Scale·bias to a layer's output.
	LoraBias bool
	Bias     nn.Biases // of linear layers that are trained, too; "": none

	// SaveEmbeddings stores the base's embedding and head with the adapter, which has them
	// from Rebase, or whose vocabulary is not the base's (save_embedding_layers). It is no
	// key of adapter_config.json.
	SaveEmbeddings bool
	// Resized reports that the vocabulary is not that of the base's folder. Otherwise, if
	// the embedding or the head has an adapter, only such are saved, as by PEFT.
	Resized bool
	// AutoEmbeddings sets SaveEmbeddings if an adapter is on either, as PEFT does.
	AutoEmbeddings bool

	// Tokens are the rows of the embedding and the head that are trained.
	Tokens TrainableTokens

	LoftQIterations int // with InitLoftQ; 0: one

	RankPattern   Pattern  // modules with their own R
	AlphaPattern  Pattern  // modules with their own Alpha
	Exclude       Targets  // modules left out of Targets
	Layers        Layers   // layers_to_transform
	LayersPattern []string // names of the layer lists that Layers indexes; empty: any

	// Unread are the keys of adapter_config.json that are set and that ReadConfig does not
	// know. They may change what the adapter computes; see Note.
	Unread []string

	// read reports that ReadConfig returned the configuration: see Sizes.
	read bool

	// fanInFanOut tells PEFT that the base stores weights as [in, out]. Reading
	// ignores it: the model decides.
	fanInFanOut bool
}

// DefaultConfig returns the QLoRA recipe: rank 16, alpha 32 and dropout 0.05 on every
// linear layer.
func DefaultConfig() Config {
	o := DefaultOptions()
	return Config{TaskType: causalLM, R: o.R, Alpha: o.Alpha, Dropout: o.Dropout, Targets: ParseTargets(o.TargetModules), AutoEmbeddings: true}
}

// Modules returns the modules that the model must lay out for training, but for Tokens.
func (c *Config) Modules() nn.Modules {
	return nn.Modules{Names: c.ModulesToSave, Tie: c.TieWeights, Biases: c.Bias}
}

// modulesOf returns the modules that a model must lay out for training.
func (c *Config) modulesOf(model *nn.Config, base checkpoint.Checkpoint) (nn.Modules, error) {
	m := c.Modules()
	if c.Tokens.Empty() {
		return m, nil
	}
	var err error
	m.Tokens, err = c.Tokens.resolve(nn.EndsOf(model, base), c.TieWeights)
	return m, err
}

func knownBias(b nn.Biases) bool {
	return b == "" || b == nn.BiasesNone || b == nn.BiasesAll || b == nn.BiasesAdapted
}

// ReadConfig reads adapter_config.json from a folder written by Save, any version of
// PEFT or a program of formats. An unsupported setting that changes what the adapter computes is an error that
// names it.
func ReadConfig(dir string) (Config, error) {
	path := filepath.Join(dir, ConfigFile)
	data, err := readConfigFile(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return Config{}, err
	}
	f, _ := formatOf(dir, data)
	switch {
	case f != nil:
		if data, err = f.config(dir, data); err != nil {
			return Config{}, err
		}
	case err != nil:
		return Config{}, mistaken.Adapter(dir)
	}
	c, err := parseConfig(data)
	c.read = true
	return c, inFile(path, err)
}

// readConfigFile returns the text of adapter_config.json. The error is fs.ErrNotExist if
// there is none.
func readConfigFile(dir string) ([]byte, error) {
	path := filepath.Join(dir, ConfigFile)
	f, err := os.Open(path)
	if err != nil {
		return nil, fs.ErrNotExist // mistaken.Adapter says what dir is instead
	}
	defer f.Close()
	if err := gitlfs.Check(path); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	data, err := io.ReadAll(io.LimitReader(f, maxConfigBytes+1))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if len(data) > maxConfigBytes {
		return nil, fmt.Errorf("%s is larger than %d bytes; it is not an adapter's configuration", path, maxConfigBytes)
	}
	return data, nil
}

// fields are the keys of a JSON object; get records the first error.
type fields struct {
	raw map[string]json.RawMessage
	err error
}

// get decodes the value of key into dst. dst keeps its value if the key is absent or
// null.
func (f *fields) get(key string, dst any) {
	if raw, ok := f.raw[key]; ok && f.err == nil {
		if err := json.Unmarshal(raw, dst); err != nil {
			f.err = fmt.Errorf("%q is %s: %w", key, excerpt(raw), err)
		}
	}
}

func excerpt(raw []byte) string {
	const most = 60
	if len(raw) > most {
		return string(raw[:most]) + "…"
	}
	return string(raw)
}

func parseConfig(data []byte) (Config, error) {
	f := fields{}
	if err := json.Unmarshal(data, &f.raw); err != nil {
		return Config{}, fmt.Errorf("not a JSON object: %w", err)
	}
	if err := f.refuse(); err != nil {
		return Config{}, err
	}
	c := Config{R: 8, Alpha: 8, Init: InitDefault, Unread: f.unread()}
	var kind string
	f.get("peft_type", &kind)
	f.get("bias", &c.Bias)
	if c.Bias == nn.BiasesNone {
		c.Bias = ""
	}
	f.get("base_model_name_or_path", &c.BaseModel)
	f.get("revision", &c.Revision)
	f.get("task_type", &c.TaskType)
	f.get("r", &c.R)
	f.get("lora_alpha", &c.Alpha)
	f.get("lora_dropout", &c.Dropout)
	f.get("use_rslora", &c.RSLoRA)
	f.get("init_lora_weights", &c.Init)
	f.get("target_modules", &c.Targets)
	f.get("use_dora", &c.DoRA)
	f.get("lora_bias", &c.LoraBias)
	f.get("modules_to_save", &c.ModulesToSave)
	f.get("ensure_weight_tying", &c.TieWeights)
	f.get("trainable_token_indices", &c.Tokens)
	if len(c.ModulesToSave) == 0 {
		c.ModulesToSave = nil // an empty list means none
	}
	f.get("rank_pattern", &c.RankPattern)
	f.get("alpha_pattern", &c.AlphaPattern)
	f.get("exclude_modules", &c.Exclude)
	f.get("layers_to_transform", &c.Layers)
	if len(c.Layers) > 0 {
		var patterns oneOrMore
		f.get("layers_pattern", &patterns)
		c.LayersPattern = patterns
	}
	switch {
	case f.err != nil:
		return Config{}, f.err
	case c.Init == "":
		return Config{}, errors.New("init_lora_weights is empty; it is true, false or a name")
	case kind != "LORA":
		return Config{}, fmt.Errorf("peft_type is %q; only LORA adapters are supported", kind)
	}
	if err := f.loftQ(&c); err != nil {
		return Config{}, err
	}
	if err := c.Validate(); err != nil {
		return Config{}, err
	}
	return c, nil
}

// oneOrMore reads a JSON string or a list of strings.
type oneOrMore []string

func (o *oneOrMore) UnmarshalJSON(data []byte) error {
	if bytes.HasPrefix(data, []byte{'"'}) {
		var one string
		err := json.Unmarshal(data, &one)
		if one != "" {
			*o = oneOrMore{one}
		}
		return err
	}
	var list []string
	if err := json.Unmarshal(data, &list); err != nil || len(list) == 0 {
		return err
	}
	*o = list
	return nil
}

// Marshal returns the text of adapter_config.json. It writes the keys of PEFT 0.4, and
// later ones only where they differ from their default, because PEFT refuses unknown
// keys.
func (c *Config) Marshal() ([]byte, error) {
	file := map[string]any{
		"auto_mapping":            nil,
		"base_model_name_or_path": orNull(c.BaseModel),
		"bias":                    cmp.Or(c.Bias, nn.BiasesNone),
		"fan_in_fan_out":          c.fanInFanOut,
		"inference_mode":          true,
		"init_lora_weights":       c.Init,
		"layers_pattern":          listOrNull(c.LayersPattern),
		"layers_to_transform":     listOrNull(c.Layers),
		"lora_alpha":              c.Alpha,
		"lora_dropout":            c.Dropout,
		"modules_to_save":         c.ModulesToSave,
		"peft_type":               "LORA",
		"r":                       c.R,
		"revision":                orNull(c.Revision),
		"target_modules":          c.Targets,
		"task_type":               orNull(c.TaskType),
	}
	if c.RSLoRA {
		file["use_rslora"] = true
	}
	if c.DoRA {
		file["use_dora"] = true
	}
	if c.LoraBias {
		file["lora_bias"] = true
	}
	if c.TieWeights {
		file["ensure_weight_tying"] = true
	}
	if !c.Tokens.Empty() {
		file["trainable_token_indices"] = c.Tokens
	}
	if c.Init == InitLoftQ {
		file["loftq_config"] = loftQConfig{Bits: loftQBits, Iterations: c.LoftQIterations}
	}
	if len(c.RankPattern) > 0 {
		file["rank_pattern"] = c.RankPattern
	}
	if len(c.AlphaPattern) > 0 {
		file["alpha_pattern"] = c.AlphaPattern
	}
	if c.Exclude.Pattern != "" || len(c.Exclude.Names) > 0 {
		file["exclude_modules"] = c.Exclude
	}
	var text bytes.Buffer
	e := json.NewEncoder(&text)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	if err := e.Encode(file); err != nil {
		return nil, fmt.Errorf("%s: %w", ConfigFile, err)
	}
	return bytes.TrimRight(text.Bytes(), "\n"), nil
}

func listOrNull[T ~[]E, E any](list T) any {
	if len(list) == 0 {
		return nil
	}
	return list
}

func orNull(s string) any {
	if s == "" {
		return nil
	}
	return s
}
