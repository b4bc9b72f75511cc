package lora

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"slices"
	"strings"

	"qlora/bindings"
	"qlora/checkpoint"
	"qlora/nn"
)

// trainedAs is the metadata key, in adapter_model.safetensors, of the configuration
// that the adapter was trained with, if adapter_config.json has another one.
const trainedAs = "trained_as"

// plain returns the configuration of the ordinary adapter that Save writes for one
// with a start. It is relative to the base's original weights W:
//
//	W - scale·B0·A0 + scale·B·A = W + scale·[B, -B0]·[A; A0]
//
// It has twice the rank and the same scale, like PEFT's
// path_initial_model_for_weight_conversion. (PEFT refuses patterns with rsLoRA there:
// it would double their alphas, where sqrt(2) keeps the scale.)
func (c *Config) plain() Config {
	more := 2.0
	if c.RSLoRA {
		more = math.Sqrt2
	}
	p := *c
	p.Init, p.LoftQIterations = InitDefault, 0
	p.R, p.Alpha = 2*c.R, more*c.Alpha
	p.RankPattern, p.AlphaPattern = c.RankPattern.times(2), c.AlphaPattern.times(more)
	return p
}

func (p Pattern) times(x float64) Pattern {
	p = slices.Clone(p)
	for i := range p {
		p[i].Value *= x
	}
	return p
}

// ReadTrained reads an adapter's configuration to continue its training. Where Save
// made the adapter plain, it returns the configuration of the training; otherwise it
// equals ReadConfig. If the base is stored in another precision than in that training,
// use ReadConfig, the plain one.
func ReadTrained(dir string) (Config, error) {
	c, err := ReadConfig(dir)
	if err != nil {
		return Config{}, err
	}
	file, err := openWeights(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return c, nil // Load reports what is missing
	}
	if err != nil {
		return Config{}, err
	}
	defer file.Close()
	text, ok := file.Metadata()[trainedAs]
	if !ok {
		return c, nil
	}
	trained, err := parseConfig([]byte(text))
	if err != nil {
		return Config{}, fmt.Errorf("%s: %q in its metadata: %w", file.path, trainedAs, err)
	}
	return trained, nil
}

// isPlain reports whether file stores [A; A0] and [B, -B0].
func isPlain(file *source) bool {
	_, ok := file.Metadata()[trainedAs]
	return ok
}

// storedShape returns the shape of t in a file: that of [A; A0] or [B, -B0] if plain
// is set and t has a start.
func (t *tensor) storedShape(plain bool) []int {
	if !plain || t.start.Absent() {
		return t.shape
	}
	shape := slices.Clone(t.shape)
	shape[t.rankAxis()] *= 2
	return shape
}

// rankAxis returns the axis of the rank in a factor.
func (t *tensor) rankAxis() int {
	if strings.HasSuffix(t.name, "lora_B.weight") {
		return 1
	}
	return 0
}

// join returns what a plain file stores for a factor and its start.
func (t *tensor) join(value, start []float32) []float32 {
	if t.rankAxis() == 0 {
		return append(slices.Clip(value), start...)
	}
	r := t.shape[1]
	joined := make([]float32, 0, 2*len(value))
	for i := range t.shape[0] {
		joined = append(joined, value[i*r:(i+1)*r]...)
		for _, x := range start[i*r : (i+1)*r] {
			joined = append(joined, -x)
		}
	}
	return joined
}

// part inverts join.
func (t *tensor) part(joined []float32) (value, start []float32) {
	if t.rankAxis() == 0 {
		return joined[:len(joined)/2], joined[len(joined)/2:]
	}
	r := t.shape[1]
	for i := range t.shape[0] {
		value = append(value, joined[2*i*r:(2*i+1)*r]...)
		for _, x := range joined[(2*i+1)*r : (2*i+2)*r] {
			start = append(start, -x)
		}
	}
	return value, start
}

// store writes t to out in the file's layout.
func (t *tensor) store(dev bindings.Device, out io.Writer) error {
	if t.start.Absent() {
		return t.save(dev, out)
	}
	value, err := floats(dev, t.master)
	if err != nil {
		return fmt.Errorf("tensor %q: %w", t.name, err)
	}
	start, err := floats(dev, t.start)
	if err != nil {
		return fmt.Errorf("start of %q: %w", t.name, err)
	}
	return binary.Write(out, binary.LittleEndian, t.join(value, start))
}

// restore inverts store: it reads t and its start from a file.
func (t *tensor) restore(dev bindings.Device, stored checkpoint.Tensor, plain bool) error {
	if !plain || t.start.Absent() {
		dtype, err := bindings.ParseDType(string(stored.DType))
		if err != nil {
			return err
		}
		return t.load(dev, stored.Data(), dtype)
	}
	joined := make([]float32, stored.Elements())
	stored.Floats(joined, 0)
	value, start := t.part(joined)
	if err := t.keep(dev, start); err != nil {
		return err
	}
	return t.write(dev, value)
}

// keep stores the start of t, which its file is relative to.
func (t *tensor) keep(dev bindings.Device, start []float32) error {
	s := tensor{name: t.name + " at its start", value: t.start, master: t.start}
	return s.write(dev, start)
}

// floats returns the elements of t, copied to the host.
func floats(dev bindings.Device, t bindings.Tensor) ([]float32, error) {
	var data bytes.Buffer
	if err := nn.ReadTensor(dev, t, bindings.F32, &data); err != nil {
		return nil, err
	}
	x := make([]float32, t.Len())
	err := binary.Read(&data, binary.LittleEndian, x)
	return x, err
}
