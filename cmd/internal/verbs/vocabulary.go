package verbs

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"qlora/cmd/internal/exit"
	"qlora/tokenizer"
	"qlora/trainer"
)

// vocabularyOptions are the options that enlarge the vocabulary.
type vocabularyOptions struct {
	Tokens  []string `option:"add_tokens" literal:"true" help:"tokens to add to the tokenizer; their rows of the embedding and the head begin as the mean of the others and are trained"`
	Special []string `option:"add_special_tokens" literal:"true" help:"tokens to add as special ones, which are not part of the text"`
	Resize  string   `option:"resize_token_embeddings" help:"rows of the embedding and the head: true, as many as the tokenizer has tokens, or a number, as many rounded up to a multiple of it; never fewer than the model has; default: true with added tokens"`
}

// adding reports whether tokens are added.
func (o *vocabularyOptions) adding() bool { return len(o.Tokens)+len(o.Special) > 0 }

// multiple returns the number that the rows are a multiple of; 0: they stay.
func (o *vocabularyOptions) multiple() (int, error) {
	switch o.Resize {
	case "":
		if o.adding() {
			return 1, nil
		}
		return 0, nil
	case "true":
		return 1, nil
	case "false":
		return 0, nil
	}
	const most = 1 << 16
	n, err := strconv.Atoi(o.Resize)
	if err != nil || n < 1 || n > most {
		return 0, exit.Wrongf("--resize_token_embeddings is %q, but it can be true, false or a number from 1 to %d, of which the rows become a multiple", o.Resize, most)
	}
	return n, nil
}

// tokenizer returns the tokenizer of the model or the adapter to continue, with the
// added tokens, and the ids of the new ones. It is nil for a folder without one.
func (o *tuneOptions) tokenizer() (tok *tokenizer.Tokenizer, fresh []int32, err error) {
	add := &o.data.Vocabulary
	if tok, err = openTokenizerIfAny(o.data.Model, o.adapters.Adapter); err != nil || !add.adding() {
		return tok, nil, err
	}
	if tok == nil {
		return nil, nil, exit.Wrongf("--add_tokens needs a tokenizer, and %s has none", o.data.Model)
	}
	var tokens []tokenizer.AddedToken
	for _, text := range add.Tokens {
		tokens = append(tokens, tokenizer.AddedToken{Content: text, Normalized: true}) // as add_tokens of a string
	}
	for _, text := range add.Special {
		if text == "true" || text == "false" { // transformers' flag of that name
			return nil, nil, exit.Wrongf("--add_special_tokens is a list of tokens to add, and %s is none", text)
		}
		tokens = append(tokens, tokenizer.AddedToken{Content: text, Special: true})
	}
	more, err := tok.Add(tokens)
	if err != nil {
		return nil, nil, exit.Wrongf("--add_tokens: %w", err)
	}
	for _, t := range tokens {
		if _, had := tok.ID(t.Content); had {
			continue
		}
		if id, ok := more.ID(t.Content); ok && !slices.Contains(fresh, id) {
			fresh = append(fresh, id)
		}
	}
	slices.Sort(fresh)
	return more, fresh, nil
}

// vocabulary returns the tokenizer, after enlarging the model to its tokens.
func (o *tuneOptions) vocabulary(c *call, m *trainer.Base) (*tokenizer.Tokenizer, error) {
	multiple, err := o.data.Vocabulary.multiple()
	if err != nil {
		return nil, err
	}
	tok, fresh, err := o.tokenizer()
	if err != nil {
		return nil, err
	}
	if len(fresh) > 0 && o.adapters.Adapter != "" {
		return nil, exit.Wrongf("--add_tokens adds tokens that the adapter of --adapter does not train; merge it first and train on the merged model")
	}
	had := m.Config.Vocabulary
	if multiple > 0 {
		if tok == nil {
			return nil, exit.Wrongf("--resize_token_embeddings needs a tokenizer, and %s has none", o.data.Model)
		}
		rows := (tok.Size() + multiple - 1) / multiple * multiple
		if rows > had {
			if err := m.ResizeTokens(rows); err != nil {
				return nil, exit.AsWrong(err)
			}
			c.note(fmt.Sprintf("the embedding and the head have %d rows instead of %d; the new ones begin as the mean of the others", rows, had))
		} else if o.data.Vocabulary.Resize != "" {
			c.note(fmt.Sprintf("--resize_token_embeddings changes nothing: the embedding has %d rows, and the tokenizer %d tokens", had, tok.Size()))
		}
	}
	o.fresh = fresh
	if m.TrainTokens(fresh) {
		c.note(fmt.Sprintf("the rows of the %d new tokens are trained with the adapters (--trainable_token_indices)", len(fresh)))
	}
	if modules := m.UntrainedTokens(fresh); len(modules) > 0 {
		c.note(fmt.Sprintf("new tokens have rows of %s that are not trained and stay the mean: --trainable_token_indices or --modules_to_save trains them", strings.Join(modules, " and ")))
	}
	return tok, nil
}

// withTokenizer replaces the model's tokenizer in the adapter's files by that of
// training, if tokens were added or it comes from an adapter.
func (o *tuneOptions) withTokenizer(files []trainer.File, tok *tokenizer.Tokenizer) ([]trainer.File, error) {
	if tok == nil || len(o.fresh) == 0 && o.adapters.Adapter == "" && !o.data.Vocabulary.adding() {
		return files, nil
	}
	defined, err := tok.Definition()
	if err != nil {
		return nil, exit.AsWrong(err)
	}
	for name, data := range defined {
		files = slices.DeleteFunc(files, func(f trainer.File) bool { return f.Name == name })
		files = append(files, trainer.File{Name: name, Data: data})
	}
	slices.SortFunc(files, func(a, b trainer.File) int { return strings.Compare(a.Name, b.Name) })
	return files, nil
}
