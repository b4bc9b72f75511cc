package merge

import (
	"math"
	"strconv"
	"strings"

	"qlora/checkpoint"
	"qlora/option"
)

// Options say what to merge and how to write the result. The command line reads the
// tags.
type Options struct {
	Model     string   `option:"model" path:"true" hub:"model" alias:"model_name_or_path" help:"folder of the base, or ORG/NAME on the Hugging Face Hub: config.json and *.safetensors, in 16, 32 or (bitsandbytes) 4 bits; or a GGUF file"`
	Adapters  []string `option:"adapter" path:"true" hub:"adapter" help:"folders of PEFT adapters, or ORG/NAME on the Hub; several are added in order"`
	Weights   []string `option:"adapter_weights" help:"one factor per adapter; empty: 1 for all"`
	OutputDir string   `option:"output_dir" path:"true" help:"folder to create"`
	DType     string   `option:"dtype" values:"bfloat16,float16,float32" help:"type of the merged weights: bfloat16, float16 or float32; empty: the base's"`
	Shard     string   `option:"max_shard_size" help:"largest file, as 5GB or 500MiB; empty: the base's files"`
	In4Bit    *bool    `option:"load_in_4bit" help:"write the merged linear layers in 4 bits; default: as in the base"`
}

// Ranges returns the intervals of the numeric options.
func (o *Options) Ranges() option.Ranges {
	return option.Ranges{"adapter_weights": option.From(-1e6, 1e6)}
}

// dtype returns the type of the merged weights, "" for the base's.
func (o *Options) dtype() (checkpoint.DType, error) {
	if o.DType == "" {
		return "", nil
	}
	dtype, err := checkpoint.ParseTorch(o.DType)
	if err != nil {
		return "", option.Errorf("dtype", o.DType, "it can be bfloat16, float16 or float32")
	}
	return dtype, nil
}

// weights returns the adapters' factors.
func (o *Options) weights() ([]float64, error) {
	if err := option.CheckRanges(o); err != nil {
		return nil, err
	}
	factors := make([]float64, len(o.Adapters))
	if len(o.Weights) > 0 && len(o.Weights) != len(factors) {
		return nil, option.Errorf("adapter_weights", strings.Join(o.Weights, ","), "there are %d adapters: give one factor for each", len(factors))
	}
	for i := range factors {
		factors[i] = 1
		if len(o.Weights) == 0 {
			continue
		}
		factors[i], _ = strconv.ParseFloat(o.Weights[i], 64) // the ranges were checked
	}
	return factors, nil
}

// units are those of max_shard_size, as in transformers: powers of 1000 and of 1024.
var units = []struct {
	name  string
	bytes float64
}{
	{"KIB", 1 << 10}, {"MIB", 1 << 20}, {"GIB", 1 << 30}, {"TIB", 1 << 40}, {"KB", 1e3}, {"MB", 1e6}, {"GB", 1e9}, {"TB", 1e12}, {"B", 1}, {"", 1},
}

// shardBytes returns max_shard_size in bytes, or 0 if it is not given.
func (o *Options) shardBytes() (int64, error) {
	text := strings.ToUpper(strings.ReplaceAll(o.Shard, " ", ""))
	if text == "" {
		return 0, nil
	}
	for _, unit := range units {
		number, ok := strings.CutSuffix(text, unit.name)
		if !ok {
			continue
		}
		if x, err := strconv.ParseFloat(number, 64); err == nil && x*unit.bytes >= 1 && x*unit.bytes < math.MaxInt64 {
			return int64(x * unit.bytes), nil
		}
		break
	}
	return 0, option.Errorf("max_shard_size", o.Shard, "it must be a size like 5GB or 500MiB")
}
