package export

import (
	"strings"

	"qlora/internal/ggml/mixture"
	"qlora/lora/merge"
	"qlora/option"
)

// Options say what to export. The command line reads the tags.
type Options struct {
	Model       string   `option:"model" path:"true" hub:"model" alias:"model_name_or_path" help:"folder of the base, or ORG/NAME on the Hugging Face Hub: config.json and *.safetensors, in 16, 32 or (bitsandbytes) 4 bits; or a GGUF file"`
	Adapters    []string `option:"adapter" path:"true" hub:"adapter" help:"folders of PEFT adapters, or ORG/NAME on the Hub, merged in order; none: the base alone"`
	Weights     []string `option:"adapter_weights" help:"one factor per adapter; empty: 1 for all"`
	Format      string   `option:"format" values:"gguf,ollama,mlx" help:"format of the result: gguf, which llama.cpp, Ollama and LM Studio read; ollama, a Modelfile with its GGUF file, or a model in Ollama's store; or mlx, an adapter for mlx-lm"`
	OutFile     string   `option:"outfile" path:"true" alias:"output" help:"file to create, such as model-Q4_K_M.gguf"`
	OutType     string   `option:"outtype" alias:"quantization_method" values:"auto,f32,bf16,f16,q8_0,q6_k,q5_k_m,q5_k_s,q5_1,q5_0,q4_k_m,q4_k_s,q4_1,q4_0,iq4_nl,iq4_xs,q3_k_l,q3_k_m,q3_k_s,q2_k" help:"type of the weights: auto (bf16 or f16, as the base is), f32, bf16, f16, q8_0, q6_k, q5_k_m, q5_k_s, q5_1, q5_0, q4_k_m, q4_k_s, q4_1, q4_0, iq4_nl, iq4_xs, q3_k_l, q3_k_m, q3_k_s or q2_k"`
	OutputDir   string   `option:"output_dir" path:"true" help:"folder to create, with format ollama or mlx"`
	OllamaName  string   `option:"ollama_name" help:"name of the model in Ollama, such as walter or me/walter:q4: without output_dir it goes into this machine's Ollama (OLLAMA_MODELS or ~/.ollama/models), else the folder becomes such a store"`
	AdapterOnly bool     `option:"adapter_only" help:"write the adapter alone, for llama.cpp's --lora, instead of merging it"`
}

// DefaultOptions returns the options of an export whose type is the base's.
func DefaultOptions() Options { return Options{Format: "gguf", OutType: "auto"} }

// Ranges returns the intervals of the numeric options.
func (o *Options) Ranges() option.Ranges {
	return (&merge.Options{}).Ranges()
}

// fileType returns the type of the weights; ok is false for auto.
func (o *Options) fileType() (f mixture.File, ok bool, err error) {
	if o.OutType == "" || strings.EqualFold(o.OutType, "auto") {
		return 0, false, nil
	}
	if f, err = mixture.Parse(o.OutType); err != nil {
		return 0, false, option.Errorf("outtype", o.OutType, "it can be auto, %s", strings.ToLower(strings.Join(mixture.Names(), ", ")))
	}
	return f, true, nil
}

// check returns an error for options that are missing or of an unknown value.
func (o *Options) check() error {
	if _, _, err := o.fileType(); err != nil {
		return err
	}
	return o.checkOutput()
}
