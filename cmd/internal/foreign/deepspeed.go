package foreign

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"qlora/cmd/internal/options"
)

// deepSpeed translates deepspeed: a JSON file, or its text.
func deepSpeed(value string, _ func(string) string) ([]options.Given, error) {
	if empty(value) {
		return nil, nil
	}
	text := []byte(value)
	if !strings.HasPrefix(strings.TrimSpace(value), "{") {
		file, err := os.Open(value)
		if err != nil {
			return nil, err
		}
		defer file.Close()
		if text, err = io.ReadAll(io.LimitReader(file, MaxDeepSpeed+1)); err != nil {
			return nil, err
		}
	}
	given, err := DeepSpeed(text)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", value, err)
	}
	return given, nil
}

// MaxDeepSpeed is the most bytes of a configuration.
const MaxDeepSpeed = 1 << 20

// deepSpeedNames are keys with the options that they are; "auto" is the option's own value.
var deepSpeedNames = []struct{ key, option string }{
	{"train_micro_batch_size_per_gpu", "per_device_train_batch_size"},
	{"gradient_accumulation_steps", "gradient_accumulation_steps"},
	{"gradient_clipping", "max_grad_norm"},
}

// DeepSpeed returns the options of a configuration of DeepSpeed. The first is fsdp, its stage of
// ZeRO.
func DeepSpeed(text []byte) ([]options.Given, error) {
	if len(text) > MaxDeepSpeed {
		return nil, fmt.Errorf("a configuration of DeepSpeed has at most %d bytes", MaxDeepSpeed)
	}
	type place struct {
		Device string `json:"device"`
	}
	type switched struct {
		Enabled any `json:"enabled"`
	}
	var config struct {
		Zero struct {
			Stage     int   `json:"stage"`
			Optimizer place `json:"offload_optimizer"`
			Params    place `json:"offload_param"`
			Offload   bool  `json:"cpu_offload"`
		} `json:"zero_optimization"`
		FP16      switched `json:"fp16"`
		Optimizer struct {
			Type string `json:"type"`
		} `json:"optimizer"`
	}
	var values map[string]any
	if err := json.Unmarshal(text, &values); err != nil {
		return nil, fmt.Errorf("it is not a configuration of DeepSpeed in JSON: %w", err)
	}
	if err := json.Unmarshal(text, &config); err != nil {
		return nil, fmt.Errorf("it is not a configuration of DeepSpeed: %w", err)
	}
	zero := config.Zero
	moved := func(p place) bool { return !slices.Contains([]string{"", "none"}, p.Device) }
	kinds := []string{"false", "shard_optim", "shard_grad_op", "full_shard"} // by stage
	switch {
	case zero.Stage < 0 || zero.Stage >= len(kinds):
		return nil, fmt.Errorf("zero_optimization has stage %d; there are 0 to %d", zero.Stage, len(kinds)-1)
	case moved(zero.Optimizer) || moved(zero.Params) || zero.Offload:
		return nil, fmt.Errorf("zero_optimization offloads, but what a rank has of weights and moments stays on its device: take offload_optimizer and offload_param out; `embedding_on_host` and `offload_activations` make room")
	case config.FP16.Enabled == true:
		return nil, fmt.Errorf("fp16 is enabled, and %s: take it out", noFloat16)
	case config.Optimizer.Type != "" && !strings.EqualFold(config.Optimizer.Type, "AdamW"):
		return nil, fmt.Errorf("its optimizer is %s: take it out, and name one with `optim`", config.Optimizer.Type)
	}
	given := []options.Given{{Name: "fsdp", Text: kinds[zero.Stage]}}
	for _, n := range deepSpeedNames {
		if v, ok := values[n.key].(float64); ok {
			given = append(given, options.Given{Name: n.option, Text: fmt.Sprint(v)})
		}
	}
	return given, nil
}
