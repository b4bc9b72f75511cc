package verbs

import (
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"qlora/cmd/internal/exit"
	"qlora/internal/nearest"
)

// synonyms are other programs' names of verbs.
var synonyms = map[string]string{
	"finetune": "train", "fine-tune": "train", "sft": "train", "tune": "train", "fit": "train", "lora": "train",
	"dpo": "train --objective dpo", "rlhf": "train --objective dpo", "kto": "train --objective kto", "orpo": "train --objective orpo",
	"cpo": "train --objective cpo", "simpo": "train --objective simpo",
	"chat": "generate --chat", "infer": "generate", "inference": "generate", "predict": "generate", "complete": "generate",
	"evaluate": "eval", "test": "eval", "benchmark": "eval",
	"memory": "plan", "estimate": "plan", "show": "preview", "convert": "quantize", "gguf": "export", "info": "doctor", "env": "doctor",
}

// verbFirst returns the command line args of root with the verb as the first one. It
// returns an error for a missing or unknown verb, whatever options follow it.
func verbFirst(root *cobra.Command, args []string) ([]string, error) {
	var names []string
	for _, verb := range root.Commands() {
		if verb.IsAvailableCommand() {
			names = append(names, verb.Name())
		}
	}
	if len(names) == 0 || len(args) == 0 || slices.Contains([]string{"-h", "--help", "--version"}, args[0]) {
		return args, nil
	}
	first := args[0]
	switch {
	case first == "help" && len(args) == 1:
		return []string{"--help"}, nil
	case first == "help":
		return verbFirst(root, []string{args[1], "--help"})
	case first == "version":
		return []string{"--version"}, nil
	case slices.Contains(names, first):
		return args, nil
	case strings.HasPrefix(first, "-"):
		for i, arg := range args {
			if slices.Contains(names, arg) && (i == 1 || !strings.HasPrefix(args[i-1], "-")) {
				return nil, exit.Wrongf("%s is before the verb; write %s %s first, then the options", first, root.Name(), arg)
			}
		}
		return nil, exit.Wrongf("the verb is missing before %s; write %s VERB %s, where VERB is %s", first, root.Name(), first, either(names))
	}
	lower := strings.ToLower(first)
	meant := synonyms[lower]
	if meant == "" {
		meant = nearest.Name(lower, names)
	}
	if meant != "" {
		return nil, exit.Wrongf("there is no verb %q; did you mean %s?", first, meant)
	}
	return nil, exit.Wrongf("there is no verb %q; it can be %s", first, either(names))
}

// either formats a list of names for people: "a, b or c".
func either(names []string) string {
	last := len(names) - 1
	return strings.Join(names[:last], ", ") + " or " + names[last]
}
