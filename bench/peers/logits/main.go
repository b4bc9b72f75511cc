// Command logits writes a model's logits for token ids, with or without an adapter, to
// compare them with another program's. peers.py reads them.
//
//	go run ./bench/peers/logits -model DIR [-adapter DIR] [-load_in_4bit] -ids ids.jsonl -out logits.safetensors
//
// ids.jsonl has one array of token ids per line. The output has a tensor "N" F32
// [tokens, vocabulary] for line N, counted from 0, and a tensor "losses" F32 [lines]:
// the mean cross-entropy as training computes it, all tokens of a line at once, while
// the logits are computed token by token with the cache of generation.
package main

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"math"
	"os"
	"strconv"

	"qlora/bindings"
	"qlora/bindings/cpu"
	"qlora/checkpoint"
	"qlora/lora"
	"qlora/nn"
	"qlora/nn/quantize"
	"qlora/trainer"
)

type job struct {
	model, adapter, ids, out string
	in4Bit                   bool
	quantize                 quantize.Options
}

func main() {
	j := job{quantize: quantize.DefaultOptions()}
	flag.StringVar(&j.model, "model", "", "folder of the base")
	flag.StringVar(&j.adapter, "adapter", "", "folder of a PEFT adapter")
	flag.StringVar(&j.ids, "ids", "", "file with one array of token ids per line")
	flag.StringVar(&j.out, "out", "", "safetensors file to write")
	flag.BoolVar(&j.in4Bit, "load_in_4bit", false, "store the base in 4 bits; a bitsandbytes folder always is")
	flag.StringVar(&j.quantize.Type, "bnb_4bit_quant_type", j.quantize.Type, "nf4 or fp4")
	flag.BoolVar(&j.quantize.Double, "bnb_4bit_use_double_quant", j.quantize.Double, "store the blocks' scales in 8 bits")
	flag.Parse()
	if err := j.run(); err != nil {
		fmt.Fprintln(os.Stderr, "logits:", err)
		os.Exit(1)
	}
}

func (j *job) run() error {
	lines, longest, err := readIDs(j.ids)
	if err != nil {
		return err
	}
	base, err := trainer.OpenBase(j.model)
	if err != nil {
		return err
	}
	defer base.Close()
	dev, err := cpu.New(cpu.Options{})
	if err != nil {
		return err
	}
	defer dev.Close()
	if j.in4Bit || base.Config.Quantization != nil {
		if base.Quantize, err = j.quantize.Device(); err != nil {
			return err
		}
	}
	if j.adapter != "" {
		config, err := lora.ReadConfig(j.adapter)
		if err != nil {
			return err
		}
		base.ApplyLora(config)
		base.Adapter = j.adapter
	}
	tuned, err := base.Load(dev, nn.Shapes{Generate: longest, Evaluate: batches(lines)})
	if err != nil {
		return err
	}
	defer tuned.Close()
	return j.write(tuned.Model, dev, lines)
}

func (j *job) write(model *nn.Model, dev bindings.Device, lines [][]int32) error {
	losses := checkpoint.Entry{Name: "losses", DType: checkpoint.F32, Shape: []int{len(lines)}, Write: func(out io.Writer) error {
		for i, b := range batches(lines) {
			if err := model.Evaluate(dev, b); err != nil {
				return err
			}
			stats, err := model.Stats(dev)
			if err != nil {
				return err
			}
			if err := binary.Write(out, binary.LittleEndian, float32(stats.Loss/float64(stats.Predicted))); err != nil {
				return fmt.Errorf("line %d: %w", i, err)
			}
		}
		return nil
	}}
	entries := []checkpoint.Entry{losses}
	for i, ids := range lines {
		entries = append(entries, checkpoint.Entry{
			Name: strconv.Itoa(i), DType: checkpoint.F32, Shape: []int{len(ids), model.Config.Vocabulary},
			Write: func(out io.Writer) error {
				row := make([]byte, 0, 4*model.Config.Vocabulary)
				return model.Logits(dev, ids, func(_ int, logits []float32) error {
					row = row[:0]
					for _, x := range logits {
						row = binary.LittleEndian.AppendUint32(row, math.Float32bits(x))
					}
					_, err := out.Write(row)
					return err
				})
			},
		})
	}
	return checkpoint.WriteFile(j.out, entries, nil)
}

func batches(lines [][]int32) []*nn.Batch {
	all := make([]*nn.Batch, len(lines))
	for i, ids := range lines {
		all[i] = nn.NewBatch([][]int32{ids}, [][]int32{ids})
	}
	return all
}

func readIDs(path string) (lines [][]int32, longest int, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, 0, err
	}
	defer f.Close()
	s := bufio.NewScanner(f)
	s.Buffer(nil, 16<<20)
	for s.Scan() {
		var ids []int32
		if err := json.Unmarshal(s.Bytes(), &ids); err != nil {
			return nil, 0, fmt.Errorf("%s, line %d: %w", path, len(lines)+1, err)
		}
		lines, longest = append(lines, ids), max(longest, len(ids))
	}
	return lines, longest, s.Err()
}
