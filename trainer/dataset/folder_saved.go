package dataset

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// savedFolder returns the parts of a folder that datasets' save_to_disk wrote: a dataset,
// or a subfolder per split. It returns nil for another folder.
func savedFolder(dir string) (*folder, error) {
	var dict struct {
		Splits []string `json:"splits"`
	}
	found, err := readDescription(filepath.Join(dir, "dataset_dict.json"), &dict)
	switch {
	case err != nil:
		return nil, err
	case !found:
		files, err := savedFiles(dir)
		if files == nil || err != nil {
			return nil, err
		}
		return &folder{name: dir, splits: []split{{name: "train", files: files}}, whole: true}, nil
	}
	f := &folder{name: dir}
	for _, name := range dict.Splits {
		if !filepath.IsLocal(name) {
			return nil, fmt.Errorf("%s: the split %q is not in the folder", filepath.Join(dir, "dataset_dict.json"), name)
		}
		files, err := savedFiles(filepath.Join(dir, name))
		if err == nil && files == nil {
			err = fmt.Errorf("%s: it names the split %s, but the folder %[2]s holds no saved dataset; copy the whole folder", filepath.Join(dir, "dataset_dict.json"), name)
		}
		if err != nil {
			return nil, err
		}
		f.add(name, files...)
	}
	if len(f.splits) == 0 {
		return nil, fmt.Errorf("%s: it names no splits", filepath.Join(dir, "dataset_dict.json"))
	}
	return f, nil
}

// savedFiles returns the files of one saved dataset, in the order of its rows, or nil.
func savedFiles(dir string) ([]string, error) {
	path := filepath.Join(dir, "state.json")
	type files []struct {
		Name string `json:"filename"`
	}
	var state struct {
		Data       files           `json:"_data_files"`
		Indices    json.RawMessage `json:"_indices_files"`
		OldIndices json.RawMessage `json:"_indices_data_files"`
	}
	found, err := readDescription(path, &state)
	if !found || err != nil || state.Data == nil {
		return nil, err
	}
	for _, indices := range []json.RawMessage{state.Indices, state.OldIndices} {
		if s := string(indices); s != "" && s != "null" && s != "[]" {
			return nil, fmt.Errorf("%s: its rows are chosen by a file of indices; load it in Python and save it by flatten_indices().save_to_disk(…)", path)
		}
	}
	var names []string
	for _, file := range state.Data {
		if !filepath.IsLocal(file.Name) {
			return nil, fmt.Errorf("%s: the file %q is not in the folder", path, file.Name)
		}
		names = append(names, filepath.Join(dir, file.Name))
	}
	if len(names) == 0 {
		return nil, fmt.Errorf("%s: the saved dataset has no files", path)
	}
	return names, nil
}

// readDescription decodes a small JSON file and reports whether there is one.
func readDescription(path string, into any) (bool, error) {
	text, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if err := json.Unmarshal(text, into); err != nil {
		return false, fmt.Errorf("%s: it is not as datasets writes it: %w", path, err)
	}
	return true, nil
}
