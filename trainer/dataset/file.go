package dataset

import (
	"fmt"
	"io"
	"iter"
	"path/filepath"
	"strings"
)

// maxRecord is the length in bytes that a record may have: more than any
// document needs, and little enough to hold.
const maxRecord = 64 << 20

// A fileType reads the records of a file. The line of a record that comes
// with an error is that of the error; nothing comes after an error.
type fileType struct {
	ending  string
	records func(io.Reader) iter.Seq2[record, error]
}

var fileTypes = []fileType{
	{".jsonl", jsonLines},
	{".json", jsonArray},
	{".txt", plainText},
}

// fileTypeOf goes by the name's ending.
func fileTypeOf(path string) (fileType, error) {
	var endings []string
	for _, kind := range fileTypes {
		if strings.EqualFold(filepath.Ext(path), kind.ending) {
			return kind, nil
		}
		endings = append(endings, kind.ending)
	}
	return fileType{}, fmt.Errorf("%s: a dataset file's name must end in one of %s", path, strings.Join(endings, ", "))
}

// utf8Mark may stand at the beginning of a file and is no part of it.
const utf8Mark = "\xef\xbb\xbf"
