package dataset

import (
	"bytes"
	"crypto/sha256"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestCache checks that a cached set equals Load's, and that a change of any input
// changes the key.
func TestCache(t *testing.T) {
	tok := loadTokenizer(t, "bytelevel")
	dir := filepath.Join(t.TempDir(), "cache")
	file := write(t, "a.jsonl", "{\"text\": \"some words\"}\n{\"text\": \"and more of them\"}\n")
	opt := Options{Format: Auto, MaxLength: 8, Packing: true, Weights: []float64{1.5}, Seed: 1}
	want, err := Load([]string{file}, tok, opt, nil)
	require.NoError(t, err)
	// load returns where the set came from.
	load := func(opt Options) (*Cache, string) {
		t.Helper()
		c := NewCache(dir)
		set, path, damaged, err := c.Load([]string{file}, tok, opt, nil)
		require.NoError(t, err)
		require.NoError(t, damaged)
		if path != "" {
			assert.Equal(t, want, set)
		}
		return c, path
	}
	c, path := load(opt)
	assert.Empty(t, path)
	assert.NoDirExists(t, dir, "loading writes nothing")
	require.NoError(t, c.Save())
	_, path = load(opt)
	assert.Equal(t, dir, filepath.Dir(path))

	for name, change := range map[string]func(*Options){
		"format":      func(o *Options) { o.Format = "text" },
		"max_length":  func(o *Options) { o.MaxLength = 9 },
		"vocabulary":  func(o *Options) { o.VocabularySize = 9999 },
		"packing":     func(o *Options) { o.Packing = false },
		"weights":     func(o *Options) { o.Weights = []float64{2} },
		"no weights":  func(o *Options) { o.Weights = nil },
		"seed":        func(o *Options) { o.Seed = 2 },
		"whole chats": func(o *Options) { o.AssistantOnly = new(bool) },
		"whole pairs": func(o *Options) { o.CompletionOnly = new(bool) },
		"on inputs":   func(o *Options) { o.TrainOnInputs = true },
		"nothing":     func(*Options) {},
		"nothing two": func(*Options) {},
	} {
		other := opt
		change(&other)
		_, path := load(other)
		assert.Equal(t, name[:2] == "no" && name != "no weights", path != "", name)
	}
	tok = loadTokenizer(t, "metaspace")
	_, path = load(opt)
	assert.Empty(t, path, "another tokenizer")
	tok = loadTokenizer(t, "bytelevel")
	require.NoError(t, os.WriteFile(file, []byte("{\"text\": \"other words\"}\n"), 0o600))
	c, path = load(opt)
	assert.Empty(t, path, "another content")

	// Only sets that the run uses are kept.
	require.NoError(t, c.Save())
	entries, err := os.ReadDir(dir)
	require.NoError(t, err)
	assert.Len(t, entries, 1)
}

// TestSharedCache checks that another process gets the sets of a run, made or cached,
// in memory that a change of one does not reach.
func TestSharedCache(t *testing.T) {
	own := t.TempDir()
	file := write(t, "a.jsonl", "{\"input_ids\": [1, 2, 3]}\n{\"input_ids\": [4, 5]}\n")
	for _, cached := range []bool{false, true} {
		shared := t.TempDir()
		c := NewCache(own)
		want, path, _, err := c.Load([]string{file}, nil, DefaultOptions(), nil)
		require.NoError(t, err)
		require.Equal(t, cached, path != "")
		require.NoError(t, c.Share(shared))
		require.NoError(t, c.Save())
		for range 2 {
			got, path, damaged, err := SharedCache(shared).Load([]string{file}, nil, DefaultOptions(), nil)
			require.NoError(t, err)
			require.NoError(t, damaged)
			require.Equal(t, shared, filepath.Dir(path))
			require.Equal(t, want, got)
			got.Examples[0].IDs[0], got.Examples[1].Labels[1] = 77, 77
		}
		other := DefaultOptions()
		other.MaxLength = 2
		_, path, _, err = SharedCache(shared).Load([]string{file}, nil, other, nil)
		require.NoError(t, err)
		require.Empty(t, path, "other options")
	}
}

func TestDamagedCacheIsMadeAgain(t *testing.T) {
	dir := t.TempDir()
	file := write(t, "a.jsonl", `{"input_ids": [1, 2, 3]}`)
	load := func() (*Cache, string, error) {
		c := NewCache(dir)
		_, path, damaged, err := c.Load([]string{file}, nil, DefaultOptions(), nil)
		require.NoError(t, err)
		return c, path, damaged
	}
	c, _, _ := load()
	require.NoError(t, c.Save())
	_, path, damaged := load()
	require.NoError(t, damaged)
	good, err := os.ReadFile(path)
	require.NoError(t, err)
	for i := range good {
		bad := bytes.Clone(good)
		bad[i] ^= 1
		require.NoError(t, os.WriteFile(path, bad, 0o600))
		c, from, damaged := load()
		require.ErrorContains(t, damaged, "damaged", "byte %d", i)
		require.Empty(t, from)
		if i == 40 {
			require.NoError(t, c.Save())
			again, err := os.ReadFile(path)
			require.NoError(t, err)
			assert.Equal(t, good, again)
		}
	}
	for _, n := range []int{0, 10, len(good) - 1} {
		require.NoError(t, os.WriteFile(path, good[:n], 0o600))
		_, _, damaged := load()
		require.ErrorContains(t, damaged, "damaged", "%d bytes", n)
	}
}

// FuzzCachedSet checks that bytes with a valid sum are refused or round-trip.
func FuzzCachedSet(f *testing.F) {
	var b bytes.Buffer
	set := Set{Examples: []Example{
		{IDs: []int32{1, 2, 3}, Labels: []int32{-100, 2, 3}},
		{IDs: []int32{1, 2, 3}, Labels: []int32{1, 2, 3}, Starts: []int32{0, 2}, Weights: []float32{1, 0.5, 2}},
	}, Origins: []Origin{{0, 1, 2}}}
	require.NoError(f, writeSet(&b, &set))
	f.Add(b.Bytes()[:b.Len()-sha256.Size])
	f.Add([]byte(cacheMagic))
	set.Examples[0].Record, b = []byte("{}\n"), bytes.Buffer{}
	require.NoError(f, writeSet(&b, &set))
	f.Add(b.Bytes()[:b.Len()-sha256.Size])
	f.Fuzz(func(t *testing.T, data []byte) {
		set, err := decodeSet(data, false)
		mapped, mappedErr := decodeSet(data, true)
		require.Equal(t, err, mappedErr)
		if err != nil {
			return
		}
		require.Equal(t, set, mapped)
		var b bytes.Buffer
		require.NoError(t, writeSet(&b, set))
		again, err := parseSet(b.Bytes(), false)
		require.NoError(t, err)
		require.Equal(t, set, again)
	})
}
