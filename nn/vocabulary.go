package nn

import (
	"fmt"

	"qlora/bindings"
)

// CheckIDs returns an error if an id is outside a vocabulary of that size.
func CheckIDs(ids []int32, vocabulary int) error {
	for i, id := range ids {
		if id < 0 || int(id) >= vocabulary {
			return fmt.Errorf("token %d has id %d, but the model's vocabulary has %d entries; use the model's own tokenizer", i, id, vocabulary)
		}
	}
	return nil
}

// CheckLabels returns an error if a label is neither bindings.IgnoreLabel nor an id of
// a vocabulary of that size.
func CheckLabels(labels []int32, vocabulary int) error {
	for i, label := range labels {
		if label != bindings.IgnoreLabel && (label < 0 || int(label) >= vocabulary) {
			return fmt.Errorf("label %d is %d, but the model's vocabulary has %d entries", i, label, vocabulary)
		}
	}
	return nil
}
