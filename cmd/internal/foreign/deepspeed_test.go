package foreign

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestDeepSpeed(t *testing.T) {
	for text, want := range map[string]string{
		`{}`:                                  "[{fsdp false}]",
		`{"zero_optimization": {"stage": 1}}`: "[{fsdp shard_optim}]",
		`{"zero_optimization": {"stage": 2, "overlap_comm": true, "reduce_bucket_size": "auto"}, "bf16": {"enabled": "auto"}, "train_batch_size": "auto"}`:                               "[{fsdp shard_grad_op}]",
		`{"zero_optimization": {"stage": 3, "offload_param": {"device": "none"}}, "gradient_clipping": 0.5, "train_micro_batch_size_per_gpu": 4, "gradient_accumulation_steps": "auto"}`: "[{fsdp full_shard} {per_device_train_batch_size 4} {max_grad_norm 0.5}]",
		`{"zero_optimization": {"stage": 4}}`:                                         "zero_optimization has stage 4; there are 0 to 3",
		`{"zero_optimization": {"stage": 2, "offload_optimizer": {"device": "cpu"}}}`: "zero_optimization offloads, but what a rank has of weights and moments stays on its device",
		`{"fp16": {"enabled": true}}`:                                                 "fp16 is enabled",
		`{"optimizer": {"type": "Adagrad"}}`:                                          "its optimizer is Adagrad: take it out",
		`[]`:                                                                          "it is not a configuration of DeepSpeed in JSON",
		`{"zero_optimization": 2}`:                                                    "it is not a configuration of DeepSpeed: ",
		`{"x": "` + strings.Repeat("x", MaxDeepSpeed) + `"}`:                          "a configuration of DeepSpeed has at most 1048576 bytes",
	} {
		given, err := DeepSpeed([]byte(text))
		got := fmt.Sprint(given)
		if err != nil {
			got = err.Error()
		}
		require.True(t, strings.HasPrefix(got, want), "%.100s: got %s, want %s", text, got, want)
	}
}

func FuzzDeepSpeed(f *testing.F) {
	f.Add([]byte(`{"zero_optimization": {"stage": 2}, "gradient_clipping": 1}`))
	f.Add([]byte(`{"fp16": {"enabled": "auto"}, "optimizer": {"type": "AdamW"}}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		given, err := DeepSpeed(text)
		if err == nil && (len(given) == 0 || given[0].Name != "fsdp") {
			t.Errorf("%q gives %v", text, given)
		}
	})
}
