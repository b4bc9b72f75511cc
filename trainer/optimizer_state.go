package trainer

import (
	"fmt"
	"io"
	"slices"

	"qlora/bindings"
	"qlora/internal/safetensors"
)

// optimizerFile has what the optimizer moves and remembers, in float32: of each
// parameter the value that it moves, and both moments. It alone brings a run's
// parameters back to the bit; the adapter beside it is for other tools.
const optimizerFile = "optimizer.safetensors"

// optimizerTensors are the tensors of a parameter under torch's names for them.
func optimizerTensors(p bindings.Param) map[string]bindings.Tensor {
	return map[string]bindings.Tensor{
		p.Name + ".param":      p.Master,
		p.Name + ".exp_avg":    p.M.Values,
		p.Name + ".exp_avg_sq": p.V.Values,
	}
}

// saveOptimizer streams the optimizer's state from the device.
func saveOptimizer(dev bindings.Device, params []bindings.Param, path string) error {
	var entries []safetensors.Entry
	for _, p := range params {
		for name, t := range optimizerTensors(p) {
			entries = append(entries, safetensors.Entry{
				Name: name, DType: safetensors.F32, Shape: []int{t.Rows, t.Cols},
				Write: func(w io.Writer) error { return copyOut(dev, t, w) },
			})
		}
	}
	return safetensors.Write(path, entries, map[string]string{"format": "pt"})
}

// checkOptimizer says why a checkpoint's state is not that of these parameters.
func checkOptimizer(params []bindings.Param, path string) error {
	file, err := safetensors.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	known := 0
	for _, p := range params {
		for name, t := range optimizerTensors(p) {
			stored, ok := file.Tensor(name)
			if !ok {
				return fmt.Errorf("%s has no tensor %q, which this run trains: was it made with other --target_modules?", path, name)
			}
			if stored.DType != safetensors.F32 || !slices.Equal(stored.Shape, []int{t.Rows, t.Cols}) {
				return fmt.Errorf("%s: tensor %q is %s %v, and this run trains F32 [%d %d]: was it made with another --rank_pattern or --lora_r?", path, name, stored.DType, stored.Shape, t.Rows, t.Cols)
			}
			known++
		}
	}
	if others := len(file.Names()) - known; others > 0 {
		return fmt.Errorf("%s has %d tensors of parameters that this run does not train: was it made with other --target_modules?", path, others)
	}
	return nil
}

// loadOptimizer puts a checkpoint's state, which was checked, back: masters,
// moments, and the values that the forward pass reads, which are the masters
// rounded.
func loadOptimizer(dev bindings.Device, params []bindings.Param, path string) error {
	file, err := safetensors.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	for _, p := range params {
		for name, t := range optimizerTensors(p) {
			stored, ok := file.Tensor(name)
			if !ok || len(stored.Data) != int(t.Bytes()) {
				return fmt.Errorf("%s: tensor %q was changed while the run began", path, name)
			}
			if err := dev.Write(t, stored.Data); err != nil {
				return fmt.Errorf("%s: tensor %q: %w", path, name, err)
			}
		}
		if p.Value != p.Master {
			dev.Copy(p.Value, p.Master)
		}
	}
	return nil
}

// copyPiece bounds what is read from the device at once, in bytes.
const copyPiece = 4 << 20

// copyOut writes t's elements as they lie.
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
