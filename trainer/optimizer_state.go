package trainer

import (
	"encoding/binary"
	"fmt"
	"io"
	"maps"
	"math"
	"slices"
	"strings"

	"qlora/bindings"
	"qlora/checkpoint"
)

// optimizerFile stores the optimizer's state: for each parameter, the float32 value
// that the optimizer updates, and its moments, in float32 or as 8-bit codes with their
// absmax. It alone restores a run's parameters exactly; the adapter next to it is for
// other tools.
const optimizerFile = "optimizer.safetensors"

const (
	paramSuffix  = ".param"
	firstSuffix  = ".exp_avg"
	secondSuffix = ".exp_avg_sq"
	absmaxSuffix = ".absmax"
)

// optimizerTensors returns the tensors of a parameter under torch's names.
func optimizerTensors(p bindings.Param) map[string]bindings.Tensor {
	first, second := p.Name+firstSuffix, p.Name+secondSuffix
	all := map[string]bindings.Tensor{
		p.Name + paramSuffix:  p.Master,
		first:                 p.M.Values,
		first + absmaxSuffix:  p.M.Absmax,
		second:                p.V.Values,
		second + absmaxSuffix: p.V.Absmax,
	}
	maps.DeleteFunc(all, func(_ string, t bindings.Tensor) bool { return t.Absent() })
	return all
}

// saveOptimizer streams the optimizer's state from the device, and from those of other ranks.
func saveOptimizer(dev bindings.Device, l *layout, path string) error {
	return checkpoint.WriteFile(path, l.optimizerEntries(dev), map[string]string{"format": "pt"})
}

func (l *layout) optimizerEntries(dev bindings.Device) []checkpoint.Entry {
	if l.shared != nil {
		return l.shared.entries(dev, l.params)
	}
	var entries []checkpoint.Entry
	for _, p := range l.params {
		for name, t := range optimizerTensors(p) {
			entries = append(entries, optimizerEntry(dev, name, t))
		}
	}
	return entries
}

func optimizerEntry(dev bindings.Device, name string, t bindings.Tensor) checkpoint.Entry {
	return checkpoint.Entry{
		Name: name, DType: checkpoint.DType(t.DType.String()), Shape: []int{t.Rows, t.Cols},
		Write: func(w io.Writer) error { return copyOut(dev, t, w) },
	}
}

// checkOptimizer returns an error if a checkpoint's state does not fit these
// parameters.
func checkOptimizer(params []bindings.Param, path string) error {
	file, err := checkpoint.OpenFile(path)
	if err != nil {
		return err
	}
	defer file.Close()
	known := 0
	for _, p := range params {
		for name, t := range optimizerTensors(p) {
			stored, ok := file.Tensor(name)
			if !ok {
				return fmt.Errorf("%s has no tensor %q, which this run trains: was it made with other `target_modules` or `modules_to_save`, or without `use_dora` or `lora_bias`?", path, name)
			}
			if string(stored.DType) != t.DType.String() || !slices.Equal(stored.Shape, []int{t.Rows, t.Cols}) {
				return fmt.Errorf("%s: tensor %q is %s %v, but this run trains %v: was it made with another `rank_pattern` or `lora_r`?", path, name, stored.DType, stored.Shape, t)
			}
			if strings.HasSuffix(name, absmaxSuffix) && !isAbsmax(stored.Data()) {
				return fmt.Errorf("%s: tensor %q has numbers that are below 0 or not finite, which no run writes", path, name)
			}
			known++
		}
	}
	if others := len(file.Names()) - known; others > 0 {
		return fmt.Errorf("%s has %d tensors of parameters that this run does not train: was it made with other `target_modules` or `modules_to_save`, or with `use_dora` or `lora_bias`?", path, others)
	}
	return nil
}

// isAbsmax reports whether all float32s in data are valid absolute maxima.
func isAbsmax(data []byte) bool {
	for ; len(data) >= 4; data = data[4:] {
		x := math.Float32frombits(binary.LittleEndian.Uint32(data))
		if !(x >= 0 && x <= math.MaxFloat32) {
			return false
		}
	}
	return true
}

// loadOptimizer restores a checkpoint's state, which checkOptimizer passed: masters,
// moments, and the values that the forward pass reads, which are the rounded masters.
func loadOptimizer(dev bindings.Device, params []bindings.Param, path string) error {
	file, err := checkpoint.OpenFile(path)
	if err != nil {
		return err
	}
	defer file.Close()
	for _, p := range params {
		for name, t := range optimizerTensors(p) {
			stored, ok := file.Tensor(name)
			if !ok || len(stored.Data()) != int(t.Bytes()) {
				return fmt.Errorf("%s: tensor %q was changed while the run started", path, name)
			}
			if err := dev.Write(t, stored.Data()); err != nil {
				return fmt.Errorf("%s: tensor %q: %w", path, name, err)
			}
		}
		if p.Value != p.Master {
			dev.Run(&bindings.Copy{Dst: p.Value, Src: p.Master})
		}
	}
	return nil
}

// copyPiece bounds the bytes that are read from the device at once.
const copyPiece = 4 << 20

// copyOut writes t's elements in their layout.
func copyOut(dev bindings.Device, t bindings.Tensor, w io.Writer) error {
	flat := t.Reshape(t.Len(), 1)
	step := copyPiece / int(t.DType.Size())
	buf := make([]byte, min(t.Bytes(), copyPiece))
	for at := 0; at < t.Len(); at += step {
		piece := flat.Slice(at, min(at+step, t.Len()))
		if err := dev.Read(buf[:piece.Bytes()], piece); err != nil {
			return err
		}
		if _, err := w.Write(buf[:piece.Bytes()]); err != nil {
			return err
		}
	}
	return nil
}
