package dataset

import "qlora/option"

// Loss chooses the tokens of chats and of pairs that are trained on, as TRL's SFTConfig
// does. A nil field is as TrainOnInputs says.
type Loss struct {
	AssistantOnly  *bool `option:"assistant_only_loss" help:"train only on the assistant's turns of a chat; false: on all of it; default: true unless train_on_inputs"`
	CompletionOnly *bool `option:"completion_only_loss" help:"train only on the completion of a prompt and its completion, also of alpaca; false: on both; default: true unless train_on_inputs"`
}

// wholeChats reports whether chats are trained on as a whole.
func (o *Options) wholeChats() bool {
	if o.AssistantOnly != nil {
		return !*o.AssistantOnly
	}
	return o.TrainOnInputs
}

// wholePairs reports whether prompts are trained on with their completions.
func (o *Options) wholePairs() bool {
	if o.CompletionOnly != nil {
		return !*o.CompletionOnly
	}
	return o.TrainOnInputs
}

// checkLoss returns an error if the options contradict each other.
func (o *Options) checkLoss() error {
	if o.TrainOnInputs && o.AssistantOnly != nil && *o.AssistantOnly {
		return option.Errorf("assistant_only_loss", true, "`train_on_inputs` trains on the other turns too; give one of them")
	}
	if o.TrainOnInputs && o.CompletionOnly != nil && *o.CompletionOnly {
		return option.Errorf("completion_only_loss", true, "`train_on_inputs` trains on the prompts too; give one of them")
	}
	return nil
}

// OnAnswers returns the options with a loss on completions and the assistant's turns
// only.
func (o Options) OnAnswers() Options {
	o.TrainOnInputs, o.Loss = false, Loss{}
	return o
}
