package dataset

import (
	"fmt"
	"slices"
)

// tokenMasks are lists of 0 and 1 beside input_ids: a token of 0 is not trained on. All
// of them must allow a token, as in trl.
var tokenMasks = []string{"assistant_masks", "assistant_mask", "completion_mask", "loss_mask"}

// mask ignores the labels of tokens that a mask excludes. Options that train on prompts
// or whole chats turn their masks off.
func (r *record) mask(labels []int32, opt *Options) error {
	for _, name := range tokenMasks {
		if name == "completion_mask" && opt.wholePairs() || name != "completion_mask" && opt.wholeChats() {
			continue
		}
		flags, err := r.flags(name, len(labels))
		if err != nil {
			return err
		}
		for i, f := range flags {
			if f == 0 {
				labels[i] = Ignored
			}
		}
	}
	return nil
}

// flags returns a field that is a list of 0 and 1, or of false and true, one for each of
// n tokens; nil if the record has none.
func (r *record) flags(name string, n int) ([]int32, error) {
	if !r.has(name) {
		return nil, nil
	}
	flags, err := r.numbers(name, n)
	if err != nil {
		return nil, err
	}
	for i, f := range flags {
		if f != 0 && f != 1 {
			return nil, fmt.Errorf("element %d of %q is %d; it must be 0 or 1", i, name, f)
		}
	}
	return flags, nil
}

// numbers returns a field that is a list of n whole numbers or truth values.
func (r *record) numbers(name string, n int) ([]int32, error) {
	all, err := r.floats(name, n)
	if err != nil {
		return nil, err
	}
	list := make([]int32, n)
	for i, x := range all {
		if list[i] = int32(x); x != float64(list[i]) {
			return nil, fmt.Errorf("element %d of %q is %g; it must be a whole number", i, name, x)
		}
	}
	return list, nil
}

// divide removes the padding of a tokenized record and finds its documents.
//
// Padding is where attention_mask is 0. The model sees none of it and learns nothing from
// it, so it is removed: at both ends, but inside it is an error. Documents begin where
// position_ids restart at 0, where seq_lengths end, or where the numbers in attention_mask
// change.
func (r *record) divide(e Example) (Example, error) {
	n := len(e.IDs)
	from, to := 0, n
	var starts []int32
	source := ""
	found := func(name string, at []int32) error {
		at = slices.DeleteFunc(at, func(s int32) bool { return int(s) >= to })
		for i := range at {
			at[i] = max(0, at[i]-int32(from))
		}
		at = slices.Compact(at)
		if source != "" && !slices.Equal(at, starts) {
			return fmt.Errorf("%q and %q divide the record into different documents; keep one of them", source, name)
		}
		starts, source = at, name
		return nil
	}
	if r.has("attention_mask") {
		mask, err := r.numbers("attention_mask", n)
		if err != nil {
			return e, err
		}
		for from < to && mask[from] == 0 {
			from++
		}
		for to > from && mask[to-1] == 0 {
			to--
		}
		r.removed(n - (to - from))
		if from == to {
			return e, errNothing
		}
		if at := slices.Index(mask[from:to], 0); at >= 0 {
			return e, fmt.Errorf("attention_mask is 0 at token %d, between tokens that the model sees; only padding at an end can be hidden", from+at)
		}
		if slices.Max(mask) > 1 {
			if err := found("attention_mask", changes(mask, from)); err != nil {
				return e, err
			}
		}
	}
	if r.has("seq_lengths") {
		ends, err := r.ends(n, to)
		if err != nil {
			return e, err
		}
		if err := found("seq_lengths", ends); err != nil {
			return e, err
		}
	}
	if r.has("position_ids") {
		at, err := r.restarts(n, from, to)
		if err != nil {
			return e, err
		}
		if err := found("position_ids", at); err != nil {
			return e, err
		}
	}
	if len(starts) < 2 {
		starts = nil
	}
	part := e.part(from, to)
	part.Starts = starts
	return part, nil
}

func (r *record) removed(tokens int) {
	if r.usage != nil {
		r.usage.padding += int64(tokens)
	}
}

// changes returns from and the places behind it at which the numbers change.
func changes(list []int32, from int) []int32 {
	at := []int32{int32(from)}
	for i := from + 1; i < len(list); i++ {
		if list[i] != list[i-1] {
			at = append(at, int32(i))
		}
	}
	return at
}

// ends returns where the documents of seq_lengths begin. They must cover the record's n
// tokens, or the first to without padding.
func (r *record) ends(n, to int) ([]int32, error) {
	lengths, err := r.ids("seq_lengths", 0)
	if err != nil {
		return nil, err
	}
	at := []int32{0}
	for _, length := range lengths {
		at = append(at, at[len(at)-1]+length)
	}
	if sum := int(at[len(at)-1]); slices.Contains(lengths, 0) || sum != n && sum != to {
		return nil, fmt.Errorf("seq_lengths add up to %d, but the record has %d input_ids; they must be the lengths of its documents", sum, n)
	}
	return at[:len(at)-1], nil
}

// restarts returns where position_ids are 0. They must count up from there.
func (r *record) restarts(n, from, to int) ([]int32, error) {
	at, err := r.numbers("position_ids", n)
	if err != nil {
		return nil, err
	}
	starts := []int32{int32(from)}
	for i := from; i < to; i++ {
		switch {
		case at[i] == 0:
			starts = append(starts, int32(i))
		case i == from && from == 0, i > from && at[i] != at[i-1]+1:
			return nil, fmt.Errorf("position_ids are %d at token %d; they must be 0, 1, 2, … from each document's beginning", at[i], i)
		}
	}
	return slices.Compact(starts), nil
}
