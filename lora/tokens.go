package lora

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"qlora/bindings"
	"qlora/nn"
	"qlora/option"
)

// TrainableTokens are the ids whose rows are trained, as PEFT's trainable_token_indices:
// a list, of the embedding, or a map from the embedding and the head, by the ends of
// their names, to lists. The zero value is none.
type TrainableTokens struct {
	IDs     []int32
	Modules map[string][]int32 // nil: IDs are the embedding's
}

// Empty reports whether t has no ids.
func (t TrainableTokens) Empty() bool { return len(t.IDs) == 0 && len(t.Modules) == 0 }

// UnmarshalJSON reads a list, an object of lists or null.
func (t *TrainableTokens) UnmarshalJSON(data []byte) error {
	if bytes.HasPrefix(bytes.TrimSpace(data), []byte{'{'}) {
		return json.Unmarshal(data, &t.Modules)
	}
	return json.Unmarshal(data, &t.IDs)
}

// MarshalJSON returns what UnmarshalJSON reads.
func (t TrainableTokens) MarshalJSON() ([]byte, error) {
	switch {
	case t.Modules != nil:
		return json.Marshal(t.Modules)
	case t.IDs != nil:
		return json.Marshal(t.IDs)
	}
	return []byte("null"), nil
}

// UnmarshalText reads ids separated by commas, or the text of a JSON list or object;
// empty text is none.
func (t *TrainableTokens) UnmarshalText(text []byte) error {
	*t = TrainableTokens{}
	trimmed := strings.TrimSpace(string(text))
	if strings.HasPrefix(trimmed, "[") || strings.HasPrefix(trimmed, "{") {
		if err := t.UnmarshalJSON([]byte(trimmed)); err != nil {
			return fmt.Errorf(`%q is neither a list of token ids, like [5, 7], nor an object of them, like {"embed_tokens": [5, 7]}`, excerpt(text))
		}
		return nil
	}
	for part := range strings.SplitSeq(trimmed, ",") {
		if part = strings.TrimSpace(part); part == "" {
			continue
		}
		id, err := strconv.ParseInt(part, 10, 32)
		if err != nil {
			return fmt.Errorf("%q is not a token id", part)
		}
		t.IDs = append(t.IDs, int32(id))
	}
	return nil
}

// MarshalText returns what UnmarshalText reads: the String.
func (t TrainableTokens) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

// String returns the ids separated by commas, or the object as JSON; "" for none.
func (t TrainableTokens) String() string {
	if t.Modules != nil {
		text, err := json.Marshal(t.Modules)
		if err != nil {
			return err.Error() // an object of lists of numbers is JSON
		}
		return string(text)
	}
	var ids []string
	for _, id := range t.IDs {
		ids = append(ids, strconv.Itoa(int(id)))
	}
	return strings.Join(ids, ",")
}

// resolve returns the rows to train of a model with these ends. As in PEFT, ids of the
// embedding are a tied head's, too, unless it has others.
func (t TrainableTokens) resolve(e nn.Ends, tie bool) (nn.Tokens, error) {
	if t.Modules == nil {
		return nn.Tokens{Embedding: t.IDs}, nil
	}
	var all nn.Tokens
	for _, name := range slices.Sorted(maps.Keys(t.Modules)) {
		switch ids := t.Modules[name]; {
		case name == "":
			return all, option.Errorf("trainable_token_indices", t, "a module's name is empty")
		case strings.HasSuffix(e.Embedding, name):
			all.Embedding = ids
		case strings.HasSuffix(e.Head, name):
			all.Head = ids
		default:
			return all, option.Errorf("trainable_token_indices", t, "%q is neither the embedding, %s, nor the head, %s", name, e.Embedding, e.Head)
		}
	}
	if e.Tied && all.Head != nil && all.Embedding != nil {
		switch {
		case slices.Equal(all.Embedding, all.Head):
			all.Head = nil
		case tie:
			return all, option.Errorf("trainable_token_indices", t, "`ensure_weight_tying` keeps the embedding and the head one matrix: give both the same ids")
		}
	}
	return all, nil
}

// rowsTensors returns the tensors of the trained rows, in the adapter's file.
func rowsTensors(rows []*nn.Rows) []tensor {
	var all []tensor
	for _, r := range rows {
		all = append(all, newTensor(r.Name(), r.Value, r.Value.Rows, r.Value.Cols))
	}
	return all
}

// derive recomputes what depends on the adapters' values.
func (a *Adapters) derive(dev bindings.Device) {
	if a.model != nil {
		a.model.Derive(dev)
	}
}
