package checkpoint_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"

	"qlora/checkpoint"
	"qlora/internal/ggml"
	"qlora/internal/gguf"
	"qlora/tokenizer"
)

// ggufLlama is the metadata of a Llama with two layers, 4 heads, 2 key heads and 256 features.
func ggufLlama() gguf.Metadata {
	return gguf.Metadata{
		{Key: "general.architecture", Value: "llama"},
		{Key: "llama.block_count", Value: uint32(1)},
		{Key: "llama.context_length", Value: uint32(128)},
		{Key: "llama.embedding_length", Value: uint32(256)},
		{Key: "llama.feed_forward_length", Value: uint32(256)},
		{Key: "llama.attention.head_count", Value: uint32(4)},
		{Key: "llama.attention.head_count_kv", Value: uint32(2)},
		{Key: "llama.attention.layer_norm_rms_epsilon", Value: float32(1e-5)},
		{Key: "llama.rope.freq_base", Value: float32(5e5)},
	}
}

// withVocabulary adds a byte-level vocabulary of 256 tokens and an end.
func withVocabulary(m gguf.Metadata, tokens int) gguf.Metadata {
	names, kinds := make([]string, tokens), make([]int32, tokens)
	for i := range names {
		names[i], kinds[i] = string(rune(0x100+i)), 1
		if i < 94 {
			names[i] = string(rune('!' + i))
		}
	}
	names[tokens-2] = "ab"
	names[tokens-1], kinds[tokens-1] = "<end>", 3
	return append(m,
		gguf.KV{Key: "tokenizer.ggml.model", Value: "gpt2"}, gguf.KV{Key: "tokenizer.ggml.pre", Value: "gpt-2"},
		gguf.KV{Key: "tokenizer.ggml.tokens", Value: names}, gguf.KV{Key: "tokenizer.ggml.token_type", Value: kinds},
		gguf.KV{Key: "tokenizer.ggml.merges", Value: []string{"a b"}}, gguf.KV{Key: "tokenizer.ggml.eos_token_id", Value: uint32(tokens - 1)},
		gguf.KV{Key: "tokenizer.chat_template", Value: "{{ messages[0].content }}"})
}

// values returns n numbers that differ.
func values(n int) []float32 {
	x := make([]float32, n)
	for i := range x {
		x[i] = float32(math.Sin(float64(i)*0.7)) * 3
	}
	return x
}

// ggufTensor returns a tensor of a GGUF file with values of that type.
func ggufTensor(t *testing.T, name string, kind ggml.Type, shape ...int) (gguf.Entry, []float32) {
	t.Helper()
	n := 1
	for _, size := range shape {
		n *= size
	}
	e := gguf.Entry{Name: name, Type: kind, Shape: shape}
	size, err := e.Bytes()
	require.NoError(t, err)
	data, back := make([]byte, size), make([]float32, n)
	require.NoError(t, ggml.Quantize(kind, data, values(n)))
	require.NoError(t, ggml.Dequantize(kind, back, data))
	e.Write = func(w io.Writer) error {
		_, err := w.Write(data)
		return err
	}
	return e, back
}

func writeGGUF(t *testing.T, path string, m gguf.Metadata, tensors ...gguf.Entry) string {
	t.Helper()
	require.NoError(t, gguf.Write(path, m, tensors))
	return path
}

func TestGGUF(t *testing.T) {
	embedding, embeddingValues := ggufTensor(t, "token_embd.weight", ggml.Q8_0, 97, 256)
	q, qValues := ggufTensor(t, "blk.0.attn_q.weight", ggml.Q4_K, 256, 256)
	v, vValues := ggufTensor(t, "blk.0.attn_v.weight", ggml.F16, 128, 256)
	norm, normValues := ggufTensor(t, "output_norm.weight", ggml.F32, 256)
	path := writeGGUF(t, filepath.Join(t.TempDir(), "m.gguf"), withVocabulary(ggufLlama(), 97), embedding, q, v, norm)
	c, err := checkpoint.Open(path)
	require.NoError(t, err)
	defer c.Close()
	require.Equal(t, []string{"model.embed_tokens.weight", "model.layers.0.self_attn.q_proj.weight", "model.layers.0.self_attn.v_proj.weight", "model.norm.weight"}, c.Names())
	require.Equal(t, [][]string{c.Names()}, c.Shards())
	require.Equal(t, path, c.Source())
	require.Equal(t, `m.gguf: tensor "blk.0.attn_q.weight"`, c.Where("model.layers.0.self_attn.q_proj.weight"))
	_, err = c.Tensor("lm_head.weight")
	require.ErrorIs(t, err, checkpoint.ErrNoTensor)
	require.Equal(t, []string{"Q4_K", "Q8_0"}, checkpoint.BlockTypes(c))

	// The rows of a head of Hugging Face's q have its halves one after the other.
	halves := make([]float32, len(qValues))
	for i := range 256 {
		head, in := i/64*64, i%64
		copy(halves[i*256:(i+1)*256], qValues[(head+in%32*2+in/32)*256:])
	}
	for name, want := range map[string]struct {
		values       []float32
		dtype, plain checkpoint.DType
		dense        bool
	}{
		"model.embed_tokens.weight":              {embeddingValues, checkpoint.F32, checkpoint.BF16, false},
		"model.layers.0.self_attn.q_proj.weight": {halves, checkpoint.F32, checkpoint.BF16, false},
		"model.layers.0.self_attn.v_proj.weight": {vValues, checkpoint.F16, checkpoint.F16, true},
		"model.norm.weight":                      {normValues, checkpoint.F32, checkpoint.F32, true},
	} {
		tensor, err := c.Tensor(name)
		require.NoError(t, err)
		require.Equal(t, want.dtype, tensor.DType, name)
		require.Equal(t, want.plain, tensor.Plain(), name)
		require.Equal(t, want.dense, tensor.IsDense(), name)
		got := make([]float32, tensor.Elements())
		tensor.Floats(got, 0)
		require.Equal(t, want.values, got, name)
		part := make([]float32, 700)
		tensor.Floats(part[:min(700, len(got)-100)], 100)
		require.Equal(t, want.values[100:min(800, len(got))], part[:min(700, len(got)-100)], name)
		require.NoError(t, tensor.CheckFinite(name))
		c.Release(name)
	}
	require.JSONEq(t, `{"architectures": ["LlamaForCausalLM"], "attention_bias": false, "bos_token_id": null, "dtype": "bfloat16", "eos_token_id": 96,
		"head_dim": 64, "hidden_act": "silu", "hidden_size": 256, "intermediate_size": 256, "max_position_embeddings": 128, "mlp_bias": false,
		"model_type": "llama", "num_attention_heads": 4, "num_hidden_layers": 1, "num_key_value_heads": 2, "pad_token_id": null, "rms_norm_eps": 1e-05,
		"rope_theta": 500000, "tie_word_embeddings": true, "vocab_size": 97}`, string(c.Config()))
}

// TestGGUFFiles reads the files that the metadata stands for.
func TestGGUFFiles(t *testing.T) {
	embedding, _ := ggufTensor(t, "token_embd.weight", ggml.Q8_0, 97, 256)
	path := writeGGUF(t, filepath.Join(t.TempDir(), "m.gguf"), withVocabulary(ggufLlama(), 97), embedding)
	files, err := checkpoint.Files(path)
	require.NoError(t, err)
	require.NoError(t, fstest.TestFS(files, "config.json", "tokenizer.json", "tokenizer_config.json"))
	_, err = fs.Stat(files, "tokenizer.model")
	require.ErrorIs(t, err, fs.ErrNotExist)
	tok, err := checkpoint.Tokenizer(path)
	require.NoError(t, err)
	require.True(t, checkpoint.HasTokenizer(path))
	end, ok := tok.EOS()
	require.True(t, ok)
	require.Equal(t, int32(96), end)
	require.Equal(t, "a", tok.Token(tok.NewEncoder().Encode(nil, "a", false)[0]))
	text, err := fs.ReadFile(files, "tokenizer_config.json")
	require.NoError(t, err)
	require.Contains(t, string(text), "messages[0].content")

	// A folder has its own.
	dir := t.TempDir()
	require.False(t, checkpoint.HasTokenizer(dir))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "tokenizer.json"), read(t, files, "tokenizer.json"), 0o644))
	require.True(t, checkpoint.HasTokenizer(dir))
	own, err := tokenizer.LoadFolder(dir)
	require.NoError(t, err)
	require.Equal(t, tok.Size(), own.Size())

	// Without a vocabulary, config.json is alone.
	bare, err := checkpoint.Files(writeGGUF(t, filepath.Join(t.TempDir(), "m.gguf"), ggufLlama(), embedding))
	require.NoError(t, err)
	require.NoError(t, fstest.TestFS(bare, "config.json"))
	require.False(t, tokenizer.ExistsIn(bare))
}

func read(t *testing.T, files fs.FS, name string) []byte {
	t.Helper()
	data, err := fs.ReadFile(files, name)
	require.NoError(t, err)
	return data
}

// TestGGUFPaths gives what names a GGUF model.
func TestGGUFPaths(t *testing.T) {
	dir := t.TempDir()
	embedding, _ := ggufTensor(t, "token_embd.weight", ggml.F32, 97, 256)
	norm, _ := ggufTensor(t, "output_norm.weight", ggml.F32, 256)
	part := func(i int) gguf.Metadata {
		return append(ggufLlama(), gguf.KV{Key: "split.no", Value: uint16(i)}, gguf.KV{Key: "split.count", Value: uint16(2)}, gguf.KV{Key: "split.tensors.count", Value: int32(2)})
	}
	first := writeGGUF(t, filepath.Join(dir, "m-00001-of-00002.gguf"), part(0), embedding)
	second := writeGGUF(t, filepath.Join(dir, "m-00002-of-00002.gguf"), part(1), norm)
	writeGGUF(t, filepath.Join(dir, "mmproj-m.gguf"), nil)
	for _, path := range []string{first, second, dir} {
		c, err := checkpoint.Open(path)
		require.NoError(t, err)
		require.Equal(t, [][]string{{"model.embed_tokens.weight"}, {"model.norm.weight"}}, c.Shards())
		require.NoError(t, c.Close())
		require.True(t, checkpoint.HasWeights(path))
		config, err := checkpoint.ReadConfig(path)
		require.NoError(t, err)
		require.Contains(t, string(config), `"model_type": "llama"`)
		require.Equal(t, first, checkpoint.ConfigSource(path))
	}
	other := writeGGUF(t, filepath.Join(dir, "other.gguf"), ggufLlama(), embedding)
	require.NoError(t, os.Rename(other, filepath.Join(dir, "other.bin"))) // known by its first bytes
	c, err := checkpoint.Open(filepath.Join(dir, "other.bin"))
	require.NoError(t, err)
	require.NoError(t, c.Close())
	writeGGUF(t, filepath.Join(dir, "other.gguf"), ggufLlama(), embedding)
	for _, open := range []func() error{
		func() error { _, err := checkpoint.Open(dir); return err },
		func() error { _, err := checkpoint.ReadConfig(dir); return err },
		func() error { _, err := checkpoint.Files(dir); return err },
	} {
		require.ErrorContains(t, open(), "it has several GGUF files: give one of them, such as "+first)
	}
	require.True(t, checkpoint.HasWeights(dir))
}

// TestFusedGGUF reads q, k and v from one tensor, as llama.cpp's converter fuses them on request.
func TestFusedGGUF(t *testing.T) {
	fused, all := ggufTensor(t, "blk.0.attn_qkv.weight", ggml.Q8_0, 256+128+128, 256)
	embedding, _ := ggufTensor(t, "token_embd.weight", ggml.F32, 97, 256)
	c, err := checkpoint.Open(writeGGUF(t, filepath.Join(t.TempDir(), "m.gguf"), ggufLlama(), embedding, fused))
	require.NoError(t, err)
	defer c.Close()
	for name, place := range map[string]struct{ first, rows int }{"q": {0, 256}, "k": {256, 128}, "v": {384, 128}} {
		tensor, err := c.Tensor("model.layers.0.self_attn." + name + "_proj.weight")
		require.NoError(t, err)
		require.Equal(t, []int{place.rows, 256}, tensor.Shape)
		got := make([]float32, tensor.Elements())
		tensor.Floats(got, 0)
		for i := range place.rows {
			from := place.first + i
			if name != "v" {
				from = place.first + i/64*64 + i%64%32*2 + i%64/32
			}
			require.Equal(t, all[from*256:(from+1)*256], got[i*256:(i+1)*256], "%s, row %d", name, i)
		}
	}
}

func TestBadGGUF(t *testing.T) {
	embedding, _ := ggufTensor(t, "token_embd.weight", ggml.F32, 97, 256)
	q, _ := ggufTensor(t, "blk.0.attn_q.weight", ggml.F32, 250, 256)
	odd, _ := ggufTensor(t, "blk.0.ssm_in.weight", ggml.F32, 8, 8)
	empty := func(name string, kind ggml.Type, shape ...int) gguf.Entry {
		e := gguf.Entry{Name: name, Type: kind, Shape: shape}
		n, err := e.Bytes()
		require.NoError(t, err)
		e.Write = func(w io.Writer) error { _, err := w.Write(make([]byte, n)); return err }
		return e
	}
	set := func(key string, value any) gguf.Metadata { return ggufLlama().Set(key, value) }
	for want, c := range map[string]struct {
		m       gguf.Metadata
		tensors []gguf.Entry
	}{
		"general.architecture, which names the model's family, is missing":   {nil, nil},
		`the architecture "mamba" is not supported; these are: arcee, bloom`: {set("general.architecture", "mamba"), nil},
		`general.type is "adapter": that file is no model`:                   {set("general.type", "adapter"), nil},
		`the tensor "token_embd.weight" is missing`:                          {ggufLlama(), nil},
		`the tensor "blk.0.ssm_in.weight" is none of architecture llama's`:   {ggufLlama(), []gguf.Entry{embedding, odd}},
		`"blk.0.attn_q.weight" has 250 rows, which do not fit 4 heads`:       {ggufLlama(), []gguf.Entry{embedding, q}},
		"llama.expert_count is 8: a mixture of experts is not supported":     {set("llama.expert_count", uint32(8)), []gguf.Entry{embedding}},
		"llama.embedding_length is abc, which is no whole number":            {set("llama.embedding_length", "abc"), []gguf.Entry{embedding}},
		"llama.rope.dimension_count is 32 for heads of 64 features":          {set("llama.rope.dimension_count", uint32(32)), []gguf.Entry{embedding}},
		`llama.rope.scaling.type "odd" is not supported`:                     {set("llama.rope.scaling.type", "odd"), []gguf.Entry{embedding}},
		`is of type IQ2_XXS, which is not read`:                              {ggufLlama(), []gguf.Entry{empty("token_embd.weight", ggml.IQ2_XXS, 97, 256)}},
		"differs from layer to layer":                                        {set("llama.attention.head_count_kv", []int32{2, 1}), []gguf.Entry{embedding}},
		"must have 32 elements of F32":                                       {ggufLlama(), []gguf.Entry{embedding, empty("rope_freqs.weight", ggml.F32, 31)}},
		`are both model.layers.0.self_attn.q_proj.weight`:                    {ggufLlama(), []gguf.Entry{embedding, empty("blk.0.attn_q.weight", ggml.F32, 256, 256), empty("blk.0.attn_qkv.weight", ggml.F32, 512, 256)}},
	} {
		path := writeGGUF(t, filepath.Join(t.TempDir(), "m.gguf"), c.m, c.tensors...)
		_, err := checkpoint.Open(path)
		require.ErrorContains(t, err, want)
		require.ErrorContains(t, err, path)
	}
}

// TestCopyGGUF writes tensors of a GGUF file into a Hugging Face folder.
func TestCopyGGUF(t *testing.T) {
	embedding, all := ggufTensor(t, "token_embd.weight", ggml.Q4_0, 97, 256)
	c, err := checkpoint.Open(writeGGUF(t, filepath.Join(t.TempDir(), "m.gguf"), ggufLlama(), embedding))
	require.NoError(t, err)
	defer c.Close()
	w, err := checkpoint.CopyFinite(c, "model.embed_tokens.weight")
	require.NoError(t, err)
	require.Equal(t, checkpoint.BF16, w.DType)
	var out bytes.Buffer
	require.NoError(t, w.Write(context.Background(), &out))
	require.Equal(t, checkpoint.BF16.AppendFloats(nil, all), out.Bytes())

	tensor, err := c.Tensor("model.embed_tokens.weight")
	require.NoError(t, err)
	more := tensor.WithRows(100)
	require.Equal(t, []int{100, 256}, more.Shape)
	require.Equal(t, checkpoint.BF16, more.DType)

	var print, again bytes.Buffer
	require.NoError(t, checkpoint.Fingerprint(&print, c))
	require.NoError(t, checkpoint.Fingerprint(&again, c))
	require.Equal(t, print.String(), again.String())
	require.Contains(t, print.String(), "Q4_0")
}

// TestDamagedGGUF finds a scale that is not finite.
func TestDamagedGGUF(t *testing.T) {
	data := make([]byte, 34*8)
	copy(data[34*3:], []byte{0x00, 0x7e, 1}) // NaN
	e := gguf.Entry{Name: "token_embd.weight", Type: ggml.Q8_0, Shape: []int{1, 256}, Write: func(w io.Writer) error { _, err := w.Write(data); return err }}
	c, err := checkpoint.Open(writeGGUF(t, filepath.Join(t.TempDir(), "m.gguf"), ggufLlama(), e))
	require.NoError(t, err)
	defer c.Close()
	tensor, err := c.Tensor("model.embed_tokens.weight")
	require.NoError(t, err)
	require.ErrorContains(t, tensor.CheckFinite("here"), "here has NaN as element 96")
	w, err := checkpoint.Copy(c, "model.embed_tokens.weight")
	require.NoError(t, err)
	var damaged *checkpoint.DamagedError
	require.ErrorAs(t, w.Write(context.Background(), io.Discard), &damaged)
}

// FuzzOpenGGUF opens any file and, if it is a model, reads everything in it.
func FuzzOpenGGUF(f *testing.F) {
	t := &testing.T{}
	embedding, _ := ggufTensor(t, "token_embd.weight", ggml.Q8_0, 97, 32)
	dir := f.TempDir()
	for _, arch := range []string{"llama", "gemma3", "falcon", "gpt2", "bloom", "phi3", "stablelm", "olmo2"} {
		path := filepath.Join(dir, "seed.gguf")
		require.NoError(f, gguf.Write(path, gguf.Metadata{
			{Key: "general.architecture", Value: arch},
			{Key: arch + ".block_count", Value: uint32(1)},
			{Key: arch + ".context_length", Value: uint32(64)},
			{Key: arch + ".embedding_length", Value: uint32(32)},
			{Key: arch + ".attention.head_count", Value: uint32(4)},
			{Key: arch + ".attention.head_count_kv", Value: uint32(2)},
			{Key: arch + ".rope.scaling.type", Value: "linear"},
			{Key: arch + ".rope.scaling.factor", Value: float32(2)},
			{Key: arch + ".attention.sliding_window", Value: uint32(8)},
		}, []gguf.Entry{embedding}))
		data, err := os.ReadFile(path)
		require.NoError(f, err)
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		path := filepath.Join(t.TempDir(), "m.gguf")
		require.NoError(t, os.WriteFile(path, data, 0o644))
		c, err := checkpoint.Open(path)
		if err != nil {
			require.NotEmpty(t, err.Error())
			return
		}
		defer c.Close()
		var config map[string]any
		require.NoError(t, json.Unmarshal(c.Config(), &config))
		for _, name := range c.Names() {
			tensor, err := c.Tensor(name)
			require.NoError(t, err, name)
			x := make([]float32, tensor.Elements())
			tensor.Floats(x, 0)
		}
		_, _ = fs.ReadFile(c.Files(), "tokenizer.json")
		require.True(t, slices.IsSorted(c.Names()), fmt.Sprint(c.Names()))
	})
}
