package trainer

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"hash"
	"hash/crc32"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"

	"qlora/lora"
)

// referenceFile, in the output folder, has the reference model's log-probabilities. It begins
// with referenceMagic and the 32 bytes of the key. For each pass follow its values (float32,
// little-endian) and the CRC-32C of everything before it, so that a file of a run that was
// killed is of use up to its last whole pass.
const (
	referenceFile  = "reference_log_probs.bin"
	referenceMagic = "qlora reference log-probabilities 1\n"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// referenceKey returns a hash of what the log-probabilities depend on: the base, the
// adapter, the records, how they are computed, and the passes.
func (t *Trainer) referenceKey() ([]byte, error) {
	id := t.identity
	id.DataSeed, id.Order, id.BatchSize, id.Accumulation, id.World, id.DropLast, id.Optimizer = 0, "", 0, 0, 0, false, ""
	h := sha256.New()
	to := json.NewEncoder(h)
	for _, v := range []any{id, hashExamples(t.EvalSet), t.Args.LDAlpha} {
		if err := to.Encode(v); err != nil {
			return nil, err
		}
	}
	for _, p := range t.reference.passes {
		fmt.Fprintln(h, p.evaluation, p.from, p.to)
	}
	if c := t.Base.Lora; c != nil {
		config, err := c.Marshal()
		if err != nil {
			return nil, err
		}
		h.Write(config)
	}
	if t.Base.Adapter != "" {
		if err := hashFile(h, filepath.Join(t.Base.Adapter, lora.WeightsFile)); err != nil {
			return nil, err
		}
	}
	return h.Sum(nil), nil
}

// hashFile adds a file's content to h. A file that does not exist adds nothing.
func hashFile(h hash.Hash, path string) error {
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = io.Copy(h, f)
	return err
}

// readReference takes over the passes that the output folder's file has.
func (t *Trainer) readReference() error {
	r := &t.reference
	if len(r.passes) == 0 || t.aside {
		return nil
	}
	f, err := os.Open(filepath.Join(t.Args.OutputDir, referenceFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer f.Close()
	key, err := t.referenceKey()
	if err != nil {
		return err
	}
	limit := int64(len(referenceMagic) + len(key))
	sizes := make([]int, len(r.passes))
	for i, p := range r.passes {
		sizes[i] = r.values(p, t)
		limit += 4 * int64(sizes[i]+1)
	}
	data, err := io.ReadAll(io.LimitReader(f, limit))
	if err != nil {
		return err
	}
	values, _ := parseReference(data, key, sizes)
	for _, v := range values {
		r.put(t, v)
	}
	return nil
}

// parseReference returns the values of the whole passes that a file begins with, and the
// number of bytes up to the last of them; nil and 0 if the file has another key. sizes are
// the numbers of values of the passes.
func parseReference(data, key []byte, sizes []int) (values [][]float32, used int) {
	head := append([]byte(referenceMagic), key...)
	if len(data) < len(head) || string(data[:len(head)]) != string(head) {
		return nil, 0
	}
	used = len(head)
	sum := crc32.Checksum(head, castagnoli)
	for _, n := range sizes {
		end := used + 4*n
		if end+4 > len(data) {
			break
		}
		if sum = crc32.Update(sum, castagnoli, data[used:end]); sum != binary.LittleEndian.Uint32(data[end:]) {
			break
		}
		sum = crc32.Update(sum, castagnoli, data[end:end+4])
		pass := make([]float32, n)
		for i := range pass {
			pass[i] = math.Float32frombits(binary.LittleEndian.Uint32(data[used+4*i:]))
		}
		values, used = append(values, pass), end+4
	}
	return values, used
}

// A referenceLog is the file that passes are added to.
type referenceLog struct {
	file *os.File
	sum  uint32 // of what is in it
}

// openReference opens the file behind the passes that are done.
func (t *Trainer) openReference() (*referenceLog, error) {
	key, err := t.referenceKey()
	if err != nil {
		return nil, err
	}
	f, err := os.OpenFile(filepath.Join(t.Args.OutputDir, referenceFile), os.O_RDWR|os.O_CREATE, 0o644)
	if err != nil {
		return nil, err
	}
	l := &referenceLog{file: f}
	if err := l.begin(key, &t.reference, t); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return l, nil
}

// begin writes the file's head, or finds the end of the passes that are done, and cuts off
// what follows.
func (l *referenceLog) begin(key []byte, r *reference, t *Trainer) error {
	head := append([]byte(referenceMagic), key...)
	size := int64(len(head))
	for _, p := range r.passes[:r.done] {
		size += 4 * int64(r.values(p, t)+1)
	}
	if r.done == 0 {
		if err := l.file.Truncate(0); err != nil {
			return err
		}
		return l.write(head)
	}
	if err := l.file.Truncate(size); err != nil {
		return err
	}
	sum := crc32.New(castagnoli)
	if _, err := io.Copy(sum, l.file); err != nil { // to the end
		return err
	}
	l.sum = sum.Sum32()
	return nil
}

// add adds the values of a pass.
func (l *referenceLog) add(values []float32) error {
	block := make([]byte, 0, 4*len(values)+4)
	for _, v := range values {
		block = binary.LittleEndian.AppendUint32(block, math.Float32bits(v))
	}
	return l.write(binary.LittleEndian.AppendUint32(block, crc32.Update(l.sum, castagnoli, block)))
}

func (l *referenceLog) write(block []byte) error {
	l.sum = crc32.Update(l.sum, castagnoli, block)
	_, err := l.file.Write(block)
	return err
}

// close makes the file last and closes it.
func (l *referenceLog) close() error { return errors.Join(l.file.Sync(), l.file.Close()) }
