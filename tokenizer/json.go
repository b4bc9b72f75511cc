package tokenizer

import "encoding/json"

// file holds the keys of tokenizer.json that are read.
type file struct {
	AddedTokens   []addedToken `json:"added_tokens"`
	Normalizer    *component   `json:"normalizer"`
	PreTokenizer  *component   `json:"pre_tokenizer"`
	PostProcessor *component   `json:"post_processor"`
	Decoder       *component   `json:"decoder"`
	Model         modelFile    `json:"model"`
}

type modelFile struct {
	Type         string          `json:"type"`
	Vocab        json.RawMessage `json:"vocab"`
	Merges       json.RawMessage `json:"merges"`
	UnkToken     *string         `json:"unk_token"`
	UnkID        *int32          `json:"unk_id"`
	FuseUnk      bool            `json:"fuse_unk"`
	ByteFallback bool            `json:"byte_fallback"`
	IgnoreMerges bool            `json:"ignore_merges"`
	Dropout      *float64        `json:"dropout"`
	WordPrefix   *string         `json:"continuing_subword_prefix"`
	WordSuffix   *string         `json:"end_of_word_suffix"`
}

type addedToken struct {
	ID         int32  `json:"id"`
	Content    string `json:"content"`
	SingleWord bool   `json:"single_word"`
	LStrip     bool   `json:"lstrip"`
	RStrip     bool   `json:"rstrip"`
	Normalized bool   `json:"normalized"`
	Special    bool   `json:"special"`
}

// A component is a normalizer, pre-tokenizer, post-processor or decoder. It holds the settings
// of all types.
type component struct {
	Type          string      `json:"type"`
	Normalizers   []component `json:"normalizers"`
	PreTokenizers []component `json:"pretokenizers"`
	Processors    []component `json:"processors"`
	Decoders      []component `json:"decoders"`

	Pattern          *pattern `json:"pattern"`
	Content          string   `json:"content"`
	Prepend          string   `json:"prepend"`
	StripLeft        bool     `json:"strip_left"`
	StripRight       bool     `json:"strip_right"`
	Charsmap         *string  `json:"precompiled_charsmap"`
	Behavior         string   `json:"behavior"`
	Invert           bool     `json:"invert"`
	AddPrefixSpace   *bool    `json:"add_prefix_space"`
	TrimOffsets      *bool    `json:"trim_offsets"`
	UseRegex         *bool    `json:"use_regex"`
	Replacement      string   `json:"replacement"`
	PrependScheme    string   `json:"prepend_scheme"`
	Split            *bool    `json:"split"`
	IndividualDigits bool     `json:"individual_digits"`
	Start            int      `json:"start"`
	Stop             int      `json:"stop"`

	Single        []templatePart             `json:"single"`
	SpecialTokens map[string]templateSpecial `json:"special_tokens"`
}

type pattern struct {
	String *string `json:"String"`
	Regex  *string `json:"Regex"`
}

type templatePart struct {
	SpecialToken *struct {
		ID string `json:"id"`
	} `json:"SpecialToken"`
	Sequence *struct {
		ID string `json:"id"`
	} `json:"Sequence"`
}

type templateSpecial struct {
	IDs []int32 `json:"ids"`
}

// isTrue returns a setting that defaults to true.
func isTrue(b *bool) bool { return b == nil || *b }
