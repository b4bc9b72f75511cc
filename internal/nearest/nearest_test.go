package nearest

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestName(t *testing.T) {
	names := []string{"lora_r", "lora_alpha", "learning_rate", "model", "max_length", "bias", "seed", "sample_tokens", "train"}
	for wrong, want := range map[string]string{
		"lerning_rate": "learning_rate", "learning_rte": "learning_rate", "modal": "model", "mdoel": "model", "sede": "seed", "sed": "seed", "trian": "train",
		"max_len": "max_length", "learn_rate": "learning_rate", "max_lnegth": "max_length",
		"lr": "", "bits": "", "zzz": "", "sample_packing": "", "lora_bits": "", "train_batch": "", "learning_rate_max": "", "": "",
	} {
		assert.Equal(t, want, Name(wrong, names), wrong)
	}
}
