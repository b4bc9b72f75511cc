package dataset

import "fmt"

// CheckIDs refuses a token that a model with a vocabulary of that size has no entry
// for.
func CheckIDs(ids []int32, vocabulary int) error {
	for i, id := range ids {
		if id < 0 || int(id) >= vocabulary {
			return fmt.Errorf("token %d has id %d, but the model's vocabulary has %d entries; use the model's own tokenizer", i, id, vocabulary)
		}
	}
	return nil
}

// CheckLabels refuses a label that is neither Ignored nor an id of such a vocabulary.
func CheckLabels(labels []int32, vocabulary int) error {
	for i, label := range labels {
		if label != Ignored && (label < 0 || int(label) >= vocabulary) {
			return fmt.Errorf("label %d is %d, but the model's vocabulary has %d entries", i, label, vocabulary)
		}
	}
	return nil
}
