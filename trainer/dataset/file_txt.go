package dataset

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"iter"
	"unicode/utf8"
)

// maxText bounds the length of a plain text in bytes; it is read whole.
const maxText = 1 << 30

// plainText returns one document: the whole file. A file without text has none.
func plainText(from io.Reader) iter.Seq2[record, error] {
	return func(yield func(record, error) bool) {
		whole, err := io.ReadAll(io.LimitReader(from, maxText+1))
		whole = bytes.TrimPrefix(whole, []byte(utf8Mark))
		switch {
		case err != nil:
		case len(whole) > maxText:
			err = fmt.Errorf("the text is longer than %d bytes; cut it into several files", maxText)
		case bytes.IndexByte(whole, 0) >= 0:
			err = errNUL
		case !utf8.Valid(whole):
			err = errors.New("the text is not UTF-8; convert the file")
		}
		if err == nil && len(bytes.TrimSpace(whole)) == 0 {
			return
		}
		yield(record{line: 1, texts: map[string]string{"text": string(whole)}}, err)
	}
}
