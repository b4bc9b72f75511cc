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
	"unsafe"

	"golang.org/x/sys/unix"
)

// A cached set is a line of text, followed by binary data with little-endian numbers:
// the length of the report (64 bits) and the report as JSON; the number of examples (64
// bits) and for each the numbers of tokens and of documents (0 if one), its judgement, the
// number of weights (0 or one for each token), the length of its record, the starts of the
// documents, the ids, the labels and the weights (32 bits each) and the record; the number of origins (64 bits)
// and for each the file, the record and the line (32 bits each); the SHA-256 of everything
// before it. Zeros follow the report and each record up to a multiple of 4 bytes, so that the
// numbers of a mapped file are aligned.
const cacheMagic = "qlora tokens 6 \n"

func writeSet(to io.Writer, s *Set) error {
	sum := sha256.New()
	w := io.MultiWriter(to, sum)
	report, err := json.Marshal(s.Report)
	if err != nil {
		return err
	}
	buf := append([]byte(cacheMagic), binary.LittleEndian.AppendUint64(nil, uint64(len(report)))...)
	buf = pad(append(buf, report...))
	buf = binary.LittleEndian.AppendUint64(buf, uint64(len(s.Examples)))
	for _, e := range s.Examples {
		buf = appendInts(buf, []int32{int32(len(e.IDs)), int32(len(e.Starts)), int32(e.Judgement), int32(len(e.Weights)), int32(len(e.Record))})
		for _, list := range [][]int32{e.Starts, e.IDs, e.Labels} {
			buf = appendInts(buf, list)
		}
		for _, x := range e.Weights {
			buf = binary.LittleEndian.AppendUint32(buf, math.Float32bits(x))
		}
		buf = pad(append(buf, e.Record...))
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

// pad appends zeros up to a multiple of 4 bytes.
func pad(buf []byte) []byte { return append(buf, make([]byte, -len(buf)&3)...) }

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
	s, err := parseSet(data, false)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return s, nil
}

// mapSet reads the output of writeSet. The set's numbers stay in the mapped file until the
// process ends; a change of them is not written.
func mapSet(path string) (*Set, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if info.Size() == 0 || info.Size() != int64(int(info.Size())) {
		return nil, fmt.Errorf("%s: %w", path, errDamaged)
	}
	data, err := unix.Mmap(int(f.Fd()), 0, int(info.Size()), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE)
	if err != nil {
		return nil, &os.PathError{Op: "map", Path: path, Err: err}
	}
	s, err := parseSet(data, true)
	if err != nil {
		_ = unix.Munmap(data)
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return s, nil
}

var errDamaged = errors.New("the file is damaged")

// parseSet reads the output of writeSet. mapped says that the set may keep parts of data.
func parseSet(data []byte, mapped bool) (*Set, error) {
	body := len(data) - sha256.Size
	if body < 0 {
		return nil, errDamaged
	}
	if sum := sha256.Sum256(data[:body]); !bytes.Equal(sum[:], data[body:]) {
		return nil, errDamaged
	}
	return decodeSet(data[:body], mapped)
}

// decodeSet decodes the bytes before the sum.
func decodeSet(data []byte, mapped bool) (*Set, error) {
	data, ok := bytes.CutPrefix(data, []byte(cacheMagic))
	if !ok {
		return nil, errDamaged
	}
	r := setReader{data: data, mapped: mapped}
	s := new(Set)
	if report := r.text(r.count(1)); r.err == nil {
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
			e.Record = r.text(int(head[4]))
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
	data   []byte
	mapped bool // what is read may be a part of data
	err    error
}

// text returns n bytes and skips the zeros that follow them.
func (r *setReader) text(n int) []byte {
	part := r.bytes(n)
	for _, b := range r.bytes(-n & 3) {
		if b != 0 {
			r.err = errDamaged
		}
	}
	if r.err != nil {
		return nil
	}
	return part
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
	if at := unsafe.Pointer(unsafe.SliceData(part)); r.mapped && n > 0 && littleEndian && uintptr(at)%4 == 0 {
		return unsafe.Slice((*int32)(at), n)
	}
	list := make([]int32, n)
	for i := range list {
		list[i] = int32(binary.LittleEndian.Uint32(part[4*i:]))
	}
	return list
}

// littleEndian reports whether this machine's numbers are stored as the file's.
var littleEndian = binary.NativeEndian.Uint16([]byte{1, 0}) == 1

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
