package tokenizer

import (
	"slices"
	"testing"
	"unicode/utf8"
)

// FuzzLoad feeds bytes as a tokenizer.json. A tokenizer that loads must encode and decode
// without a panic.
func FuzzLoad(f *testing.F) {
	f.Add([]byte(`{"added_tokens":[{"id":3,"content":"<s>","lstrip":true,"rstrip":true,"normalized":true,"single_word":true,"special":true}],` +
		`"pre_tokenizer":{"type":"Sequence","pretokenizers":[{"type":"Digits"},{"type":"Punctuation"},{"type":"Split","pattern":{"Regex":"\\s+|x"},"behavior":"MergedWithNext","invert":true},{"type":"ByteLevel"}]},` +
		`"post_processor":{"type":"Sequence","processors":[{"type":"ByteLevel"},{"type":"TemplateProcessing","single":[{"SpecialToken":{"id":"s"}},{"Sequence":{"id":"A"}}],"special_tokens":{"s":{"ids":[2]}}}]},` +
		`"decoder":{"type":"ByteLevel"},` + smallModel + `}`))
	f.Add([]byte(`{"normalizer":{"type":"Sequence","normalizers":[{"type":"Prepend","prepend":"▁"},{"type":"Replace","pattern":{"String":" "},"content":"▁"},{"type":"NFKC"},{"type":"Strip","strip_left":true}]},` +
		`"decoder":{"type":"Sequence","decoders":[{"type":"ByteFallback"},{"type":"Fuse"},{"type":"Strip","content":" ","start":1}]},` +
		`"model":{"type":"BPE","vocab":{"<unk>":0,"a":1,"<0x0A>":2},"merges":[],"unk_token":"<unk>","byte_fallback":true,"fuse_unk":true}}`))
	f.Add([]byte(`{"pre_tokenizer":{"type":"Metaspace","replacement":"▁","prepend_scheme":"first"},"decoder":{"type":"Metaspace","replacement":"▁"},` +
		`"model":{"type":"Unigram","vocab":[["<unk>",0],["▁",-2],["ab",-1]],"unk_id":0}}`))
	f.Add([]byte(`{"normalizer":{"type":"Precompiled","precompiled_charsmap":"CAAAAAAEAAAAAAAAYQA="},` + smallModel + `}`))
	f.Fuzz(func(_ *testing.T, data []byte) {
		tok, err := parse(data)
		if err != nil {
			return
		}
		e := tok.NewEncoder()
		ids, _ := e.EncodeOffsets("ab é\n  1<s> 你好 x", true)
		tok.Decode(ids, true)
	})
}

// FuzzEncode checks that a byte-level tokenizer round-trips every text, that Encode and
// EncodeOffsets agree for all kinds, and that spans are ordered and cover whole characters.
func FuzzEncode(f *testing.F) {
	names := []string{"removed", "llama3", "gpt2", "qwen2", "llama2", "mistral", "unigram", "unknown"}
	var encoders []*Encoder
	for _, name := range names {
		encoders = append(encoders, load(f, name).NewEncoder())
	}
	for _, text := range []string{"", "the cat\r\n", "<s>é<L> x", "👨‍👩‍👧", "\xff\xe2\x82", "e\u0301\u0323 ﬁ"} {
		f.Add(text)
	}
	smollm2 := load(f, "smollm2")
	f.Fuzz(func(t *testing.T, text string) {
		for i, e := range encoders {
			checkSpans(t, names[i], e, text)
		}
		if !utf8.ValidString(text) {
			return
		}
		// lstrip and rstrip remove spaces, so only texts without added tokens round-trip.
		ids := smollm2.NewEncoder().Encode(nil, text, true)
		first, _ := smollm2.ID("<s>")
		if !slices.ContainsFunc(ids, func(id int32) bool { return id >= first }) {
			if got := smollm2.Decode(ids, false); got != text {
				t.Errorf("text %q came back as %q", text, got)
			}
		}
	})
}

func checkSpans(t *testing.T, name string, e *Encoder, text string) {
	ids, spans := e.EncodeOffsets(text, false)
	if plain := e.Encode(nil, text, false); !slices.Equal(ids, plain) {
		t.Errorf("%s: %q: %s", name, text, describe("ids with and without offsets", ids, plain))
	}
	if len(spans) != len(ids) {
		t.Fatalf("%s: %q: %d spans for %d ids", name, text, len(spans), len(ids))
	}
	if !utf8.ValidString(text) {
		return
	}
	for i, s := range spans {
		if s.Start < 0 || s.Start > s.End || s.End > len(text) {
			t.Fatalf("%s: %q: span %d is %v", name, text, i, s)
		}
		if !utf8.ValidString(text[s.Start:s.End]) {
			t.Errorf("%s: %q: span %d, %v, splits a character", name, text, i, s)
		}
	}
}
