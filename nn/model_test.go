package nn_test

import (
	"context"
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"qlora/bindings"
	"qlora/checkpoint"
	"qlora/nf4"
	"qlora/nn"
	"qlora/nn/family"
)

// TestRecomputeGivesTheSameBits checks that backward recomputes exactly the values of
// forward, dropout masks included.
func TestRecomputeGivesTheSameBits(t *testing.T) {
	for name, config := range tinyConfigs {
		for kind, put := range map[string]func(*nn.Model){
			"LoRA": func(m *nn.Model) { attach(m, 4) },
			"DoRA": func(m *nn.Model) { attach(m, 4); attachMagnitudes(m) },
		} {
			t.Run(name+" "+kind, func(t *testing.T) {
				dir := writeTiny(t, config)
				b := randomBatch(97, 9, 1, 14)
				var want [][]float32
				var wantStats nn.Stats
				for _, policy := range []nn.Recompute{nn.RecomputeNone, nn.RecomputeMLP, nn.RecomputeLayer} {
					options := nn.Options{
						Recompute: policy, Quantize: &bindings.QuantizeOptions{Kind: nf4.NF4, BlockSize: 64, Double: true},
						Modules: nn.Modules{Names: whole(t, dir)},
					}
					m := loadTinyWith(t, dir, options, nn.Shapes{Train: []*nn.Batch{b}}, put)
					require.NoError(t, m.Train(m.dev, b, 1/float32(b.Predicted()), bindings.Random{Train: true, Seed: 3, Step: 7}))
					stats, err := m.Stats(m.dev)
					require.NoError(t, err)
					if policy == nn.RecomputeNone {
						wantStats = stats
						require.Equal(t, b.Predicted(), stats.Predicted)
					}
					require.Equal(t, wantStats, stats, "policy %v", policy)
					for i, p := range m.params {
						got := m.read(t, p.Grad)
						if policy == nn.RecomputeNone {
							want = append(want, got)
							require.NotZero(t, norm2(got), "gradient of %s", p.Name)
							continue
						}
						require.Equal(t, want[i], got, "policy %v, gradient of %s", policy, p.Name)
					}
				}
			})
		}
	}
}

func norm2(x []float32) float64 {
	sum := 0.0
	for _, v := range x {
		sum += float64(v) * float64(v)
	}
	return sum
}

// TestSequencesDoNotSeeEachOther checks that a flat micro-batch gives the results of
// its sequences one by one.
func TestSequencesDoNotSeeEachOther(t *testing.T) {
	for name, config := range tinyConfigs {
		t.Run(name, func(t *testing.T) {
			dir := writeTiny(t, config)
			together := randomBatch(97, 12, 3, 30)
			m := loadTiny(t, dir, nn.Options{}, 0, nn.Shapes{Evaluate: []*nn.Batch{together}})
			require.NoError(t, m.Evaluate(m.dev, together))
			want, err := m.Stats(m.dev)
			require.NoError(t, err)
			for s := range together.Sequences() {
				from, to := together.Starts[s], together.Starts[s+1]
				one := nn.NewBatch([][]int32{together.IDs[from:to]}, [][]int32{together.Labels[from:to]})
				require.NoError(t, m.Evaluate(m.dev, one))
			}
			got, err := m.Stats(m.dev)
			require.NoError(t, err)
			require.Equal(t, want.Predicted, got.Predicted)
			require.Equal(t, want.Hits, got.Hits)
			require.InEpsilon(t, want.Loss, got.Loss, 1e-6)
		})
	}
}

// TestGenerationAgreesWithForward checks greedy generation with the cache against a
// forward pass over the whole text.
func TestGenerationAgreesWithForward(t *testing.T) {
	for name, config := range tinyConfigs {
		t.Run(name, func(t *testing.T) {
			dir := writeTiny(t, config)
			prompt := randomBatch(97, 7).IDs
			const most = 12
			whole := oneSequence(len(prompt) + most)
			m := loadTiny(t, dir, nn.Options{}, 0, nn.Shapes{Evaluate: []*nn.Batch{whole}, Generate: len(prompt) + most})
			ids := append([]int32{}, prompt...)
			n, err := m.Generate(context.Background(), m.dev, prompt, most, nn.Sampling{TopP: 1}, nil, func(id int32) bool {
				ids = append(ids, id)
				return true
			})
			require.NoError(t, err)
			require.Equal(t, most, n)
			labels := append([]int32{}, ids...)
			for i := range prompt {
				labels[i] = bindings.IgnoreLabel
			}
			require.NoError(t, m.Evaluate(m.dev, nn.NewBatch([][]int32{ids}, [][]int32{labels})))
			stats, err := m.Stats(m.dev)
			require.NoError(t, err)
			require.Equal(t, most, stats.Predicted)
			require.Equal(t, most, stats.Hits, "tokens that forward predicts too")
		})
	}
}

// TestFullTuningGradients checks the gradient of every weight against finite
// differences of the loss.
func TestFullTuningGradients(t *testing.T) {
	for name, config := range tinyConfigs {
		t.Run(name, func(t *testing.T) {
			dir := writeTiny(t, config)
			b := randomBatch(97, 9, 6)
			m := loadTiny(t, dir, nn.Options{Train: true}, 0, nn.Shapes{Train: []*nn.Batch{b}, Evaluate: []*nn.Batch{b}})
			scale := 1 / float32(b.Predicted())
			require.NoError(t, m.Train(m.dev, b, scale, bindings.Random{}))
			_, err := m.Stats(m.dev)
			require.NoError(t, err)
			for _, p := range m.params {
				grad, value := m.read(t, p.Grad), m.read(t, p.Value)
				length := norm2(grad)
				require.NotZero(t, length, "gradient of %s", p.Name)
				// The slope of the loss along its gradient is the gradient's squared length.
				const step = 2e-3
				moved := make([]float32, len(value))
				var loss [2]float64
				for side, sign := range []float32{1, -1} {
					for i := range moved {
						moved[i] = value[i] + sign*step*grad[i]/float32(math.Sqrt(length))
					}
					require.NoError(t, m.dev.Write(p.Value, nn.Float32Bytes(moved)))
					require.NoError(t, m.Evaluate(m.dev, b))
					stats, err := m.Stats(m.dev)
					require.NoError(t, err)
					loss[side] = stats.Loss * float64(scale)
				}
				require.NoError(t, m.dev.Write(p.Value, nn.Float32Bytes(value)))
				got := (loss[0] - loss[1]) / (2 * step)
				require.InDelta(t, math.Sqrt(length), got, 0.02*math.Sqrt(length)+2e-4, "slope of the loss along the gradient of %s", p.Name)
			}
		})
	}
}

func TestSaveGivesTheFolderBack(t *testing.T) {
	dir := writeTiny(t, tinyConfigs["qwen2"])
	m := loadTiny(t, dir, nn.Options{Train: true}, 0, nn.Shapes{Train: []*nn.Batch{oneSequence(3)}})
	out := t.TempDir()
	require.NoError(t, m.Save(m.dev, out))
	for _, name := range []string{"config.json"} {
		want, err := os.ReadFile(filepath.Join(dir, name))
		require.NoError(t, err)
		got, err := os.ReadFile(filepath.Join(out, name))
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
	a, err := checkpoint.Open(dir)
	require.NoError(t, err)
	defer a.Close()
	b, err := checkpoint.Open(out)
	require.NoError(t, err)
	defer b.Close()
	require.Equal(t, a.Names(), b.Names())
	for _, name := range a.Names() {
		want, _ := a.Tensor(name)
		got, _ := b.Tensor(name)
		require.Equal(t, want.Shape, got.Shape, name)
		require.Equal(t, want.Data(), got.Data(), name)
	}
}

func TestNewRefusals(t *testing.T) {
	dir := writeTiny(t, tinyConfigs["llama"])
	for _, c := range []struct{ name, config, want string }{
		{"a tensor is missing", `{"model_type":"llama","hidden_size":64,"intermediate_size":96,"num_hidden_layers":4,"num_attention_heads":4,
			"num_key_value_heads":2,"vocab_size":97,"tie_word_embeddings":true}`, `no tensor "model.layers.3.`},
		{"a shape differs", `{"model_type":"llama","hidden_size":64,"intermediate_size":80,"num_hidden_layers":3,"num_attention_heads":4,
			"num_key_value_heads":2,"vocab_size":97,"tie_word_embeddings":true}`, "has shape [96 64]; config.json implies [80 64]"},
	} {
		t.Run(c.name, func(t *testing.T) {
			cfg, err := family.ParseConfig([]byte(c.config))
			require.NoError(t, err)
			base, err := checkpoint.Open(dir)
			require.NoError(t, err)
			defer base.Close()
			_, err = nn.New(cfg, base, nn.Options{}, bindings.NewMemory(), bindings.Info{})
			require.ErrorContains(t, err, c.want)
		})
	}
}

func TestIDsOutsideTheVocabulary(t *testing.T) {
	dir := writeTiny(t, tinyConfigs["llama"])
	m := loadTiny(t, dir, nn.Options{}, 0, nn.Shapes{Evaluate: []*nn.Batch{oneSequence(3)}})
	err := m.Evaluate(m.dev, nn.NewBatch([][]int32{{1, 97, 2}}, [][]int32{{1, 97, 2}}))
	require.ErrorContains(t, err, "token 1 has id 97, but the model's vocabulary has 97 entries")
}
