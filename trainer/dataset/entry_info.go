package dataset

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// infoFile is LLaMA-Factory's file of datasets (data/README.md there).
const infoFile = "dataset_info.json"

// info is what dataset_info.json says of one dataset.
type info struct {
	File     string `json:"file_name"`
	Hub      string `json:"hf_hub_url"`
	OtherHub string `json:"ms_hub_url"`
	OpenMind string `json:"om_hub_url"`
	Script   string `json:"script_url"`
	Cloud    string `json:"cloud_file_name"`
	Samples  int    `json:"num_samples"`
	Folder   string `json:"folder"`

	Formatting string            `json:"formatting"`
	Ranking    bool              `json:"ranking"`
	Subset     string            `json:"subset"`
	Split      string            `json:"split"`
	Columns    map[string]string `json:"columns"`
	Tags       map[string]string `json:"tags"`
}

// Described returns datasets named in the dataset_info.json of a folder as Load takes
// them: as JSON objects. It returns a name of an existing file or folder as it is, and all
// names if dir is "".
func Described(dir string, names []string) ([]string, error) {
	if dir == "" || len(names) == 0 {
		return names, nil
	}
	path := filepath.Join(dir, infoFile)
	data, err := os.ReadFile(path)
	switch {
	case os.IsNotExist(err):
		return nil, fmt.Errorf("%s: there is no %s, which names the datasets of `dataset_dir`; without it give files by `dataset`", dir, infoFile)
	case err != nil:
		return nil, err
	}
	var all map[string]json.RawMessage
	if err := json.Unmarshal(data, &all); err != nil {
		return nil, fmt.Errorf("%s: not a JSON object of datasets by name", path)
	}
	found := slices.Clone(names)
	for i, name := range names {
		raw, ok := all[name]
		if !ok {
			if _, err := os.Stat(name); err == nil || name == Stdin || described.MatchString(name) {
				continue
			}
			return nil, fmt.Errorf("%s: there is no dataset %q; it has %s", path, name, some(slices.Sorted(maps.Keys(all))))
		}
		var one info
		if err := json.Unmarshal(raw, &one); err != nil {
			return nil, fmt.Errorf("%s: the entry of %q is not an object with texts, and mappings of texts for columns and tags", path, name)
		}
		if found[i], err = one.described(dir, path, name); err != nil {
			return nil, err
		}
	}
	return found, nil
}

// some lists the first of names.
func some(names []string) string {
	const most = 8
	if len(names) > most {
		return strings.Join(names[:most], ", ") + ", …"
	}
	return strings.Join(names, ", ")
}

// described returns the dataset as a JSON object.
func (o info) described(dir, path, name string) (string, error) {
	file := o.File
	if file == "" {
		file = o.local(dir)
	}
	switch {
	case o.Script != "" || o.Cloud != "":
		return "", fmt.Errorf("%s: %q is read by a script or from a bucket; save its records in a file and name it as file_name", path, name)
	case file == "" && o.Hub != "":
	case file == "":
		return "", fmt.Errorf("%s: %q is %s on a hub; download it to %s, which is read without a change here", path, name, o.hub(), filepath.Join(dir, filepath.Base(o.hub())))
	case o.Samples > 0:
		return "", fmt.Errorf("%s: %q has num_samples, a random choice; choose a part by `dataset_weights`", path, name)
	}
	columns, err := o.columns(path, name)
	if err != nil {
		return "", err
	}
	switch {
	case file == "":
		file = o.Hub // not fetched yet
	case !filepath.IsAbs(file):
		file = filepath.Join(dir, file)
	}
	d := map[string]any{"path": file, "columns": columns, "tags": o.Tags, "formatting": o.Formatting, "ranking": o.Ranking}
	if o.Split != "" {
		d["split"] = o.Split
	}
	if o.Subset != "" {
		d["name"] = o.Subset
	}
	text, err := json.Marshal(d)
	return string(text), err
}

func (o info) hub() string {
	for _, hub := range []string{o.Hub, o.OtherHub, o.OpenMind} {
		if hub != "" {
			return hub
		}
	}
	return "a dataset without file_name"
}

// local returns the copy in dir of a dataset on a hub, or "".
func (o info) local(dir string) string {
	for _, hub := range []string{o.Hub, o.OtherHub, o.OpenMind} {
		for _, name := range []string{hub, filepath.Base(hub)} {
			if hub == "" || !fs.ValidPath(name) {
				continue
			}
			if _, err := os.Stat(filepath.Join(dir, name)); err == nil {
				return filepath.Join(name, o.Folder)
			}
		}
	}
	return ""
}

// columns returns the columns that are read. Of a dataset with columns, those that are
// not named are not read; history, system and tools are read only if named.
func (o info) columns(path, name string) ([]string, error) {
	raw, err := json.Marshal(o.Columns)
	if err != nil {
		return nil, err
	}
	if o.Columns == nil {
		raw = nil
	}
	list, err := columnTexts(raw)
	if err != nil {
		return nil, fmt.Errorf("%s: %q: %w", path, name, err)
	}
	for theirs, own := range infoColumns {
		if _, named := o.Columns[theirs]; named {
			continue
		}
		if theirs == "history" || theirs == "system" || theirs == "tools" || theirs == "query" && o.Columns != nil {
			list = append(list, own+"=")
		}
	}
	slices.Sort(list)
	return list, nil
}
