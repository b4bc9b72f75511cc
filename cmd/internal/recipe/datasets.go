package recipe

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"qlora/cmd/internal/options"
	"qlora/trainer/dataset"
)

// A member is a key of a mapping with its value.
type member struct {
	name  string
	value json.RawMessage
}

// members returns the members of a JSON object in their order.
func members(text json.RawMessage) ([]member, bool) {
	in := json.NewDecoder(strings.NewReader(string(text)))
	if open, err := in.Token(); err != nil || open != json.Delim('{') {
		return nil, false
	}
	var all []member
	for in.More() {
		name, err := in.Token()
		if err != nil {
			return nil, false
		}
		var m member
		m.name, _ = name.(string)
		if in.Decode(&m.value) != nil {
			return nil, false
		}
		all = append(all, m)
	}
	return all, true
}

// object returns members as a JSON object.
func object(all []member) string {
	var parts []string
	for _, m := range all {
		name, err := json.Marshal(m.name)
		if err != nil {
			panic(err) // a string always has a JSON form
		}
		parts = append(parts, string(name)+":"+string(m.value))
	}
	return "{" + strings.Join(parts, ",") + "}"
}

func (m member) text() string {
	var text string
	if json.Unmarshal(m.value, &text) != nil {
		return strings.Trim(string(m.value), `"`)
	}
	return text
}

// factoryDatasets is the rule of dataset and eval_dataset of LLaMA-Factory: names in
// dataset_info.json, of each of which max_samples are used.
func factoryDatasets(r *reader, e options.Entry) options.Step {
	dir := r.text("dataset_dir")
	if dir == "" {
		dir = "data"
	}
	var names []string
	for name := range strings.SplitSeq(e.Text, ",") {
		names = append(names, strings.TrimSpace(name))
	}
	most := r.text("max_samples")
	described, err := dataset.Described(dir, names)
	switch {
	case err != nil && allExist([]string{filepath.Join(dir, "dataset_info.json")}):
		return refuse(err.Error())
	case err != nil && most != "" && len(names) > 1:
		return refuse(err.Error() + "; max_samples is of each dataset, and needs it")
	case err != nil:
		step := give(e.Name + "=" + e.Text)
		if !allExist(names) {
			step.Note = err.Error()
			if !r.has("dataset_dir") {
				step.Sets = append(step.Sets, options.Given{Name: "dataset_dir", Text: dir})
			}
		}
		if most != "" {
			limit := map[string]string{"dataset": "max_train_samples", "eval_dataset": "max_eval_samples"}[e.Name]
			step.Sets = append(step.Sets, options.Given{Name: limit, Text: most})
		}
		return step
	}
	var step options.Step
	for _, text := range described {
		entry, ok := members(json.RawMessage(text))
		if !ok {
			path, err := json.Marshal(text)
			if err != nil {
				panic(err) // a string always has a JSON form
			}
			entry = []member{{"path", path}}
		}
		entry = slices.DeleteFunc(entry, func(m member) bool {
			return slices.Contains([]string{`""`, "null", "false", "[]", "{}"}, string(m.value))
		})
		if ok {
			text = object(entry)
		}
		if r.text("stage") == "pt" {
			entry = pretraining(entry)
			text = object(entry)
		}
		if most != "" {
			entry = append(entry, member{"max_samples", json.RawMessage(most)})
			text = object(entry)
		}
		if err := dataset.Check(text); err != nil {
			return refuse(strings.TrimPrefix(err.Error(), "dataset "))
		}
		step.Sets = append(step.Sets, options.Given{Name: e.Name, Text: text})
	}
	return step
}

// allExist reports whether all names are files or folders.
func allExist(names []string) bool {
	return !slices.ContainsFunc(names, func(name string) bool {
		_, err := os.Stat(name)
		return err != nil
	})
}
