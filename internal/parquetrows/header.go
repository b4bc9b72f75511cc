package parquetrows

import (
	"io"

	"github.com/parquet-go/parquet-go/format"
)

// A pageHeader holds what determines how a page is decoded.
type pageHeader struct {
	kind             format.PageType
	size, compressed int64 // bytes
	values           int64
	encoding         format.Encoding
	plain            bool     // not compressed, whatever the column's codec; version 2 only
	levels           [2]int64 // bytes of the repetition and definition levels; version 2 only
	levelEncodings   [2]format.Encoding
}

// readHeader reads the header at an offset into a window and returns its length.
func readHeader(file io.ReaderAt, at int64, window []byte) (pageHeader, int, error) {
	var p pageHeader
	if _, err := file.ReadAt(window, at); err != nil {
		return p, 0, err
	}
	w := walker{data: window, elements: maxElements}
	p.levelEncodings = [2]format.Encoding{format.RLE, format.RLE}
	w.see = func(path []int, v int64) {
		switch len(path) {
		case 1:
			switch path[0] {
			case 1:
				p.kind = format.PageType(v)
			case 2:
				p.size = v
			case 3:
				p.compressed = v
			}
		case 2: // the headers of a data page, a dictionary page and a data page of version 2
			switch [2]int{path[0], path[1]} {
			case [2]int{5, 1}, [2]int{7, 1}, [2]int{8, 1}:
				p.values = v
			case [2]int{5, 2}, [2]int{7, 2}, [2]int{8, 4}:
				p.encoding = format.Encoding(v)
			case [2]int{5, 3}:
				p.levelEncodings[1] = format.Encoding(v)
			case [2]int{5, 4}:
				p.levelEncodings[0] = format.Encoding(v)
			case [2]int{8, 5}:
				p.levels[1] = v
			case [2]int{8, 6}:
				p.levels[0] = v
			case [2]int{8, 7}:
				p.plain = v == 0
			}
		}
	}
	err := w.structure(0)
	return p, len(window) - len(w.data), err
}
