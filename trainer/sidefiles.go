package trainer

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"

	"qlora/checkpoint"
	"qlora/option"
	"qlora/tokenizer"
	"qlora/trainer/dataset"
)

// sideFiles are the small files of a model folder that are copied next to results. A folder
// without tokenizer.json has others that define its tokenizer.
var sideFiles = []string{
	"tokenizer.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json",
	"tokenizer.model", "chat_template.jinja", "generation_config.json",
}

// maxSideFile bounds the size of one of sideFiles in bytes.
const maxSideFile = 256 << 20

// SideFiles returns the existing files of the base's folder that belong next to an
// adapter: the tokenizer's, the chat template and generation_config.json.
func (b *Base) SideFiles() ([]File, error) {
	if b.Weights == nil {
		return nil, nil
	}
	var files []File
	in := b.Weights.Files()
	names := slices.Clone(sideFiles)
	if _, err := fs.Stat(in, "tokenizer.json"); errors.Is(err, fs.ErrNotExist) {
		for _, name := range checkpoint.TokenizerFiles {
			if !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
	}
	for _, name := range names {
		info, err := fs.Stat(in, name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if info.Size() > maxSideFile || !info.Mode().IsRegular() {
			return nil, fmt.Errorf("%s is not a regular file of at most %d bytes", filepath.Join(b.Folder, name), maxSideFile)
		}
		data, err := fs.ReadFile(in, name)
		if err != nil {
			return nil, err
		}
		files = append(files, File{Name: name, Data: data})
	}
	return files, nil
}

// Dataset reads files of records with the base's tokenizer and chat template, and
// [dataset.DefaultOptions]. Use [dataset.Load] for other options.
func (b *Base) Dataset(paths ...string) (*dataset.Set, error) {
	tok, err := b.tokenizer(b.Adapter)
	if err != nil {
		return nil, err
	}
	opt := dataset.DefaultOptions()
	opt.ModelFolder, opt.VocabularySize = b.Folder, b.Config.Vocabulary
	return dataset.Load(paths, tok, opt, nil)
}

// tokenizer loads the tokenizer of the adapter's folder ("": none) or the base's.
func (b *Base) tokenizer(adapter string) (*tokenizer.Tokenizer, error) {
	if b.Folder == "" {
		return nil, option.Errorf("model", b.Name, "it has no folder, so no tokenizer: OpenBase opens one")
	}
	return OpenTokenizer(b.Folder, adapter)
}
