package ggml

import (
	"encoding/binary"
	"io"
	"math"
	"math/rand/v2"
	"os"
	"os/exec"
	"testing"
	"time"

	"qlora/internal/golden"
)

// A reference is testdata/reference.py with the library that QLORA_GGML names.
type reference struct {
	in  io.WriteCloser
	out io.Reader
}

func startReference(t *testing.T) *reference {
	library := os.Getenv("QLORA_GGML")
	if library == "" {
		t.Skip("set QLORA_GGML to llama.cpp's libggml-base.so to compare with it")
	}
	cmd := exec.Command("python3", "testdata/reference.py", library)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		in.Close()
		if err := cmd.Wait(); err != nil {
			t.Error(err)
		}
	})
	return &reference{in, out}
}

// dequantize returns the elements of blocks as bytes.
func (r *reference) dequantize(t *testing.T, typ Type, blocks []byte) []byte {
	t.Helper()
	elements, size := typ.Block()
	return r.ask(t, 0, typ, len(blocks)/size*elements, blocks, 4*len(blocks)/size*elements)
}

func (r *reference) quantize(t *testing.T, typ Type, x []float32) []byte {
	t.Helper()
	b := make([]byte, 4*len(x))
	encodeF32(b, x)
	size, err := typ.Bytes(int64(len(x)))
	if err != nil {
		t.Fatal(err)
	}
	return r.ask(t, 1, typ, len(x), b, int(size))
}

func (r *reference) ask(t *testing.T, quantize uint32, typ Type, elements int, b []byte, answer int) []byte {
	t.Helper()
	header := binary.LittleEndian.AppendUint32(nil, quantize)
	header = binary.LittleEndian.AppendUint32(header, uint32(typ))
	header = binary.LittleEndian.AppendUint32(header, uint32(elements))
	if _, err := r.in.Write(append(header, b...)); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, answer)
	if _, err := io.ReadFull(r.out, got); err != nil {
		t.Fatal(err)
	}
	return got
}

// TestReference compares random elements and blocks with llama.cpp for QLORA_GGML_TIME (5s).
func TestReference(t *testing.T) {
	library := startReference(t)
	limit := 5 * time.Second
	if text := os.Getenv("QLORA_GGML_TIME"); text != "" {
		var err error
		if limit, err = time.ParseDuration(text); err != nil {
			t.Fatal(err)
		}
	}
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	blocks := make(map[Type][2]int)
	for end := time.Now().Add(limit); time.Now().Before(end) && !t.Failed(); {
		for i := range formats {
			typ := Type(i)
			if !converted(typ) {
				continue
			}
			f := typ.format()
			n := blocks[typ]
			raw := randomBlocks(r, typ, 64)
			got := make([]float32, 64*256)
			if err := Dequantize(typ, got, raw); err != nil {
				t.Fatal(err)
			}
			want := make([]float32, len(got))
			decodeF32(want, library.dequantize(t, typ, raw))
			golden.SameBits(t, want, got, f.name+" element")
			n[0] += len(raw) / f.bytes
			if f.encode != nil {
				x := randomElements(r, 64*256)
				packed := make([]byte, 64*256/f.elements*f.bytes)
				if err := Quantize(typ, packed, x); err != nil {
					t.Fatal(err)
				}
				sameBlocks(t, f, "random elements", library.quantize(t, typ, x), packed)
				n[1] += len(packed) / f.bytes
			}
			blocks[typ] = n
		}
	}
	for i, f := range formats {
		if n := blocks[Type(i)]; n[0] > 0 {
			t.Logf("%-6s %10d blocks dequantized, %10d quantized", f.name, n[0], n[1])
		}
	}
}

// randomElements draws groups of 16 to 256 elements from distributions that differ.
func randomElements(r *rand.Rand, n int) []float32 {
	x := make([]float32, 0, n+256)
	for len(x) < n {
		group := 16 << r.IntN(5)
		scale := math.Exp2(r.Float64()*40 - 26)
		offset := 0.0
		if r.IntN(3) == 0 {
			offset = r.NormFloat64() * scale
		}
		kind := r.IntN(8)
		for range group {
			var v float64
			switch kind {
			case 0: // few values, many ties
				v = float64(r.IntN(17) - 8)
			case 1: // sparse
				if r.IntN(8) == 0 {
					v = r.NormFloat64()
				}
			case 2:
				v = r.Float64()*2 - 1
			case 3: // heavy tails
				v = r.NormFloat64() / (0.05 + r.Float64())
			case 4: // short mantissas, as of bfloat16
				v = float64(math.Float32frombits(math.Float32bits(float32(r.NormFloat64())) &^ 0xffff))
			default:
				v = r.NormFloat64()
			}
			x = append(x, float32(v*scale+offset))
		}
	}
	x = x[:n]
	for i, v := range x {
		x[i] = max(-60000, min(60000, v))
	}
	return x
}
