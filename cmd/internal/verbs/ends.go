package verbs

import (
	"fmt"
	"slices"
	"strings"

	"qlora/chat"
	"qlora/cmd/internal/exit"
	"qlora/tokenizer"
	"qlora/trainer"
	"qlora/trainer/dataset"
)

// ends returns the tokens at which the tuned model stops. If chats are trained on, it
// warns of a chat template that ends a turn with a text that is not a token, and of
// records that train on none of the tokens.
func (o *tuneOptions) ends(c *call, tok *tokenizer.Tokenizer, model *trainer.Base, set *dataset.Set) ([]int32, error) {
	if tok == nil {
		return nil, nil
	}
	template, err := chat.Open(o.data.Model, o.data.Records.ChatTemplate, tok)
	if err != nil { // texts need no template, and chats were read with it
		template = nil
	}
	ends, err := model.Ends(tok, template)
	if err != nil {
		return nil, exit.AsWrong(err)
	}
	if template != nil && set.Report.Chats() && !c.noteEnd(template, tok, ends) && !o.run.Samples() && !trainsOn(set.Examples, ends) {
		c.note(fmt.Sprintf("warning: no record trains on a token that ends generation (%s): the tuned model will not stop by itself; use a chat template that ends each turn with one, or a larger `max_length`",
			strings.Join(names(tok, ends), ", ")))
	}
	return ends, nil
}

// trainsOn reports whether one of the tokens is a label.
func trainsOn(examples []dataset.Example, tokens []int32) bool {
	return slices.ContainsFunc(examples, func(e dataset.Example) bool {
		return slices.ContainsFunc(e.Labels, func(label int32) bool { return slices.Contains(tokens, label) })
	})
}

// noteEnd warns of a template that ends a turn with a text that is not a token, and
// reports whether it did.
func (c *call) noteEnd(template *chat.Template, tok *tokenizer.Tokenizer, stop []int32) bool {
	warning := template.Warning(names(tok, stop))
	if warning != "" {
		c.note("warning: " + warning)
	}
	return warning != ""
}

// names returns the names of tokens that have one.
func names(tok *tokenizer.Tokenizer, ids []int32) []string {
	var all []string
	for _, id := range ids {
		if name := tok.Token(id); name != "" {
			all = append(all, name)
		}
	}
	return all
}
