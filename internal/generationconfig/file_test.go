package generationconfig

import (
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"
)

func TestExtend(t *testing.T) {
	model := Model{Config: []byte(`{"hidden_size": 8, "bos_token_id": 1, "pad_token_id": null, "eos_token_id": 2}`), Ends: []int32{2}}
	for _, c := range []struct {
		name, text string // "": no file
		more       []int32
		want       string // "": text itself
	}{
		{"number", `{"eos_token_id": 2, "top_p": 0.80}`, []int32{5}, `{"eos_token_id": [2, 5], "top_p": 0.80}`},
		{"list", `{"eos_token_id": [7, 2]}`, []int32{5, 2, 5}, `{"eos_token_id": [7, 2, 5]}`},
		{"null", `{"eos_token_id": null}`, []int32{5}, `{"eos_token_id": [2, 5]}`},
		{"no key", `{"top_k": 1}`, []int32{2}, `{"eos_token_id": [2], "top_k": 1}`},
		{"from config.json", `{"eos_token_id": 2, "_from_model_config": true}`, []int32{5}, `{"eos_token_id": [2, 5]}`},
		{"no file", "", []int32{5}, `{"bos_token_id": 1, "eos_token_id": [2, 5]}`},
		{"nothing new", `{"eos_token_id": 2,  "_from_model_config": true}`, []int32{2}, ""},
		{"nothing new without a file", "", []int32{2}, ""},
		{"nothing learnt", `{"top_k": 1}`, nil, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			var text []byte
			if c.text != "" {
				text = []byte(c.text)
			}
			got, err := Extend(text, model, c.more)
			require.NoError(t, err)
			if c.want == "" {
				require.Equal(t, text, got)
				return
			}
			require.JSONEq(t, c.want, string(got))
			if c.name == "number" {
				require.Contains(t, string(got), "0.80")
			}
		})
	}
}

func TestInvalid(t *testing.T) {
	for text, want := range map[string]string{`{"eos_token_id": "</s>"}`: "must be a token id or a list of them", `[`: "unexpected end"} {
		_, err := Ends([]byte(text))
		require.ErrorContains(t, err, want)
		_, err = Extend([]byte(text), Model{}, nil)
		require.ErrorContains(t, err, want)
	}
	_, err := Read(fstest.MapFS{File + "/x": {}})
	require.ErrorContains(t, err, "regular file")
	text, err := Read(fstest.MapFS{})
	require.NoError(t, err)
	require.Nil(t, text)
}

func TestStops(t *testing.T) {
	for _, c := range []struct {
		name, file, config string // "": none
		want               []int32
	}{
		{"both", `{"eos_token_id": [7, 2]}`, `{"eos_token_id": 2, "hidden_size": 8}`, []int32{7, 2}},
		{"config.json alone", "", `{"eos_token_id": [2, 3]}`, []int32{2, 3}},
		{"neither", "", "", nil},
		{"none", `{}`, `{"eos_token_id": null}`, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			in := fstest.MapFS{}
			if c.file != "" {
				in[File] = &fstest.MapFile{Data: []byte(c.file)}
			}
			if c.config != "" {
				in["config.json"] = &fstest.MapFile{Data: []byte(c.config)}
			}
			got, err := Stops(in)
			require.NoError(t, err)
			require.Equal(t, c.want, got)
		})
	}
	_, err := Stops(fstest.MapFS{"config.json": {Data: []byte(`{"eos_token_id": "</s>"}`)}})
	require.ErrorContains(t, err, "config.json: eos_token_id must be a token id or a list of them")
}
