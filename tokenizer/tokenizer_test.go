package tokenizer

import (
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func load(t testing.TB, name string) *Tokenizer {
	t.Helper()
	tok, err := Load(filepath.Join("testdata", name+".json"))
	require.NoError(t, err)
	return tok
}

func TestLookups(t *testing.T) {
	tok := load(t, "llama3")
	id, ok := tok.ID("<s>")
	require.True(t, ok)
	assert.Equal(t, "<s>", tok.Token(id))
	assert.Equal(t, []int32{id}, tok.Prefix())
	assert.Empty(t, tok.Suffix())
	for _, out := range []int32{-1, int32(tok.Size()), 1 << 30} {
		assert.Empty(t, tok.Token(out))
		assert.Empty(t, tok.Decode([]int32{out}, false))
	}
	_, ok = tok.ID("no such token")
	assert.False(t, ok)
}

// TestEncodePrompt checks that a text that begins with BOS gets no second one.
func TestEncodePrompt(t *testing.T) {
	for _, name := range []string{"llama2", "llama3"} {
		tok := load(t, name)
		e := tok.NewEncoder()
		want := e.Encode(tok.Prefix(), "a cat", false)
		require.Equal(t, want, e.EncodePrompt("a cat"))
		require.Equal(t, want, e.EncodePrompt("<s>a cat"))
		require.Equal(t, want[:1], e.EncodePrompt(""))
		require.Equal(t, want[:1], e.EncodePrompt("<s>"))
	}
}

// TestLongWord compares the two ways to merge a word.
func TestLongWord(t *testing.T) {
	b := load(t, "llama2").model.(*bpe)
	text := "▁" + strings.Repeat("the▁cat▁returns▁a▁number.▁", 20)
	for n := shortWord; n < len(text); n += 7 {
		short := bpeBySearch(b, b.spell(nil, text[:n]))
		long := b.mergeLong(b.spell(nil, text[:n]))
		assert.Equal(t, short, long, "first %d bytes", n)
	}
}

// bpeBySearch implements byte pair encoding by its definition.
func bpeBySearch(b *bpe, symbols []symbol) []symbol {
	for {
		best, at := none, 0
		for i := range len(symbols) - 1 {
			if m := b.mergeOf(symbols[i], symbols[i+1]); m.rank < best.rank {
				best, at = m, i
			}
		}
		if best == none {
			return symbols
		}
		symbols[at] = symbol{best.id, symbols[at].bytes + symbols[at+1].bytes}
		symbols = append(symbols[:at+1], symbols[at+2:]...)
	}
}

func TestStream(t *testing.T) {
	for _, name := range []string{"gpt2", "llama2", "llama3", "unigram", "mistral"} {
		t.Run(name, func(t *testing.T) {
			tok := load(t, name)
			for _, text := range []string{"the cat </s> returns", "👨‍👩‍👧 你好 กั", "  a  b\n", "\ufffd x"} {
				ids := tok.NewEncoder().Encode(nil, text, true)
				s, got := tok.NewStream(), ""
				for _, id := range ids {
					part := s.Push(id)
					if !strings.Contains(text, "\ufffd") {
						assert.NotContains(t, part, "\ufffd", "text %q", text)
					}
					got += part
				}
				got += s.Flush()
				assert.Equal(t, tok.Decode(ids, true), got, "text %q", text)
			}
		})
	}
}

func TestConcurrentEncoders(t *testing.T) {
	tok := load(t, "unigram")
	want := tok.NewEncoder().Encode(nil, "the cat returns a number", true)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			e := tok.NewEncoder()
			for range 20 {
				assert.Equal(t, want, e.Encode(nil, "the cat returns a number", true))
			}
		})
	}
	wg.Wait()
}

func TestValidUTF8(t *testing.T) {
	for in, want := range map[string]string{
		"a\x80\x80b":           "a\ufffd\ufffdb",
		"\xe2\x82x":            "\ufffdx",
		"\xf0\x9f\x98":         "\ufffd",
		"\xf0\x80\x80":         "\ufffd\ufffd\ufffd",
		"\xed\xa0\x80":         "\ufffd\ufffd\ufffd",
		"\xc3\xa9\xc3":         "é\ufffd",
		"\xf0\x9f\x98\xf0\x9f": "\ufffd\ufffd",
	} {
		assert.Equal(t, want, validUTF8([]byte(in)), "%q", in)
	}
}
