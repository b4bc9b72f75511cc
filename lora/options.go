package lora

import (
	"slices"

	"qlora/nn"
	"qlora/option"
)

// Options are the settings of new adapters under the names of PEFT's
// LoraConfig. The tags are read by the command line.
type Options struct {
	R               int      `option:"lora_r" help:"rank of the adapters"`
	Alpha           float64  `option:"lora_alpha" help:"the adapters' output is scaled by lora_alpha / lora_r"`
	Dropout         float64  `option:"lora_dropout" help:"probability that an input of the adapter branch is dropped in training"`
	TargetModules   string   `option:"target_modules" help:"layers that get an adapter: a comma list of names, all-linear, or a regular expression that matches whole names; empty: as PEFT has it for the architecture"`
	Exclude         string   `option:"exclude_modules" help:"layers that get none all the same, written like target_modules"`
	Layers          []string `option:"layers_to_transform" help:"numbers of the layers that get adapters, from 0; goes with a list of target_modules; empty: all layers"`
	LayersPattern   []string `option:"layers_pattern" help:"names of the lists of layers that layers_to_transform counts in, as layers in model.layers.0; empty: any"`
	RankPattern     Pattern  `option:"rank_pattern" help:"ranks of single adapters, as {\"down_proj\": 32, \"layers.0.self_attn.q_proj\": 4}: a key is a regular expression for a module's name or its end after a dot, and the first that matches decides"`
	AlphaPattern    Pattern  `option:"alpha_pattern" help:"lora_alpha of single adapters, written like rank_pattern"`
	Bias            string   `option:"bias" help:"which biases of linear layers are trained, too: none, all or lora_only (of the layers that have an adapter)"`
	RSLoRA          bool     `option:"use_rslora" help:"scale by lora_alpha / sqrt(lora_r) instead"`
	DoRA            bool     `option:"use_dora" help:"train the length of each output's weights apart from their direction"`
	ModulesToSave   []string `option:"modules_to_save" help:"modules that are trained themselves and stored with the adapter: ends of their names, as lm_head, embed_tokens or norm"`
	TieWeights      bool     `option:"ensure_weight_tying" help:"a head that is the embedding stays so where modules_to_save has either; otherwise each goes on for itself"`
	Init            string   `option:"init_lora_weights" help:"how A and B begin: true (A uniform, B zero), gaussian (A normal, B zero), orthogonal or false (both uniform); or with a part of the base: pissa, pissa_niter_N (much faster, nearly the same), olora or loftq"`
	LoftQBits       int      `option:"loftq_bits" unit:"bits" help:"what loftq makes up for: 4"`
	LoftQIterations int      `option:"loftq_iter" unit:"iterations" help:"how often loftq quantizes the base and corrects it"`
	Adapter         string   `option:"adapter" help:"folder of a PEFT adapter to start from instead of a new one; its own settings hold"`
}

// DefaultOptions returns the QLoRA recipe's: an adapter on every linear layer.
func DefaultOptions() Options {
	return Options{R: 16, Alpha: 32, Dropout: 0.05, TargetModules: AllLinear, Bias: "none", Init: string(InitDefault), LoftQBits: loftQBits, LoftQIterations: 1}
}

// Config returns the configuration that the options ask for: that of the folder
// Adapter where one is given, as it was trained, else a new one. An error names
// the option.
func (o Options) Config() (Config, error) {
	if o.Adapter != "" {
		return ReadTrained(o.Adapter)
	}
	c := Config{
		TaskType: causalLM, R: o.R, Alpha: o.Alpha, Dropout: o.Dropout, RSLoRA: o.RSLoRA,
		Init: Initialization(o.Init), Targets: ParseTargets(o.TargetModules), Exclude: ParseTargets(o.Exclude),
		RankPattern: o.RankPattern, AlphaPattern: o.AlphaPattern, LayersPattern: o.LayersPattern,
		DoRA: o.DoRA, ModulesToSave: o.ModulesToSave, TieWeights: o.TieWeights,
	}
	if o.Bias != string(nn.BiasesNone) {
		c.Bias = nn.Biases(o.Bias)
	}
	var err error
	if c.Layers, err = parseLayers(o.Layers); err != nil {
		return Config{}, err
	}
	switch {
	case o.R < 1 || o.R > maxRank: // under the option's own name; Validate calls it r
		return Config{}, option.Errorf("lora_r", o.R, "it must be from 1 to %d", maxRank)
	case !(o.Alpha > 0):
		return Config{}, option.Errorf("lora_alpha", o.Alpha, "it must be above 0")
	case slices.ContainsFunc(o.AlphaPattern, func(e PatternEntry) bool { return !(e.Value > 0) }):
		return Config{}, option.Errorf("alpha_pattern", o.AlphaPattern, "every value of it must be above 0")
	case o.LoftQBits != loftQBits:
		return Config{}, option.Errorf("loftq_bits", o.LoftQBits, "bases are held in %d", loftQBits)
	case o.LoftQIterations < 1:
		return Config{}, option.Errorf("loftq_iter", o.LoftQIterations, "it must be at least 1")
	}
	if c.Init == InitLoftQ {
		c.LoftQIterations = o.LoftQIterations
	}
	return c, c.ValidateNew()
}
