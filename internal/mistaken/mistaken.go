// Package mistaken says what a path is that was given as a model or as an adapter and is
// neither, and what to give instead.
package mistaken

import (
	"cmp"
	"encoding/json"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"qlora/option"
)

// Names of the files that make a folder a model or an adapter.
const (
	modelConfig   = "config.json"
	adapterConfig = "adapter_config.json"
)

// hubName matches ORG/NAME, alone or in an address of the Hugging Face Hub.
var hubName = regexp.MustCompile(`^(?:https?://(?:www\.)?(?:huggingface\.co|hf\.co)/(?:datasets/)?|hf\.co/|hf://(?:datasets/)?)?([A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*)/?(?:tree/\S*)?$`)

// Missing returns the error of a path that does not exist, the value of an option. It
// says how to fetch what looks like a name on the Hub.
func Missing(name, path string) error {
	if m := hubName.FindStringSubmatch(path); m != nil {
		return option.Errorf(name, path, "there is no such folder here; if it is on the Hugging Face Hub, `qlora fetch %s` downloads it and prints its folder", m[1])
	}
	return option.Errorf(name, path, "it does not exist: give a folder on this machine")
}

// MissingData returns the error of a file or folder of records that does not exist, the
// value of an option.
func MissingData(name, path string) error {
	if m := hubName.FindStringSubmatch(path); m != nil && filepath.Ext(path) == "" {
		return option.Errorf(name, path, "there is no such file here; if it is on the Hugging Face Hub, `qlora fetch --dataset %s` downloads it and prints its folder", m[1])
	}
	return option.Errorf(name, path, "it does not exist: give a file or folder of records")
}

// Model returns the error of path, the value of option model, which is no folder with
// config.json and weights, no GGUF file, and no folder with one such file.
func Model(path string) error {
	refuse := func(format string, args ...any) error { return option.Errorf("model", path, format, args...) }
	info, err := os.Stat(path)
	if err != nil {
		if os.IsNotExist(err) {
			return Missing("model", path)
		}
		return refuse("it cannot be read: %v", plain(err))
	}
	if !info.IsDir() {
		return file(path, refuse)
	}
	if base, ok := adapter(path); ok {
		if base == "" {
			return refuse("that is an adapter: give it as `adapter`, and its base as `model`")
		}
		return refuse("that is an adapter: give it as `adapter`, and its base, %s, as `model`", short(base))
	}
	entries, err := os.ReadDir(path)
	switch {
	case err != nil:
		return refuse("it cannot be read: %v", plain(err))
	case len(entries) == 0:
		return refuse("that folder is empty: give a Hugging Face model folder, with config.json, *.safetensors and tokenizer.json, or a GGUF file")
	}
	config := has(path, modelConfig)
	if within := newest(filepath.Join(path, "snapshots", "*")); !config && within != "" {
		return refuse("that is the Hub's cache of the model: give the folder %s in it", short(rel(path, within)))
	}
	if within := newest(filepath.Join(path, "checkpoint-*")); !config && within != "" {
		return refuse("that folder holds checkpoints of a run: give one of them, such as %s", short(filepath.Join(path, filepath.Base(within))))
	}
	if found, _ := filepath.Glob(filepath.Join(escape(path), "*.gguf")); len(found) > 0 {
		return refuse("it has several GGUF files: give one of them, such as %s", short(found[0]))
	}
	for _, kind := range []struct{ pattern, what string }{
		{"pytorch_model*.bin*", pickle},
		{"*.pth", pickle},
		{"*.pt", pickle},
		{"*.bin", pickle},
		{"*.ckpt", pickle},
		{"tf_model.h5", "weights of TensorFlow, which are not read: download the model's *.safetensors"},
		{"flax_model.msgpack", "weights of Flax, which are not read: download the model's *.safetensors"},
		{"*.incomplete", "a download that has not ended: start it again"},
		{"model-*-of-*.safetensors", "a part of the weights, and model.safetensors.index.json, which lists the parts, is missing: download it too"},
	} {
		if found, _ := filepath.Glob(filepath.Join(escape(path), kind.pattern)); len(found) > 0 {
			return refuse("it has %s, %s", filepath.Base(found[0]), kind.what)
		}
	}
	if config {
		return refuse("it has config.json and no weights: model.safetensors, or its parts with model.safetensors.index.json, is missing")
	}
	for _, e := range entries {
		if e.IsDir() && has(filepath.Join(path, e.Name()), modelConfig) {
			return refuse("it has no config.json, and its folder %s has one: give that", short(e.Name()))
		}
	}
	return refuse("it has no config.json: give a Hugging Face model folder, with config.json, *.safetensors and tokenizer.json, or a GGUF file")
}

// pickle says what is wrong with weights that torch.save wrote.
const pickle = "a Python pickle, which may run any program and is not read: convert it in Python with AutoModelForCausalLM.from_pretrained(FOLDER).save_pretrained(NEW)"

// file returns the error of a file that was given as a model.
func file(path string, refuse func(string, ...any) error) error {
	folder := filepath.Dir(path)
	switch ext := strings.ToLower(filepath.Ext(path)); {
	case has(folder, modelConfig):
		return refuse("that is a file: give its folder, %s", short(folder))
	case slices.Contains([]string{".bin", ".pt", ".pth", ".ckpt"}, ext):
		return refuse("that is %s", pickle)
	}
	return refuse("that is a file: give a Hugging Face model folder, with config.json, *.safetensors and tokenizer.json, or a GGUF file")
}

// Adapter returns the error of path, the value of option adapter, which is no folder with
// adapter_config.json.
func Adapter(path string) error {
	refuse := func(format string, args ...any) error { return option.Errorf("adapter", path, format, args...) }
	info, err := os.Stat(path)
	if err != nil {
		if os.IsNotExist(err) {
			return Missing("adapter", path)
		}
		return refuse("it cannot be read: %v", plain(err))
	}
	if !info.IsDir() {
		if has(filepath.Dir(path), adapterConfig) {
			return refuse("that is a file: give its folder, %s", short(filepath.Dir(path)))
		}
		return refuse("that is a file: give a PEFT folder, with adapter_config.json and adapter_model.safetensors")
	}
	if has(path, modelConfig) {
		return refuse("that is a model and no adapter: give it as `model`")
	}
	entries, err := os.ReadDir(path)
	switch {
	case err != nil:
		return refuse("it cannot be read: %v", plain(err))
	case len(entries) == 0:
		return refuse("that folder is empty: give a PEFT folder, with adapter_config.json and adapter_model.safetensors")
	}
	if within := newest(filepath.Join(path, "checkpoint-*")); within != "" {
		return refuse("that folder holds checkpoints of a run: give one of them, such as %s", short(filepath.Join(path, filepath.Base(within))))
	}
	if found, _ := filepath.Glob(filepath.Join(escape(path), "adapter_*.pt")); len(found) > 0 {
		return refuse("%s is torchtune's, which is read with its recipe's torchtune_config.yaml: put that next to it", filepath.Base(found[0]))
	}
	for _, e := range entries {
		if e.IsDir() && has(filepath.Join(path, e.Name()), adapterConfig) {
			return refuse("it has no adapter_config.json, and its folder %s has one: give that", short(e.Name()))
		}
	}
	return refuse("it has no adapter_config.json: give a PEFT folder, with adapter_config.json and adapter_model.safetensors")
}

// adapter reports whether a folder is an adapter, and returns the name of its base, which
// may be empty.
func adapter(path string) (base string, ok bool) {
	text, err := bounded(filepath.Join(path, adapterConfig))
	if err != nil {
		found, _ := filepath.Glob(filepath.Join(escape(path), "adapter_model.*"))
		return "", len(found) > 0
	}
	var file struct {
		Base  string `json:"base_model_name_or_path"`
		Model string `json:"model"` // mlx-lm's name for it
	}
	_ = json.Unmarshal(text, &file) // an unreadable one has no base
	return cmp.Or(file.Base, file.Model), true
}

// newest returns the match of the pattern with the greatest number at its end, else the
// last one; "" if there is none.
func newest(pattern string) string {
	found, _ := filepath.Glob(escape(filepath.Dir(pattern)) + string(filepath.Separator) + filepath.Base(pattern))
	if len(found) == 0 {
		return ""
	}
	number := func(path string) int {
		n, _ := strconv.Atoi(path[strings.LastIndexByte(path, '-')+1:])
		return n
	}
	return slices.MaxFunc(found, func(a, b string) int { return cmp.Or(cmp.Compare(number(a), number(b)), cmp.Compare(a, b)) })
}

func has(dir, name string) bool {
	_, err := os.Stat(filepath.Join(dir, name))
	return err == nil
}

func bounded(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, 1<<20))
}

func rel(dir, path string) string {
	if r, err := filepath.Rel(dir, path); err == nil {
		return r
	}
	return path
}

// short returns text for a message, without its beginning if it is long.
func short(text string) string {
	const most = 80
	if r := []rune(text); len(r) > most {
		return "…" + string(r[len(r)-most:])
	}
	return text
}

// plain returns the cause of an error of the system, without the call and the path.
func plain(err error) error {
	for {
		inner, ok := err.(interface{ Unwrap() error })
		if !ok || inner.Unwrap() == nil {
			return err
		}
		err = inner.Unwrap()
	}
}

// escape escapes the characters that Glob interprets.
func escape(path string) string {
	return strings.NewReplacer(`\`, `\\`, "*", `\*`, "?", `\?`, "[", `\[`).Replace(path)
}
