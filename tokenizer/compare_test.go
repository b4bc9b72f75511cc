package tokenizer

import "fmt"

// describe names the first index at which got and want differ, or returns "".
func describe[T comparable](what string, got, want []T) string {
	for i := range min(len(got), len(want)) {
		if got[i] != want[i] {
			return fmt.Sprintf("%s: at %d got %v, want %v (got %v, want %v)", what, i, got[i], want[i], got, want)
		}
	}
	return fmt.Sprintf("%s: got %d, want %d (got %v, want %v)", what, len(got), len(want), got, want)
}
