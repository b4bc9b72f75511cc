package serve

import (
	"errors"
	"sync"

	"qlora/chat"
	"qlora/nn"
	"qlora/tokenizer"
)

// A Model is what a request chooses by name: the base, or an adapter on it.
type Model struct {
	Name     string
	Parent   string // the name of an adapter's base; "": this is the base
	Tok      *tokenizer.Tokenizer
	Template *chat.Template // nil: the model has none, so it answers no chats
	NoChats  error          // why, if Template is nil
	Ends     []int32        // tokens that end an answer
	Adapters *nn.Overlay    // nil: the base

	mu      sync.Mutex // of the template and the encoder
	encoder *tokenizer.Encoder
}

// prompt returns the tokens of a request.
func (m *Model) prompt(r *request, vocabulary int) ([]int32, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	ids, field := r.tokens, "prompt"
	switch {
	case r.chat != nil:
		field = "messages"
		if m.Template == nil {
			return nil, wrong("model", "%v; use /v1/completions", m.NoChats)
		}
		var err error
		if ids, err = m.Template.PromptOf(r.chat); err != nil {
			return nil, wrong(field, "%v", err)
		}
	case ids == nil:
		if m.encoder == nil {
			m.encoder = m.Tok.NewEncoder()
		}
		ids = m.encoder.EncodePrompt(r.text)
	}
	err := nn.CheckIDs(ids, vocabulary)
	if len(ids) == 0 {
		err = errors.New("has no tokens; this model needs at least one")
	}
	if err != nil {
		return nil, wrong(field, "%v", err)
	}
	return ids, nil
}
