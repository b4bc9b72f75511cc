package tokenizer

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
)

// Limits on what a file may request; real files stay far below them.
const (
	maxFileBytes  = 256 << 20
	maxHoles      = 1 << 16 // ids without a token, beyond as many again as there are tokens
	maxComponents = 64      // steps of one kind, so that each may only multiply the text a little
)

// Load reads one tokenizer.json. BOS, EOS and PAD stay unset: that file does not name them; see
// LoadFolder.
func Load(path string) (*Tokenizer, error) {
	return placeOf(filepath.Dir(path)).load(path)
}

// load reads the tokenizer.json at path.
func (p place) load(path string) (*Tokenizer, error) {
	data, err := p.read(path)
	if err != nil {
		return nil, err
	}
	t, err := parse(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	t.files, t.path, t.dir = []string{path}, path, p
	t.digest(path, data)
	return t, nil
}

// digest adds a file of the tokenizer to its sum.
func (t *Tokenizer) digest(path string, data []byte) {
	h := sha256.New()
	h.Write(t.sum[:])
	fmt.Fprintf(h, "%q %d\n", filepath.Base(path), len(data))
	h.Write(data)
	h.Sum(t.sum[:0])
}

func parse(data []byte) (*Tokenizer, error) {
	var f file
	if err := json.Unmarshal(data, &f); err != nil {
		return nil, err
	}
	t := &Tokenizer{bos: -1, eos: -1, pad: -1}
	if err := t.readModel(&f.Model); err != nil {
		return nil, fmt.Errorf("model: %w", err)
	}
	if err := t.numberTokens(f.AddedTokens); err != nil {
		return nil, err
	}
	var err error
	if t.normalizer, err = newNormalizer(f.Normalizer); err != nil {
		return nil, fmt.Errorf("normalizer: %w", err)
	}
	t.splitAdded(f.AddedTokens)
	if t.preTokenizers, err = newPreTokenizers(f.PreTokenizer); err != nil {
		return nil, fmt.Errorf("pre_tokenizer: %w", err)
	}
	if b, ok := t.model.(*bpe); ok && b.cutsBeforeSpaces() {
		t.preTokenizers = append(t.preTokenizers, cutBeforeSpaces)
	}
	t.alwaysAlign = f.Normalizer != nil && prependsFirst(f.PreTokenizer)
	if t.post, err = newPostProcessor(f.PostProcessor, t); err != nil {
		return nil, fmt.Errorf("post_processor: %w", err)
	}
	if t.decoders, err = newDecoders(f.Decoder); err != nil {
		return nil, fmt.Errorf("decoder: %w", err)
	}
	return t, nil
}

// readModel sets the model and the ids of its tokens.
func (t *Tokenizer) readModel(m *modelFile) error {
	var err error
	switch {
	case m.Type == "Unigram":
		t.model, t.ids, err = newUnigram(m)
	case m.Type == "BPE" || m.Type == "" && m.Merges != nil:
		t.model, t.ids, err = newBPE(m)
	default:
		return fmt.Errorf("type %q is not supported; BPE and Unigram are", m.Type)
	}
	return err
}

// numberTokens assigns ids to the added tokens and builds the table by id. A token that the
// model has too keeps the model's id.
func (t *Tokenizer) numberTokens(added []addedToken) error {
	for i := range added {
		a := &added[i]
		if a.Content == "" {
			return fmt.Errorf("added_tokens: entry %d has no content", i)
		}
		if id, ok := t.ids[a.Content]; ok {
			a.ID = id
		}
	}
	t.modelSize = len(t.ids)
	top := int32(-1)
	for _, id := range t.ids {
		top = max(top, id)
	}
	for _, a := range added {
		if a.ID < 0 {
			return fmt.Errorf("added_tokens: %q has the id %d", a.Content, a.ID)
		}
		top = max(top, a.ID)
	}
	count := len(t.ids) + len(added)
	if count == 0 {
		return errors.New("model: the vocabulary is empty")
	}
	if int(top) > 2*count+maxHoles {
		return fmt.Errorf("id %d is too large for %d tokens", top, count)
	}
	t.tokens = make([]string, top+1)
	t.special = make([]bool, top+1)
	for name, id := range t.ids {
		t.tokens[id] = name
	}
	for _, a := range added {
		if _, ok := t.ids[a.Content]; !ok {
			t.ids[a.Content] = a.ID
		}
		t.tokens[a.ID] = a.Content
		t.special[a.ID] = t.special[a.ID] || a.Special
	}
	return nil
}

// flatten returns the steps of a component: the steps of a Sequence in order, or the component
// itself.
func flatten(c *component, inner func(*component) []component) ([]*component, error) {
	if c == nil {
		return nil, nil
	}
	if c.Type != "Sequence" {
		return []*component{c}, nil
	}
	var steps []*component
	list := inner(c)
	for i := range list {
		more, err := flatten(&list[i], inner)
		if err != nil {
			return nil, err
		}
		if steps = append(steps, more...); len(steps) > maxComponents {
			return nil, fmt.Errorf("a sequence has more than %d steps", maxComponents)
		}
	}
	return steps, nil
}
