package options

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestBracketed(t *testing.T) {
	for text, want := range map[string]string{
		"[q_proj,v_proj]": "q_proj v_proj", "[q_proj, v_proj ]": "q_proj v_proj", `["q_proj", 'v_proj']`: "q_proj v_proj", " [0,1] ": "0 1", "[a]": "a",
		"[]": "", "[layers.0.q_proj,]": "layers.0.q_proj",
		"q_proj": "-", "[q_proj": "-", "q_proj]": "-", "[q|v]": "-", "[a b]": "-", "[,a]": "-", `["a]`: "-", "[[a]]": "-", ".*[qv]_proj": "-", "[": "-", "": "-",
	} {
		got, ok := bracketed(text, false)
		require.Equal(t, want != "-", ok, text)
		if ok {
			require.Equal(t, want, strings.Join(got, " "), text)
		}
	}
	for text, want := range map[string]string{
		"[PAD]": "-", "[PAD],[SEP]": "-", "[]": "-", `["[PAD]", '<a>']`: "[PAD] <a>", "[ab].jsonl": "-", `["a b.jsonl"]`: "a b.jsonl", "[a,b]": "-",
	} {
		got, ok := bracketed(text, true)
		require.Equal(t, want != "-", ok, text)
		if ok {
			require.Equal(t, want, strings.Join(got, " "), text)
		}
	}
}

// TestListsAsPythonWritesThem sets lists from such texts, on the command line and in YAML.
func TestListsAsPythonWritesThem(t *testing.T) {
	type all struct {
		Targets string   `option:"target_modules" many:"true"`
		Modules []string `option:"modules_to_save"`
		Report  []string `option:"report_to" nothing:"none"`
		Tokens  []string `option:"add_tokens" literal:"true"`
		Data    []string `option:"dataset" path:"true"`
	}
	for text, want := range map[string]all{
		"--target_modules=[q_proj,v_proj]": {Targets: "q_proj,v_proj"},
		`--target_modules=["q_proj"]`:      {Targets: "q_proj"},
		"--target_modules=(q|v)_proj":      {Targets: "(q|v)_proj"},
		"--target_modules=[qv]_proj":       {Targets: "[qv]_proj"},
		"--modules_to_save=['a', 'b']":     {Modules: []string{"a", "b"}},
		"--report_to=[]":                   {Report: []string{"none"}},
		"--add_tokens=[PAD]":               {Tokens: []string{"[PAD]"}},
		`--add_tokens=["[PAD]","a,b"]`:     {Tokens: []string{"[PAD]", "a,b"}},
		`--dataset=["x.jsonl","y.jsonl"]`:  {Data: []string{"x.jsonl", "y.jsonl"}},
		"--dataset=[xy]":                   {Data: []string{"[xy]"}},
	} {
		var got all
		set := New()
		set.Add("", &got)
		name, value, _ := strings.Cut(strings.TrimPrefix(text, "--"), "=")
		require.NoError(t, set.give(name, value, fromCommandLine, ""), text)
		require.Equal(t, want, got, text)
	}
}
