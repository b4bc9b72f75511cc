package nearest

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestName(t *testing.T) {
	names := []string{"lora_r", "lora_alpha", "learning_rate", "model", "max_length"}
	for wrong, want := range map[string]string{
		"lora_rank": "lora_r", "lr": "", "modal": "model", "max_len": "max_length", "learn_rate": "learning_rate", "zzz": "",
	} {
		assert.Equal(t, want, Name(wrong, names), wrong)
	}
}
