package verbs

import (
	"testing"

	"github.com/stretchr/testify/require"

	"qlora/cmd/internal/exit"
)

func TestUnknownVerbs(t *testing.T) {
	for _, c := range []struct {
		args []string
		want string
	}{
		{[]string{"trian", "--model", "x", "--dataset", "y", "--learning_rat", "1"}, `there is no verb "trian"; did you mean train?`},
		{[]string{"Train", "-x"}, "did you mean train?"},
		{[]string{"finetune", "--model", "x"}, "did you mean train?"},
		{[]string{"dpo", "--model", "x"}, "did you mean train --objective dpo?"},
		{[]string{"rlhf"}, "did you mean train --objective dpo?"},
		{[]string{"chat"}, "did you mean generate --chat?"},
		{[]string{"merg", "--output_dir=x"}, "did you mean merge?"},
		{[]string{"xyzzyxyzzy", "--model", "x"}, "it can be completion, demo, doctor, eval, "},
		{[]string{"--model", "x"}, "the verb is missing before --model; write qlora VERB --model, where VERB is completion, demo, doctor, eval, "},
		{[]string{"--model", "x", "train"}, "--model is before the verb; write qlora train first, then the options"},
		{[]string{"-m", "x"}, "the verb is missing before -m"},
		{[]string{"help", "trian"}, "did you mean train?"},
		{[]string{"", "--model"}, `there is no verb ""`},
	} {
		code, stdout, stderr := runHere(c.args...)
		require.Equal(t, exit.Wrong, code, "%q", c.args)
		require.Empty(t, stdout)
		require.Contains(t, stderr, c.want)
	}
	for _, args := range [][]string{{}, {"help"}, {"--help"}, {"-h"}, {"help", "train"}, {"train", "--help"}, {"version"}, {"--version"}} {
		code, stdout, stderr := runHere(args...)
		require.Equal(t, exit.Done, code, "%q: %s", args, stderr)
		require.Contains(t, stdout, "qlora")
	}
}
