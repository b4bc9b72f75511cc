package vocabulary

import "slices"

// A rule set is how a byte-level BPE cuts a text into words, and what else a name of llama.cpp
// implies. llama.cpp knows no normalizer; nfc is what the models' own files have.
type ruleSet struct {
	names        []string // the first is written where no other fits better
	steps        []step
	nfc          bool
	ignoreMerges bool // a word that is a token is not merged from its parts
	addBOS       bool // by default
}

// A step is a pre-tokenizer of tokenizer.json.
type step struct {
	kind    string // "Split", "Digits", "Punctuation" or "ByteLevel"
	pattern string // of a Split, Isolated
	single  bool   // of Digits: each is a word
}

func split(pattern string) step { return step{kind: "Split", pattern: pattern} }

var (
	eachDigit = step{kind: "Digits", single: true}
	digits    = step{kind: "Digits"}
	// bytesAfter spells the words in bytes; gpt2Words first cuts them as GPT-2 does.
	bytesAfter = step{kind: "ByteLevel"}
	gpt2Words  = step{kind: "ByteLevel", pattern: gpt2Pattern}
)

// Patterns of words. Those with (?i:…) are spelled as in the models' own files.
const (
	gpt2Pattern   = `'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`
	contractions  = `(?i:'s|'t|'re|'ve|'m|'ll|'d)`
	llama3Pattern = contractions + `|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`
	qwen2Pattern  = contractions + `|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`
	qwen35Pattern = contractions + `|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+`
	seedPattern   = contractions + "|[^\r\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1}| ?[^\\s\\p{L}\\p{N}\r\n]+|\\s*[\r\n]+|\\s+(?!\\S)|\\s+"
	upperWord     = `[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+`
	lowerWord     = `[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*`
	tekkenPattern = upperWord + `|` + lowerWord + `|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+`
	o200kPattern  = upperWord + contractions + `?|` + lowerWord + contractions + `?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+`

	// deepseekLatin lists the letters that have case.
	deepseekLatin = "\\s?[A-Za-z\u00b5\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u01ba\u01bc-\u01bf\u01c4-\u0293\u0295-\u02af\u0370-\u0373\u0376" +
		"\u0377\u037b-\u037d\u037f\u0386\u0388-\u038a\u038c\u038e-\u03a1\u03a3-\u03f5\u03f7-\u0481\u048a-\u052f\u0531-\u0556" +
		"\u10a0-\u10c5\u13a0-\u13f5\u13f8-\u13fd\u1c90-\u1cba\u1cbd-\u1cbf\u1d00-\u1d2b\u1d6b-\u1d77\u1d79-\u1d9a\u1e00-" +
		"\u1f15\u1f18-\u1f1d\u1f20-\u1f45\u1f48-\u1f4d\u1f50-\u1f57\u1f59\u1f5b\u1f5d\u1f5f-\u1f7d\u1f80-\u1fb4\u1fb6-\u1fbc" +
		"\u1fbe\u1fc2-\u1fc4\u1fc6-\u1fcc\u1fd0-\u1fd3\u1fd6-\u1fdb\u1fe0-\u1fec\u1ff2-\u1ff4\u1ff6-\u1ffc\u2102\u2107\u210a-" +
		"\u2113\u2115\u2119-\u211d\u2124\u2126\u2128\u212a-\u212d\u212f-\u2134\u2139\u213c-\u213f\u2145-\u2149\u214e\u2183" +
		"\u2184\u2c00-\u2c7b\u2c7e-\u2ce4\u2ceb-\u2cee\u2cf2\u2cf3\ua640-\ua66d\ua680-\ua69b\ua722-\ua76f\ua771-\ua787\ua78b-" +
		"\ua78e\uab70-\uabbf\ufb00-\ufb06\ufb13-\ufb17\uff21-\uff3a\uff41-\uff5a\U00010400-\U0001044f\U000104b0-\U000104d3" +
		"\U000104d8-\U000104fb\U00010c80-\U00010cb2\U00010cc0-\U00010cf2\U000118a0-\U000118df\U0001e900-\U0001e943]+"
	deepseekMain   = "[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\r\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+| ?[\\p{P}\\p{S}]+[\r\n]*|\\s*[\r\n]+|\\s+(?!\\S)|\\s+"
	deepseekPunct  = "\\s?[!-/:-~\uff01-\uff0f\uff1a-\uff5e\u2018-\u201f\u3000-\u3002]+"
	deepseekHan    = "[\u4e00-\u9fa5\u0800-\u4e00\uac00-\ud7ff]+"
	cjk            = "[\u4e00-\u9fa5\u3040-\u309f\u30a0-\u30ff]+"
	bloomPattern   = ` ?[^(\s|.,!?…。，、।۔،)]+`
	bailingPattern = `'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]|\s+(?!\S)|\s+`
	superDigits    = `\d{1,3}(?=(?:\d{3})*(?!\d))`
	threeDigits    = `\d{1,3}(?=(?:\d{3})*\b)`
)

// ruleSets lists the names of llama.cpp (llama_vocab::impl::load and llm_tokenizer_bpe).
var ruleSets = []ruleSet{
	{
		names: []string{"gpt-2", "phi-2", "gigachat", "a.x-4.0", "mellum", "modern-bert", "jais", "trillion", "granite-docling", "exaone4", "roberta-bpe"},
		steps: []step{gpt2Words},
	},
	{names: []string{"olmo", "mpt"}, steps: []step{gpt2Words}, nfc: true},
	{names: []string{"smollm", "starcoder", "refact", "codeshell", "exaone", "minerva-7b", "mellum2"}, steps: []step{eachDigit, gpt2Words}},
	{names: []string{"command-r"}, steps: []step{eachDigit, gpt2Words}, nfc: true},
	{names: []string{"falcon"}, steps: []step{{kind: "Punctuation"}, gpt2Words, digits, split(`[0-9][0-9][0-9]`)}},
	{
		names: []string{"llama-bpe", "llama3", "llama-v3", "falcon3", "falcon-h1", "pixtral", "midm-2.0", "lfm2"},
		steps: []step{split(llama3Pattern), bytesAfter}, ignoreMerges: true, addBOS: true,
	},
	{names: []string{"glm4", "glm5"}, steps: []step{split(llama3Pattern), bytesAfter}, ignoreMerges: true},
	{names: []string{"dbrx", "smaug-bpe", "chatglm-bpe"}, steps: []step{split(llama3Pattern), bytesAfter}},
	{names: []string{"qwen2", "deepseek-r1-qwen"}, steps: []step{split(qwen2Pattern), bytesAfter}, nfc: true},
	{names: []string{"stablelm2", "kormo", "f2llmv2", "megrez", "hunyuan", "solar-open", "grok-2"}, steps: []step{split(qwen2Pattern), bytesAfter}},
	{names: []string{"qwen35"}, steps: []step{split(qwen35Pattern), bytesAfter}},
	{names: []string{"seed-coder"}, steps: []step{split(seedPattern), bytesAfter}},
	{names: []string{"tekken"}, steps: []step{split(tekkenPattern), bytesAfter}, ignoreMerges: true, addBOS: true},
	{names: []string{"gpt-4o", "llama4", "kanana2", "talkie", "minimax-m2"}, steps: []step{split(o200kPattern), bytesAfter}},
	{names: []string{"tiny_aya", "cohere2moe"}, steps: []step{split(threeDigits), split(o200kPattern), bytesAfter}},
	{names: []string{"deepseek-llm"}, steps: []step{
		split("[\r\n]"), split(deepseekLatin), split(deepseekPunct), split(`\s+$`), split(deepseekHan), eachDigit, bytesAfter,
	}},
	{names: []string{"deepseek-coder"}, steps: []step{
		split("[\r\n]"), split(`\s?\p{L}+`), split(`\s?\p{P}+`), split(deepseekHan), eachDigit, bytesAfter,
	}},
	{names: []string{"deepseek-v3", "hunyuan-dense", "joyai-llm", "hy_v4"}, steps: []step{split(`\p{N}{1,3}`), split(cjk), split(deepseekMain), bytesAfter}},
	{names: []string{"bloom", "poro-chat", "gpt3-finnish"}, steps: []step{split(bloomPattern), bytesAfter}},
	{names: []string{"viking"}, steps: []step{split(bloomPattern), eachDigit, bytesAfter}},
	{names: []string{"bailingmoe", "bailingmoe2", "llada-moe"}, steps: []step{
		split(bailingPattern), bytesAfter,
	}},
	{names: []string{"superbpe"}, steps: []step{split(`\p{N}+`), split(superDigits), bytesAfter}},
	{names: []string{"default"}, steps: []step{split(`[\p{P}\$\+<=>\^~\|]+`), split(gpt2Pattern), split(`\p{N}+`), split(`[0-9][0-9][0-9]`), bytesAfter}},
}

// rulesOf returns the rules of a name, or nil.
func rulesOf(name string) *ruleSet {
	i := slices.IndexFunc(ruleSets, func(r ruleSet) bool { return slices.Contains(r.names, name) })
	if i < 0 {
		return nil
	}
	return &ruleSets[i]
}
