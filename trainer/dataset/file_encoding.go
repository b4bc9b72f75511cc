package dataset

import (
	"bufio"
	"bytes"
	"errors"
	"io"
)

var (
	errUTF16 = errors.New("the file is UTF-16 text; convert it: iconv -f UTF-16 -t UTF-8 OLD > NEW")
	errUTF32 = errors.New("the file is UTF-32 text; convert it: iconv -f UTF-32 -t UTF-8 OLD > NEW")
)

// checkEncoding returns a reader of the same text, or an error if its first bytes are
// those of text in UTF-16 or UTF-32, as some programs of Windows write it.
func checkEncoding(text io.Reader) (io.Reader, error) {
	in := bufio.NewReaderSize(text, 1<<16)
	head, _ := in.Peek(4) // a read error is left to the reader of the records
	for _, mark := range []string{"\xff\xfe\x00\x00", "\x00\x00\xfe\xff"} {
		if bytes.HasPrefix(head, []byte(mark)) {
			return nil, errUTF32
		}
	}
	for _, mark := range []string{"\xff\xfe", "\xfe\xff"} {
		if bytes.HasPrefix(head, []byte(mark)) {
			return nil, errUTF16
		}
	}
	if len(head) == 4 && (head[0] == 0) == (head[2] == 0) && (head[1] == 0) == (head[3] == 0) && (head[0] == 0) != (head[1] == 0) {
		return nil, errUTF16 // without a mark: every other byte of Latin letters is 0
	}
	return in, nil
}
