package lora

import (
	"slices"

	"qlora/nn"
	"qlora/option"
)

// Options are the settings of new adapters, named as in PEFT's LoraConfig. The command
// line reads the tags.
type Options struct {
	R               int             `option:"lora_r" help:"rank of the adapters"`
	Alpha           float64         `option:"lora_alpha" help:"scale of the adapters: lora_alpha / lora_r"`
	Dropout         float64         `option:"lora_dropout" help:"dropout probability of the adapters' input in training"`
	TargetModules   string          `option:"target_modules" many:"true" help:"layers to adapt: a comma-separated list of names, all-linear, or a regular expression that matches whole names; empty: PEFT's default for the model"`
	Exclude         string          `option:"exclude_modules" many:"true" help:"layers to leave out of target_modules, written like them"`
	Layers          []string        `option:"layers_to_transform" help:"indices of the layers to adapt, from 0; needs target_modules as a list; empty: all layers"`
	LayersPattern   []string        `option:"layers_pattern" help:"names of the layer lists that layers_to_transform indexes, like layers in model.layers.0; empty: any"`
	RankPattern     Pattern         `option:"rank_pattern" help:"ranks of single adapters, like {\"down_proj\": 32, \"layers.0.self_attn.q_proj\": 4}: a key is a regular expression for a module's name or its end after a dot; the first match wins"`
	AlphaPattern    Pattern         `option:"alpha_pattern" help:"lora_alpha of single adapters, written like rank_pattern"`
	Bias            string          `option:"bias" values:"none,all,lora_only" help:"biases of linear layers to train: none, all or lora_only (of the adapted layers)"`
	RSLoRA          bool            `option:"use_rslora" help:"rsLoRA: scale by lora_alpha / sqrt(lora_r) instead"`
	DoRA            bool            `option:"use_dora" help:"DoRA: train the magnitude of each output's weights apart from their direction"`
	LoraBias        bool            `option:"lora_bias" help:"give every adapter's B a bias, trained with it; such an adapter merges only into layers that have a bias"`
	ModulesToSave   []string        `option:"modules_to_save" help:"modules to train in full and store with the adapter, by the ends of their names: lm_head, embed_tokens, norm, …"`
	TieWeights      bool            `option:"ensure_weight_tying" help:"keep a tied head and embedding tied if modules_to_save has either; otherwise each is trained separately"`
	Tokens          TrainableTokens `option:"trainable_token_indices" help:"token ids whose rows of the embedding (and of a tied head) are trained alone: 5,7, or {\"embed_tokens\": [5, 7], \"lm_head\": [5, 7]}"`
	SaveEmbeddings  string          `option:"save_embedding_layers" values:"auto,true,false" help:"store the base's embedding and head with the adapter: auto (if either has an adapter or another number of rows than the base's), true or false"`
	Init            string          `option:"init_lora_weights" values:"true,gaussian,orthogonal,false,pissa,pissa_niter_4,olora,loftq" help:"initialization of A and B: true (A uniform, B zero), gaussian (A normal, B zero), orthogonal, false (both uniform); or from the base: pissa, pissa_niter_N (faster, approximate), olora, loftq"`
	LoftQBits       int             `option:"loftq_bits" unit:"bits" help:"bits of the quantization that loftq compensates: 4"`
	LoftQIterations int             `option:"loftq_iter" unit:"iterations" help:"loftq's rounds of quantizing and correcting"`
	Adapter         string          `option:"adapter" path:"true" hub:"adapter" help:"folder of a PEFT adapter to continue training, or ORG/NAME on the Hub; its own settings apply"`
}

// Ranges returns the intervals of the numeric options.
func (o *Options) Ranges() option.Ranges {
	return option.Ranges{
		"lora_r":              option.From(1, maxRank),
		"lora_alpha":          option.Above(0, 1e6),
		"lora_dropout":        option.Share(),
		"loftq_bits":          option.From(loftQBits, loftQBits),
		"loftq_iter":          option.From(1, maxIterations),
		"layers_to_transform": option.From(0, 1<<12),
	}
}

// DefaultOptions returns the QLoRA recipe: an adapter on every linear layer.
func DefaultOptions() Options {
	return Options{R: 16, Alpha: 32, Dropout: 0.05, TargetModules: AllLinear, Bias: "none", SaveEmbeddings: "auto", Init: string(InitDefault), LoftQBits: loftQBits, LoftQIterations: 1}
}

// Config returns the configuration of the options: if Adapter is set, the one that
// this folder's adapter was trained with, else a new one. An error names the option.
func (o Options) Config() (Config, error) {
	if o.Adapter != "" {
		return ReadTrained(o.Adapter)
	}
	c := Config{
		TaskType: causalLM, R: o.R, Alpha: o.Alpha, Dropout: o.Dropout, RSLoRA: o.RSLoRA,
		Init: Initialization(o.Init), Targets: ParseTargets(o.TargetModules), Exclude: ParseTargets(o.Exclude),
		RankPattern: o.RankPattern, AlphaPattern: o.AlphaPattern, LayersPattern: o.LayersPattern,
		DoRA: o.DoRA, LoraBias: o.LoraBias, ModulesToSave: o.ModulesToSave, TieWeights: o.TieWeights, Tokens: o.Tokens,
	}
	if o.Bias != string(nn.BiasesNone) {
		c.Bias = nn.Biases(o.Bias)
	}
	if err := option.CheckRanges(&o); err != nil {
		return Config{}, err
	}
	var err error
	if c.Layers, err = parseLayers(o.Layers); err != nil {
		return Config{}, err
	}
	if slices.ContainsFunc(o.AlphaPattern, func(e PatternEntry) bool { return !(e.Value > 0) }) {
		return Config{}, option.Errorf("alpha_pattern", o.AlphaPattern, "every value must be above 0")
	}
	switch o.SaveEmbeddings {
	case "auto", "":
		c.AutoEmbeddings = true
	case "true":
		c.SaveEmbeddings = true
	case "false":
	default:
		return Config{}, option.Errorf("save_embedding_layers", o.SaveEmbeddings, "it can be auto, true or false")
	}
	if c.Init == InitLoftQ {
		c.LoftQIterations = o.LoftQIterations
	}
	return c, c.ValidateNew()
}
