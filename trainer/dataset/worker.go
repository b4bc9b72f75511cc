package dataset

import (
	"errors"
	"slices"
	"strings"

	"qlora/nn"
	"qlora/tokenizer"
)

// A vocabulary is a tokenizer with the tokens it adds around a text.
type vocabulary struct {
	tok *tokenizer.Tokenizer
	// The end-of-sequence token is appended as text, as trl does, so that its effect on
	// the text before it (a token may remove spaces) is the same. If the tokenizer does
	// not recognize it in a text, its id is appended.
	eosText string
	eosID   int32
	hasEOS  bool
}

func newVocabulary(tok *tokenizer.Tokenizer) *vocabulary {
	v := &vocabulary{tok: tok}
	v.eosID, v.hasEOS = tok.EOS()
	if text := tok.EOSToken(); v.hasEOS && text != "" {
		if slices.Equal(tok.NewEncoder().Encode(nil, text, false), []int32{v.eosID}) {
			v.eosText = text
		}
	}
	return v
}

// A worker makes examples of records. It belongs to one goroutine.
type worker struct {
	opt        Options
	entry      *entry // whose records these are
	usage      *usage // of this worker's records
	vocabulary *vocabulary
	encoder    *tokenizer.Encoder
	// chats returns the template of conversations, which is read on first use.
	chats    func() (*chats, error)
	report   ChatReport // of the record
	cutShort bool       // a sequence of the record was cut
}

func newWorker(opt Options, v *vocabulary, c func() (*chats, error)) *worker {
	w := &worker{opt: opt, entry: new(entry), usage: newUsage(), vocabulary: v, chats: c}
	if v != nil {
		w.encoder = v.tok.NewEncoder()
	}
	return w
}

// asChat reports whether texts of preferences become the turns of a chat.
func (w *worker) asChat() bool { return w.opt.ApplyChat || w.entry.chat }

// made is the result of a record: no examples if nothing is left to train on.
type made struct {
	examples  []Example
	truncated bool
	long      bool // the prompt leaves no room
	equal     bool // both sides of the pair are equal
	whole     bool // with a prompt of which nothing is masked
}

// make tokenizes a record and cuts it to the longest sequence.
func (w *worker) make(f *format, r record) (made, error) {
	if err := r.parse(); err != nil {
		return made{}, err
	}
	r.usage = w.usage
	r.names = w.entry.names
	r.rename(w.entry.columns)
	r.see()
	if err := r.refused(&w.opt, w.entry.columns); err != nil {
		return made{}, err
	}
	weight, err := r.weight(&w.opt)
	if weight == 0 || err != nil {
		return made{}, err
	}
	if w.entry.prompt != nil {
		if err := w.entry.prompt.write(&r); err != nil {
			return made{}, err
		}
	}
	if w.entry.pairs != nil {
		if err := w.entry.pairs.write(&r); err != nil {
			return made{}, err
		}
	}
	if f.split == nil {
		one, err := w.makeOne(f, r, weight)
		one.whole = f.masks(r) && one.unmasked()
		return one, err
	}
	parts, err := f.split(r)
	if err != nil {
		return made{}, err
	}
	var all made
	for _, part := range parts {
		part.see()
		one, err := w.makeOne(f, part, weight)
		if err != nil {
			return made{}, err
		}
		all.examples = append(all.examples, one.examples...)
		all.truncated = all.truncated || one.truncated
	}
	return all, nil
}

// makeOne tokenizes a single record of its format, as make does, and weighs it.
func (w *worker) makeOne(f *format, r record, weight float64) (made, error) {
	w.cutShort = false
	e, err := f.example(w, r)
	if long := errors.Is(err, errLongPrompt); long || errors.Is(err, errNothing) {
		return made{long: long}, nil
	}
	if err != nil {
		return made{}, err
	}
	if err := w.known(e); err != nil {
		return made{}, err
	}
	if w.opt.Compare == ComparePrompt {
		return made{examples: []Example{e}}, nil
	}
	if w.opt.Compare != "" { // cut already
		one := trainable(w.cutShort, e)
		one.equal = len(e.Starts) == 2 && slices.Equal(e.IDs[:e.Starts[1]], e.IDs[e.Starts[1]:])
		return one, nil
	}
	e.weigh(weight)
	limit := w.opt.MaxLength
	if limit == 0 || len(e.IDs) <= limit {
		return trainable(false, e), nil
	}
	if !f.pieces {
		return trainable(true, e.first(limit)), nil
	}
	var pieces []Example
	for from := 0; from < len(e.IDs); from += limit {
		pieces = append(pieces, e.part(from, min(from+limit, len(e.IDs))))
	}
	return trainable(true, pieces...), nil
}

// known returns an error if ids or labels are outside the model's vocabulary.
func (w *worker) known(e Example) error {
	size := w.opt.VocabularySize
	if size == 0 {
		return nil
	}
	if err := nn.CheckIDs(e.IDs, size); err != nil {
		return err
	}
	return nn.CheckLabels(e.Labels, size)
}

// trainable returns the examples of a record that has something to train on. It keeps
// the last piece of a text even if that is a single token, so that no token is lost.
func trainable(truncated bool, examples ...Example) made {
	if slices.ContainsFunc(examples, func(e Example) bool { return e.Trained() > 0 }) {
		return made{examples: examples, truncated: truncated}
	}
	return made{truncated: truncated}
}

// A setupError is about the tokenizer or the template, not about the record at which it
// occurs.
type setupError struct{ error }

func (e setupError) Unwrap() error { return e.error }

func isSetup(err error) bool { return errors.As(err, new(setupError)) }

var errNoTokenizer = setupError{errors.New("text needs a tokenizer; name a model folder with tokenizer.json or tokenizer.model")}

// text returns the example of a text that is trained on as a whole.
func (w *worker) text(text string) (Example, error) {
	ids, err := w.closed(text, text)
	return Example{IDs: ids, Labels: slices.Clone(ids)}, err
}

// pair returns the example of a prompt and its completion, tokenized as one string. The
// completion begins where the tokens of the prompt alone and those of the whole differ:
// a token may span the border, and is then trained on.
func (w *worker) pair(prompt, completion string) (Example, error) {
	ids, err := w.closed(prompt+completion, completion)
	if err != nil {
		return Example{}, err
	}
	labels := slices.Clone(ids)
	if w.opt.wholePairs() {
		return Example{IDs: ids, Labels: labels}, nil
	}
	ignoreCommon(labels, w.encoder.EncodePrompt(prompt))
	return Example{IDs: ids, Labels: labels}, nil
}

// closed returns the tokens of text between the post-processor's tokens and the end of
// the sequence. What the text already begins with, or ending, its last part, ends with,
// is not added again.
func (w *worker) closed(text, ending string) ([]int32, error) {
	v := w.vocabulary
	if v == nil {
		return nil, errNoTokenizer
	}
	asID := v.hasEOS
	if v.eosText != "" {
		asID = false
		if !strings.HasSuffix(ending, v.eosText) {
			text += v.eosText
		}
	}
	ids := w.encoder.EncodePrompt(text)
	if asID && (len(ids) == 0 || ids[len(ids)-1] != v.eosID) {
		ids = append(ids, v.eosID)
	}
	return ids, nil
}
