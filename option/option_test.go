package option

import (
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestErrorIsASentence(t *testing.T) {
	for want, err := range map[string]error{
		"`lora_r` is 0, but it must be at least 1":                    Errorf("lora_r", 0, "it must be at least %d", 1),
		"`bias` is \"some\", but it can be none, all or lora_only":    Errorf("bias", "some", "it can be none, all or lora_only"),
		"`report_to` is [none live], but none goes with nothing else": Errorf("report_to", []string{"none", "live"}, "none goes with nothing else"),
	} {
		require.EqualError(t, err, want)
		var refused *Error
		require.True(t, errors.As(fmt.Errorf("run: %w", err), &refused))
	}
}

func TestSpell(t *testing.T) {
	dashed := func(name string) string { return "--" + name }
	for text, want := range map[string]string{
		"`lora_r` is 0; try `recompute` layer": "--lora_r is 0; try --recompute layer",
		"`qlora doctor` says where":            "`qlora doctor` says where",
		"nothing":                              "nothing",
	} {
		require.Equal(t, want, Spell(text, dashed))
	}
}
