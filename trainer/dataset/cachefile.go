package dataset

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
)

// A cached set is a line of text, followed by binary data with little-endian numbers:
// the length of the report (64 bits) and the report as JSON; the number of examples (64
// bits) and for each the numbers of tokens and of documents (0 if one), its judgement, the
// number of weights (0 or one for each token), the length of its record, the starts of the
// documents, the ids, the labels and the weights (32 bits each) and the record; the number of origins (64 bits)
// and for each the file, the record and the line (32 bits each); the SHA-256 of everything
// before it.
const cacheMagic = "qlora tokens 5\n"

func writeSet(to io.Writer, s *Set) error {
	sum := sha256.New()
	w := io.MultiWriter(to, sum)
	report, err := json.Marshal(s.Report)
	if err != nil {
		return err
	}
	buf := append([]byte(cacheMagic), binary.LittleEndian.AppendUint64(nil, uint64(len(report)))...)
	buf = append(buf, report...)
	buf = binary.LittleEndian.AppendUint64(buf, uint64(len(s.Examples)))
	for _, e := range s.Examples {
		buf = appendInts(buf, []int32{int32(len(e.IDs)), int32(len(e.Starts)), int32(e.Judgement), int32(len(e.Weights)), int32(len(e.Record))})
		for _, list := range [][]int32{e.Starts, e.IDs, e.Labels} {
			buf = appendInts(buf, list)
		}
		for _, x := range e.Weights {
			buf = binary.LittleEndian.AppendUint32(buf, math.Float32bits(x))
		}
		buf = append(buf, e.Record...)
		if _, err := w.Write(buf); err != nil {
			return err
		}
		buf = buf[:0]
	}
	buf = binary.LittleEndian.AppendUint64(buf, uint64(len(s.Origins)))
	for _, o := range s.Origins {
		buf = appendInts(buf, []int32{o.File, o.Record, o.Line})
	}
	if _, err := w.Write(buf); err != nil {
		return err
	}
	_, err = to.Write(sum.Sum(nil))
	return err
}

func appendInts(to []byte, list []int32) []byte {
	for _, x := range list {
		to = binary.LittleEndian.AppendUint32(to, uint32(x))
	}
	return to
}

// readSet reads the output of writeSet.
func readSet(path string) (*Set, error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	s, err := parseSet(data)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return s, nil
}

var errDamaged = errors.New("the file is damaged")

func parseSet(data []byte) (*Set, error) {
	body := len(data) - sha256.Size
	if body < 0 {
		return nil, errDamaged
	}
	if sum := sha256.Sum256(data[:body]); !bytes.Equal(sum[:], data[body:]) {
		return nil, errDamaged
	}
	return decodeSet(data[:body])
}

// decodeSet decodes the bytes before the sum.
func decodeSet(data []byte) (*Set, error) {
	data, ok := bytes.CutPrefix(data, []byte(cacheMagic))
	if !ok {
		return nil, errDamaged
	}
	r := setReader{data: data}
	s := new(Set)
	if report := r.bytes(r.count(1)); r.err == nil {
		r.err = json.Unmarshal(report, &s.Report)
	}
	s.Examples = make([]Example, r.count(8))
	for i := range s.Examples {
		head := r.ints(5)
		if r.err != nil {
			return nil, r.err
		}
		e := &s.Examples[i]
		if head[1] != 0 {
			e.Starts = r.ints(int(head[1]))
		}
		e.Judgement = int8(head[2])
		e.IDs = r.ints(int(head[0]))
		e.Labels = r.ints(int(head[0]))
		if head[3] != 0 {
			e.Weights = r.weights(int(head[3]), len(e.IDs))
		}
		if head[4] != 0 {
			e.Record = r.bytes(int(head[4]))
		}
	}
	s.Origins = make([]Origin, r.count(12))
	for i := range s.Origins {
		o := r.ints(3)
		if r.err != nil {
			return nil, r.err
		}
		s.Origins[i] = Origin{o[0], o[1], o[2]}
	}
	if r.err == nil && len(r.data) > 0 {
		r.err = errDamaged
	}
	return s, r.err
}

// A setReader reads parts from the front of a file; after the first fault it returns
// zero values.
type setReader struct {
	data []byte
	err  error
}

func (r *setReader) bytes(n int) []byte {
	if r.err != nil || n < 0 || n > len(r.data) {
		r.err = errDamaged
		return nil
	}
	part := r.data[:n]
	r.data = r.data[n:]
	return part
}

// count returns a number of items of at least size bytes each.
func (r *setReader) count(size int) int {
	head := r.bytes(8)
	if r.err != nil {
		return 0
	}
	n := binary.LittleEndian.Uint64(head)
	if n > uint64(len(r.data)/size) {
		r.err = errDamaged
		return 0
	}
	return int(n)
}

func (r *setReader) ints(n int) []int32 {
	part := r.bytes(4 * n)
	if r.err != nil {
		return nil
	}
	list := make([]int32, n)
	for i := range list {
		list[i] = int32(binary.LittleEndian.Uint32(part[4*i:]))
	}
	return list
}

// weights returns the weights of an example of that many tokens.
func (r *setReader) weights(n, tokens int) []float32 {
	bits := r.ints(n)
	if n != tokens {
		r.err = errDamaged
	}
	list := make([]float32, len(bits))
	for i, b := range bits {
		if list[i] = math.Float32frombits(uint32(b)); !(list[i] >= 0 && list[i] <= math.MaxFloat32) {
			r.err = errDamaged
		}
	}
	return list
}
