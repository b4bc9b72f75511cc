package dataset

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
)

// A pretokenized record is used unchanged, including its labels. Without labels, all of
// it is trained on but what its masks exclude, as in trl. A list of weights multiplies the loss
// of each token.
var pretokenized = format{
	name:   "pretokenized",
	fields: []string{"input_ids"},
	example: func(w *worker, r record) (Example, error) {
		ids, err := r.ids("input_ids", 0)
		if err != nil {
			return Example{}, err
		}
		labels := slices.Clone(ids)
		switch {
		case r.has("labels"):
			if labels, err = r.ids("labels", Ignored); err != nil {
				return Example{}, err
			}
			if len(labels) != len(ids) {
				return Example{}, fmt.Errorf("%d input_ids but %d labels; every token needs a label, %d to ignore it", len(ids), len(labels), Ignored)
			}
		default:
			if err := r.mask(labels, &w.opt); err != nil {
				return Example{}, err
			}
		}
		e := Example{IDs: ids, Labels: labels}
		if !w.opt.wholeChats() {
			if e.Weights, err = r.tokenWeights(labels); err != nil {
				return Example{}, err
			}
		}
		return r.divide(e)
	},
}

// parseIDs parses a valid JSON array of token ids. An id is 0 or more; special is
// allowed too.
func parseIDs(array json.RawMessage, special int32) ([]int32, error) {
	array = bytes.TrimSpace(array)
	if len(array) < 2 || array[0] != '[' {
		return nil, fmt.Errorf("it is %s, not an array of token ids", shown(array))
	}
	array = bytes.TrimSpace(array[1 : len(array)-1])
	if bytes.HasPrefix(array, []byte{'['}) {
		return nil, errors.New("it is a list of lists, not one list of token ids")
	}
	if len(array) == 0 {
		return nil, nil
	}
	ids := make([]int32, 0, bytes.Count(array, []byte{','})+1)
	for number := range bytes.SplitSeq(array, []byte{','}) {
		number = bytes.TrimSpace(number)
		id, err := strconv.ParseInt(string(number), 10, 32)
		if err != nil || id < 0 && int32(id) != special {
			return nil, fmt.Errorf("element %d is %s, which is not a token id", len(ids), shown(number))
		}
		ids = append(ids, int32(id))
	}
	return ids, nil
}
