package dataset

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
)

// An entry is one dataset as named: a path, and what describes its records beyond the
// options for all datasets.
type entry struct {
	name    string   // as it was given
	paths   []string // files, folders or patterns
	split   string   // of a folder; "" for train, or for evaluation the others
	format  string   // "" for that of the options
	columns []column // before those of the options
	names   messageNames
	prompt  *promptForm
	pairs   *pairForm
	ranked  bool // its records are preferences
	chat    bool // texts become the turns of a chat
	most    int  // read only this many records, the first; 0: all
}

// described matches the beginning of a JSON object; a path may begin with a brace.
var described = regexp.MustCompile(`^\{\s*(?:"|\}$)`)

// entryOf returns the entry that a path names: the path itself, or a JSON object.
func entryOf(name string) (entry, error) {
	if !described.MatchString(name) {
		return entry{name: name, paths: []string{name}}, nil
	}
	var d description
	in := json.NewDecoder(strings.NewReader(name))
	in.DisallowUnknownFields()
	if err := in.Decode(&d); err != nil {
		return entry{}, d.wrong(err)
	}
	e, err := d.entry()
	if err != nil {
		return entry{}, fmt.Errorf("dataset %s: %w", cmp.Or(d.Path, name), err)
	}
	e.name = name
	return e, nil
}

// PathsOf returns the files, folders and patterns of datasets as Load takes them: each is
// a path, which may end in a choice of a folder's parts, or a JSON object that describes a
// dataset.
func PathsOf(names []string) []string {
	var paths []string
	for _, name := range names {
		e, err := entryOf(name)
		if err != nil {
			continue
		}
		for _, path := range e.paths {
			if dir, _, ok := folderOf(path); ok {
				path = dir
			}
			paths = append(paths, path)
		}
	}
	return paths
}

// Check returns an error if a dataset, as Load takes it, is described in a way that cannot
// be read. It opens no file.
func Check(name string) error {
	_, err := entryOf(name)
	return err
}

// A description is an entry as JSON, under the names of Axolotl's `datasets`
// (https://docs.axolotl.ai/docs/dataset-formats/) and, in Columns and Tags, of
// LLaMA-Factory's dataset_info.json (data/README.md there).
type description struct {
	Path      string   `json:"path"`
	DataFiles textList `json:"data_files"` // in the folder Path
	Split     string   `json:"split"`
	Format    string   `json:"dataset_format"`

	Type         json.RawMessage `json:"type"` // a name or a promptForm
	DSType       string          `json:"ds_type"`
	Config       string          `json:"name"`
	Conversation string          `json:"conversation"`
	ChatTemplate string          `json:"chat_template"`
	TemplateText string          `json:"chat_template_jinja"`

	Field         string              `json:"field"` // of a text
	FieldMessages string              `json:"field_messages"`
	FieldTools    string              `json:"field_tools"`
	FieldSystem   string              `json:"field_system"`
	FieldHuman    string              `json:"field_human"`
	FieldModel    string              `json:"field_model"`
	FieldChosen   string              `json:"field_chosen"`
	FieldRejected string              `json:"field_rejected"`
	FieldRole     string              `json:"message_field_role"`
	FieldContent  string              `json:"message_field_content"`
	FieldTraining string              `json:"message_field_training"`
	FieldDetail   string              `json:"message_field_training_detail"`
	FieldThinking string              `json:"field_thinking"`
	ThinkingKey   string              `json:"template_thinking_key"` // the template gets both names
	Properties    map[string]string   `json:"message_property_mappings"`
	Roles         map[string]textList `json:"roles"`
	RolesToTrain  *textList           `json:"roles_to_train"`
	TrainOnEOS    string              `json:"train_on_eos"`
	TrainOnEOT    string              `json:"train_on_eot"`

	Most    int               `json:"max_samples"`
	Columns json.RawMessage   `json:"columns"` // names, or texts like prompt=question
	Tags    map[string]string `json:"tags"`

	Ranking    bool   `json:"ranking"`
	Formatting string `json:"formatting"`
	// Without effect on local files.
	Shards   int    `json:"shards"`
	Trust    bool   `json:"trust_remote_code"`
	Revision string `json:"revision"`
}

// wrong returns an error of the description's JSON in plain words.
func (d description) wrong(err error) error {
	if name, ok := strings.CutPrefix(err.Error(), "json: unknown field "); ok {
		return fmt.Errorf("a dataset's description has no key %s; docs/data.md lists them", name)
	}
	return fmt.Errorf("a dataset's description is not an object of known keys with texts; docs/data.md lists them")
}

// entry returns what the description means.
func (d description) entry() (entry, error) {
	e := entry{split: d.Split, format: d.Format, ranked: d.Ranking, most: d.Most}
	switch {
	case d.Most < 0:
		return e, fmt.Errorf("max_samples is %d, but it must be above 0; 0 reads all", d.Most)
	case d.Path == "":
		return e, fmt.Errorf("the description has no path")
	case d.Shards > 1:
		return e, fmt.Errorf("shards is not supported; `dataset_weights` takes a part of a dataset")
	}
	e.paths = []string{d.Path}
	if len(d.DataFiles) > 0 {
		e.paths = nil
		for _, file := range d.DataFiles {
			e.paths = append(e.paths, d.Path+"/"+file)
		}
	}
	if d.Config != "" {
		e.paths = []string{d.Path + ":" + d.Config}
	}
	if d.ChatTemplate != "" && !strings.HasPrefix(d.ChatTemplate, "tokenizer_default") || d.TemplateText != "" || d.Conversation != "" {
		return e, fmt.Errorf("it names a chat template of its own; give one to all datasets by `chat_template`")
	}
	if err := d.trained(); err != nil {
		return e, err
	}
	if err := d.typed(&e); err != nil {
		return e, err
	}
	if err := d.mapped(&e); err != nil {
		return e, err
	}
	return e, checkFormatOf(e.format)
}

// trained returns an error if the description trains on other text than the assistant's
// turns and their ends.
func (d description) trained() error {
	if d.RolesToTrain != nil {
		for _, role := range *d.RolesToTrain {
			if roles[role] != "assistant" {
				return fmt.Errorf("roles_to_train has %q, but the assistant's turns are trained on; `train_on_inputs` trains on all text", role)
			}
		}
		if len(*d.RolesToTrain) == 0 {
			return fmt.Errorf("roles_to_train is empty; the assistant's turns are trained on, but for messages with a weight of 0")
		}
	}
	for name, value := range map[string]string{"train_on_eos": d.TrainOnEOS, "train_on_eot": d.TrainOnEOT} {
		if value != "" && value != "turn" {
			return fmt.Errorf("%s is %q, but the end of each turn that is trained on is too, as with turn", name, value)
		}
	}
	return nil
}

// types are Axolotl's types of records that need no form of their own. Those of preferences
// with a chat in them write texts as its turns.
var types = map[string]struct {
	format, columns string
	chat            bool
}{
	"":                           {},
	"alpaca":                     {format: "alpaca"},
	"gpteacher":                  {format: "alpaca", columns: "output=response"},
	"completion":                 {format: "text"},
	"pretrain":                   {format: "text"},
	"sharegpt":                   {},
	"chat_template":              {},
	"chat_template.default":      {chat: true},
	"chat_template.argilla":      {chat: true},
	"chat_template.argilla_chat": {chat: true},
	"chat_template.icr":          {columns: "prompt=input", chat: true},
	"chat_template.intel":        {columns: "prompt=question", chat: true},
	"chat_template.prompt_pairs": {chat: true},
	"chat_template.ultra":        {chat: true},
	"chat_template.load_legacy":  {},
	"passthrough":                {},
	"passthrough.default":        {},
}

// ownTemplates are the templates that Axolotl's types of preferences name before a dot, and
// the kind behind it.
var ownTemplates = regexp.MustCompile(`^(chatml|llama3)(\.\w+)?$`)

// typed reads Axolotl's type.
func (d description) typed(e *entry) error {
	switch d.Formatting {
	case "", "alpaca", "sharegpt", "openai":
	default:
		return fmt.Errorf("formatting is %q, but it can be alpaca, sharegpt or openai", d.Formatting)
	}
	if raw := bytes.TrimSpace(d.Type); len(raw) > 0 && raw[0] == '{' {
		pairs, err := pairFormOf(raw)
		if pairs != nil || err != nil {
			e.pairs, e.ranked = pairs, true
			return err
		}
		e.prompt = newPromptForm()
		in := json.NewDecoder(bytes.NewReader(raw))
		in.DisallowUnknownFields()
		if err := in.Decode(e.prompt); err != nil {
			return fmt.Errorf("type is not an object of system_prompt, system_format, format, no_input_format and the names field_system, field_instruction, field_input and field_output")
		}
		e.format = promptCompletion.name
		return e.prompt.check()
	}
	var name string
	if len(d.Type) > 0 && json.Unmarshal(d.Type, &name) != nil {
		return fmt.Errorf("type is neither a name nor an object of the prompt's form")
	}
	if own := ownTemplates.FindStringSubmatch(name); own != nil {
		return fmt.Errorf("type %s names a chat template of its own; write chat_template%s, and give one template to all datasets by `chat_template`", name, cmp.Or(own[2], ".argilla"))
	}
	t, ok := types[name]
	if !ok {
		names := slices.DeleteFunc(slices.Sorted(maps.Keys(types)), func(name string) bool { return name == "" || strings.Contains(name, ".") })
		return fmt.Errorf("type is %q, but it can be %s or the form of a prompt; or map its columns by `columns`", name, strings.Join(names, ", "))
	}
	e.format, e.chat = cmp.Or(e.format, t.format), t.chat
	if t.columns != "" {
		columns, err := columnsOf([]string{t.columns})
		e.columns = append(e.columns, columns...)
		return err
	}
	return nil
}

// mapped reads the names of the records' fields and of the messages' keys and roles.
func (d description) mapped(e *entry) error {
	texts, err := columnTexts(d.Columns)
	if err != nil {
		return err
	}
	for _, f := range [][2]string{{"text", d.Field}, {"messages", d.FieldMessages}, {"tools", d.FieldTools}, {"system", d.FieldSystem}, {"prompt", d.FieldHuman}, {"completion", d.FieldModel}, {"chosen", d.FieldChosen}, {"rejected", d.FieldRejected}} {
		if f[1] != "" && f[0] != f[1] {
			texts = append(texts, f[0]+"="+f[1])
		}
	}
	columns, err := columnsOf(texts)
	if err != nil {
		return err
	}
	e.columns = append(e.columns, columns...)
	e.names, err = d.messageNames()
	return err
}

// infoColumns are LLaMA-Factory's names of columns and ours.
var infoColumns = map[string]string{
	"prompt": "instruction", "query": "input", "response": "output", "history": "history", "system": "system",
	"messages": "messages", "tools": "tools", "chosen": "chosen", "rejected": "rejected", "kto_tag": "kto_tag",
}

// columnTexts returns columns as Options.Columns has them: a list as it is, and
// LLaMA-Factory's mapping of its names to a file's.
func columnTexts(raw json.RawMessage) ([]string, error) {
	if len(raw) == 0 || string(raw) == "null" {
		return nil, nil
	}
	var list []string
	if json.Unmarshal(raw, &list) == nil {
		return list, nil
	}
	var named map[string]string
	if json.Unmarshal(raw, &named) != nil {
		return nil, fmt.Errorf("columns is neither a list like [\"prompt=question\"] nor a mapping of names")
	}
	for _, name := range slices.Sorted(maps.Keys(named)) {
		own, ok := infoColumns[name]
		switch {
		case slices.Contains([]string{"images", "videos", "audios"}, name):
			return nil, fmt.Errorf("columns names %s, but only text is trained on", name)
		case !ok && slices.Contains(fieldNames(), name):
			own = name
		case !ok:
			return nil, fmt.Errorf("columns has %q, but its names are %s", name, strings.Join(slices.Sorted(maps.Keys(infoColumns)), ", "))
		}
		if own != named[name] {
			list = append(list, own+"="+named[name])
		}
	}
	return list, nil
}

// A textList is a list of texts, or one text.
type textList []string

// UnmarshalJSON reads either form.
func (l *textList) UnmarshalJSON(raw []byte) error {
	var one string
	if json.Unmarshal(raw, &one) == nil {
		*l = textList{one}
		if string(raw) == "null" {
			*l = nil
		}
		return nil
	}
	return json.Unmarshal(raw, (*[]string)(l))
}
