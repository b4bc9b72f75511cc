package verbs

import (
	"qlora/chat"
	"qlora/cmd/internal/exit"
	"qlora/tokenizer"
	"qlora/trainer"
	"qlora/trainer/dataset"
)

// ends returns the tokens at which the tuned model stops. If chats are trained on, it
// warns of a chat template that ends a turn with a text that is not a token.
func (o *tuneOptions) ends(c *call, tok *tokenizer.Tokenizer, model *trainer.Base, read *dataset.Report) ([]int32, error) {
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
	if template != nil && read.Chats() {
		c.noteEnd(template, tok, ends)
	}
	return ends, nil
}

// noteEnd warns of a template that ends a turn with a text that is not a token.
func (c *call) noteEnd(template *chat.Template, tok *tokenizer.Tokenizer, stop []int32) {
	var names []string
	for _, id := range stop {
		if name := tok.Token(id); name != "" {
			names = append(names, name)
		}
	}
	if warning := template.Warning(names); warning != "" {
		c.note("warning: " + warning)
	}
}
