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

// otherKinds are the first bytes, in small letters, of files that are no text of records.
var otherKinds = []struct {
	start string
	err   error
}{
	{"par1", errors.New("the file is Parquet; give it a name that ends in .parquet")},
	{"arrow1", errors.New("the file is Arrow; give it a name that ends in .arrow")},
	{"pk\x03\x04", errors.New("the file is a ZIP archive; unpack it")},
	{"<!doctype html", errHTML},
	{"<html", errHTML},
}

var errHTML = errors.New("the file is a page of a website, not data; download the file itself")

// checkEncoding returns a reader of the same text, or an error if its first bytes are
// those of a file of another kind, or of text in UTF-16 or UTF-32, as some programs of
// Windows write it.
func checkEncoding(text io.Reader) (io.Reader, error) {
	in := bufio.NewReaderSize(text, 1<<16)
	head, _ := in.Peek(32) // a read error is left to the reader of the records
	small := bytes.ToLower(bytes.TrimLeft(bytes.TrimPrefix(head, []byte(utf8Mark)), blanks))
	for _, other := range otherKinds {
		if bytes.HasPrefix(small, []byte(other.start)) {
			return nil, other.err
		}
	}
	head = head[:min(len(head), 4)]
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
