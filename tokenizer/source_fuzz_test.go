package tokenizer

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"testing"
)

const fuzzedText = "ab é\n  1<s> 你好 the<sep>x \xff▁▁"

// FuzzSentencePieceFile feeds bytes as a tokenizer.model. A tokenizer that loads must encode and
// decode without a panic.
func FuzzSentencePieceFile(f *testing.F) {
	models, err := filepath.Glob("testdata/sentencepiece/*.model")
	if err != nil || len(models) == 0 {
		f.Fatal("no models", err)
	}
	for _, path := range models {
		data, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		m, err := parseSPM(data)
		if err != nil {
			return
		}
		tok, err := newSPM(m, &folderSettings{})
		if err == nil {
			exercise(t, tok)
		}
	})
}

// exercise encodes and decodes a text.
func exercise(t *testing.T, tok *Tokenizer) {
	t.Helper()
	e := tok.NewEncoder()
	ids, spans := e.EncodeOffsets(fuzzedText, true)
	if plain := e.Encode(nil, fuzzedText, true); !slices.Equal(ids, plain) || len(spans) != len(ids) {
		t.Errorf("ids are %v, with offsets %v, and %d spans", plain, ids, len(spans))
	}
	tok.Decode(ids, true)
}

// FuzzTiktoken feeds bytes as a file of tiktoken.
func FuzzTiktoken(f *testing.F) {
	f.Add([]byte("YQ== 0\nYg== 1\r\n\nYWI= 2\n"))
	f.Add([]byte(folderFile(f, "tiktoken", "tokenizer.model")))
	f.Fuzz(func(t *testing.T, data []byte) {
		isTiktoken(data)
		ranks, err := parseTiktoken(data)
		if err != nil {
			return
		}
		file := &byteLevelFile{pattern: llama3Pattern}
		if file.fromRanks(ranks, 0) == nil {
			file.exercise(t)
		}
	})
}

func (f *byteLevelFile) exercise(t *testing.T) {
	t.Helper()
	if tok, err := f.tokenizer(&folderSettings{}); err == nil {
		exercise(t, tok)
	}
}

// FuzzTekken feeds bytes as a tekken.json.
func FuzzTekken(f *testing.F) {
	f.Add([]byte(`{"config":{"pattern":"a|b","default_vocab_size":2,"default_num_special_tokens":1},"vocab":[{"token_bytes":"YQ=="}],"special_tokens":[{"rank":0,"token_str":"<s>"}]}`))
	f.Add([]byte(folderFile(f, "tekken", "tekken.json")))
	f.Add([]byte(folderFile(f, "tekken_old", "tekken.json")))
	f.Fuzz(func(t *testing.T, data []byte) {
		if file, err := parseTekken(data); err == nil {
			file.exercise(t)
		}
	})
}

// FuzzMerges feeds bytes as a merges.txt next to a small vocabulary.
func FuzzMerges(f *testing.F) {
	f.Add([]byte("#version: 0.2\na b\nab a\n"))
	f.Add([]byte("a b\r\n\n# b\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		pairs, err := readMergesText(data)
		if err != nil {
			return
		}
		file := &byteLevelFile{vocab: map[string]int32{"a": 0, "b": 1, "ab": 2, "aba": 3, "Ġ": 4}, merges: pairs}
		file.exercise(t)
	})
}

// FuzzSentencePiece checks that Encode and EncodeOffsets agree for every text, and that spans
// are ordered and cover whole characters.
func FuzzSentencePiece(f *testing.F) {
	models, _ := filepath.Glob("testdata/sentencepiece/*.model")
	var encoders []*Encoder
	for _, path := range models {
		encoders = append(encoders, modelFolder(f, path, nil).NewEncoder())
	}
	for _, text := range []string{"", " ", "the cat\r\n", "<s>é x", "👨‍👩‍👧", "\xff\xe2\x82", "e\u0301\u0323 ﬁ", "▁▁▁ <sep>x"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		for i, e := range encoders {
			checkSpans(t, models[i], e, text)
		}
	})
}

// folderFile returns a file of testdata/folders.
func folderFile(t testing.TB, folder, name string) string {
	t.Helper()
	data, err := os.ReadFile("testdata/folders/" + folder + ".json")
	if err != nil {
		t.Fatal(err)
	}
	var f struct{ Files map[string]string }
	if err := json.Unmarshal(data, &f); err != nil {
		t.Fatal(err)
	}
	return f.Files[name]
}
