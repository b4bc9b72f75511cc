package nn_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"qlora/bindings"
	"qlora/bindings/cpu"
	"qlora/checkpoint"
	"qlora/internal/philox"
	"qlora/nf4"
	"qlora/nn"
	"qlora/nn/family"
)

// A decoded is a model with sets of adapters on a device, ready to generate.
type decoded struct {
	*nn.Model
	dev      bindings.Device
	adapters []*nn.Overlay // the first is nil: the base
}

// loadDecoded loads the model in dir with two sets of adapters.
func loadDecoded(t testing.TB, dir string, options cpu.Options, how nn.Options, shapes nn.Shapes) *decoded {
	t.Helper()
	dev, err := cpu.New(options)
	require.NoError(t, err)
	t.Cleanup(func() { dev.Close() })
	return loadDecodedOn(t, dir, dev, how, shapes)
}

func loadDecodedOn(t testing.TB, dir string, dev bindings.Device, how nn.Options, shapes nn.Shapes) *decoded {
	t.Helper()
	cfg, err := family.ReadConfig(dir)
	require.NoError(t, err)
	base, err := checkpoint.Open(dir)
	require.NoError(t, err)
	defer base.Close()
	mem := bindings.NewMemory()
	m, err := nn.New(cfg, base, how, mem, dev.Info())
	require.NoError(t, err)
	d := &decoded{Model: m, dev: dev, adapters: []*nn.Overlay{nil}}
	var values []bindings.Tensor
	for _, rank := range []int{4, 7} {
		attach(m, rank)
		for _, p := range m.Projections() {
			values = append(values, p.Adapter.A, p.Adapter.B)
		}
		d.adapters = append(d.adapters, m.TakeOff())
	}
	m.Prepare(dev, shapes)
	require.NoError(t, mem.Commit(dev))
	t.Cleanup(mem.Close)
	require.NoError(t, m.Load(dev, base, nil))
	for i, x := range values {
		drawn := make([]float32, x.Len())
		philox.Normal(drawn, 2, uint32(i), 0.1)
		require.NoError(t, nn.WriteTensor(dev, x, nn.Float32Bytes(drawn), bindings.F32))
	}
	return d
}

// alone generates a sequence by itself and returns its tokens with their logits.
func (d *decoded) alone(t testing.TB, prompt []int32, most int, adapters *nn.Overlay) ([]int32, [][]float32) {
	t.Helper()
	decoder := d.NewDecoder(d.dev)
	defer decoder.Close()
	s, err := decoder.Begin(prompt, most, adapters)
	require.NoError(t, err)
	var ids []int32
	var logits [][]float32
	sampler := nn.NewSampler(nn.Sampling{})
	for n := range most {
		for s.Pending() > 0 {
			require.NoError(t, decoder.Extend(s))
		}
		id, err := sampler.Next(s.Logits(), n)
		require.NoError(t, err)
		ids, logits = append(ids, id), append(logits, append([]float32(nil), s.Logits()...))
		s.Append(id)
	}
	return ids, logits
}

// TestSequencesDoNotDependOnTheirNeighbours generates sequences that join and leave at
// different times, with different adapters, and holds the bits of their logits to those of
// each sequence alone.
func TestSequencesDoNotDependOnTheirNeighbours(t *testing.T) {
	for name, config := range map[string]string{
		"llama": tinyConfigs["llama"], "window": tinyConfigs["mistral"], "fused, positions": tinyConfigs["gpt2, its dropouts"], "bias of keys": tinyConfigs["bloom, dropouts, residuals of the norms"],
	} {
		for _, compute := range []bindings.DType{bindings.F32, bindings.BF16} {
			t.Run(fmt.Sprintf("%s %v", name, compute), func(t *testing.T) {
				how := nn.Options{Quantize: &bindings.QuantizeOptions{Kind: nf4.NF4, BlockSize: 64, Double: true}}
				shapes := nn.Shapes{Generate: 60, Together: nn.Together{Sequences: 16, Rows: 300, Chunk: 32}}
				d := loadDecoded(t, writeTiny(t, config), cpu.Options{Compute: compute}, how, shapes)
				type job struct {
					prompt     []int32
					most, join int
					adapters   *nn.Overlay
				}
				var jobs []job
				for i := range 14 {
					of, adapters := i, d.adapters[i%3]
					if i%4 == 1 { // of the prompt before
						of = i - 1
					}
					if i%8 == 1 { // and with its adapters
						adapters = d.adapters[of%3]
					}
					prompt := randomBatch(97, 3+(of*17)%46).IDs
					jobs = append(jobs, job{prompt, 2 + (5*i)%11, i / 2, adapters})
				}
				type want struct {
					ids    []int32
					logits [][]float32
				}
				wants := make([]want, len(jobs))
				for i, j := range jobs {
					wants[i].ids, wants[i].logits = d.alone(t, j.prompt, j.most, j.adapters)
				}
				decoder := d.NewDecoder(d.dev)
				defer decoder.Close()
				sequences, emitted := make([]*nn.Sequence, len(jobs)), make([]int, len(jobs))
				sampler := nn.NewSampler(nn.Sampling{})
				most, waited := 0, false
				for round, left := 0, len(jobs); left > 0; round++ {
					var running []*nn.Sequence
					for i, j := range jobs {
						if sequences[i] == nil && round >= j.join && emitted[i] < j.most {
							s, err := decoder.Begin(j.prompt, j.most, j.adapters)
							require.NoError(t, err)
							sequences[i] = s
							waited = waited || s == nil
						}
						if sequences[i] != nil {
							running = append(running, sequences[i])
						}
					}
					most = max(most, len(running))
					require.NoError(t, decoder.Extend(running...))
					for i, s := range sequences {
						if s == nil || s.Pending() > 0 {
							continue
						}
						id, err := sampler.Next(s.Logits(), emitted[i])
						require.NoError(t, err)
						require.Equal(t, wants[i].logits[emitted[i]], s.Logits(), "sequence %d, token %d, with %d others", i, emitted[i], len(running)-1)
						require.Equal(t, wants[i].ids[emitted[i]], id)
						s.Append(id)
						if emitted[i]++; emitted[i] == jobs[i].most {
							decoder.End(s)
							sequences[i] = nil
							left--
						}
					}
				}
				require.Greater(t, most, 8, "sequences at once: more than a pass has")
				require.True(t, waited, "the cache was never full")
			})
		}
	}
}

// rowCounter counts the rows of passes.
type rowCounter struct {
	bindings.Device
	rows int
}

func (d *rowCounter) Run(operation bindings.Operation) {
	d.Device.Run(operation)
	if op, ok := operation.(*bindings.Embed); ok {
		d.rows += op.Y.Rows
	}
}

// TestAPromptIsComputedOnce counts what sequences that begin with one prompt compute. The test above holds
// their bits.
func TestAPromptIsComputedOnce(t *testing.T) {
	d := loadDecoded(t, writeTiny(t, tinyConfigs["llama"]), cpu.Options{}, nn.Options{}, nn.Shapes{Generate: 40, Together: nn.Together{Sequences: 8}})
	dev := &rowCounter{Device: d.dev}
	decoder := d.NewDecoder(dev)
	defer decoder.Close()
	prompt := randomBatch(97, 20).IDs
	var all []*nn.Sequence
	for _, adapters := range []*nn.Overlay{d.adapters[0], d.adapters[1], d.adapters[0], d.adapters[1], d.adapters[0]} {
		s, err := decoder.Begin(prompt, 10, adapters)
		require.NoError(t, err)
		all = append(all, s)
	}
	require.NoError(t, decoder.Extend(all...))
	require.Equal(t, 2*len(prompt), dev.rows, "rows of 5 sequences with two sets of adapters")
}

// TestChunksOfAPromptKeepBits compares a prompt that is processed in parts with the same
// prompt in one pass.
func TestChunksOfAPromptKeepBits(t *testing.T) {
	dir := writeTiny(t, tinyConfigs["llama"])
	for _, compute := range []bindings.DType{bindings.F32, bindings.BF16} {
		prompt := randomBatch(97, 700).IDs
		var want [][]float32
		for _, chunk := range []int{0, 32, 300, 344, 692} {
			d := loadDecoded(t, dir, cpu.Options{Compute: compute}, nn.Options{}, nn.Shapes{Generate: 720, Together: nn.Together{Chunk: chunk}})
			_, logits := d.alone(t, prompt, 3, d.adapters[1])
			if want == nil {
				want = logits
			}
			require.Equal(t, want, logits, "%v, chunks of %d", compute, chunk)
		}
	}
}

// TestGrowingBeyondLongrope compares sequences that cross the length at which the table of
// positions changes, beside others that do not, with generation alone.
func TestGrowingBeyondLongrope(t *testing.T) {
	config := `{"model_type":"phi3","hidden_size":64,"intermediate_size":96,"num_hidden_layers":2,"num_attention_heads":4,"vocab_size":97,"pad_token_id":0,
		"max_position_embeddings":64,"original_max_position_embeddings":24,
		"rope_scaling":{"type":"longrope","short_factor":[1,1,1,1,1,1,1,1],"long_factor":[1,1.5,2,3,4,5,6,7]}}`
	d := loadDecoded(t, writeTiny(t, config), cpu.Options{}, nn.Options{}, nn.Shapes{Generate: 60, Together: nn.Together{Sequences: 4}})
	prompts := [][]int32{randomBatch(97, 20).IDs, randomBatch(97, 3).IDs, randomBatch(97, 40).IDs}
	var want [][]int32
	for _, prompt := range prompts {
		ids, _ := d.alone(t, prompt, 12, nil)
		var generated []int32
		_, err := d.Generate(context.Background(), d.dev, prompt, 12, nn.Sampling{}, nil, func(id int32) bool { generated = append(generated, id); return true })
		require.NoError(t, err)
		require.Equal(t, ids, generated)
		want = append(want, ids)
	}
	decoder := d.NewDecoder(d.dev)
	defer decoder.Close()
	var all []*nn.Sequence
	for _, prompt := range prompts {
		s, err := decoder.Begin(prompt, 12, nil)
		require.NoError(t, err)
		all = append(all, s)
	}
	got := make([][]int32, len(all))
	sampler := nn.NewSampler(nn.Sampling{})
	for n := range 12 {
		for _, s := range all {
			for s.Pending() > 0 {
				require.NoError(t, decoder.Extend(all...))
			}
		}
		for i, s := range all {
			id, err := sampler.Next(s.Logits(), n)
			require.NoError(t, err)
			got[i] = append(got[i], id)
			s.Append(id)
		}
	}
	require.Equal(t, want, got)
}

func TestBeginRefusals(t *testing.T) {
	d := loadDecoded(t, writeTiny(t, tinyConfigs["llama"]), cpu.Options{Kernels: "gonum"}, nn.Options{}, nn.Shapes{Generate: 20, Together: nn.Together{Sequences: 2}})
	decoder := d.NewDecoder(d.dev)
	defer decoder.Close()
	for _, c := range []struct {
		prompt []int32
		most   int
		want   string
	}{
		{nil, 5, "the prompt has no tokens"},
		{make([]int32, 16), 5, "16 prompt tokens and 5 new tokens exceed the planned length of 20"},
		{[]int32{1, 97}, 5, "token 1 has id 97, but the model's vocabulary has 97 entries"},
	} {
		_, err := decoder.Begin(c.prompt, c.most, nil)
		require.ErrorContains(t, err, c.want)
	}
	first, err := decoder.Begin(make([]int32, 15), 5, nil)
	require.NoError(t, err)
	second, err := decoder.Begin(make([]int32, 15), 5, nil)
	require.NoError(t, err)
	require.NotNil(t, second)
	third, err := decoder.Begin([]int32{1}, 1, nil)
	require.NoError(t, err)
	require.Nil(t, third, "the cache is full")
	decoder.End(first)
	third, err = decoder.Begin([]int32{1}, 1, nil)
	require.NoError(t, err)
	require.NotNil(t, third)
}
