package recipe

import (
	"cmp"
	"encoding/json"
	"os"
	"regexp"
	"strconv"
	"strings"

	"qlora/cmd/internal/options"
	"qlora/trainer/dataset"
)

// conversations are FastChat's names of chat templates, which older files have, and
// Axolotl's.
var conversations = map[string]string{"chatml": "chatml", "llama-3": "llama3", "llama3": "llama3", "gemma": "gemma"}

// firstRecords matches the first records of a split, as in train[:1000].
var firstRecords = regexp.MustCompile(`^(\w+)\[:([0-9]+)\]$`)

// firstShare matches the first part of a split, as in train[:5%].
var firstShare = regexp.MustCompile(`^(\w+)\[:([0-9]{1,2})%\]$`)

// ownTemplate matches types of preferences with the chat template that their records get.
var ownTemplate = regexp.MustCompile(`^(chatml|llama3)(\.\w+)?$`)

// An axolotlEntry is one of Axolotl's datasets.
type axolotlEntry struct {
	members []member // those that stay
	path    string
	percent string // of the records that are used; "" for all
	// What is one option for all datasets here: the name of a template, and its source.
	template, source string
	wrong            string // why the entry cannot be used
}

// text returns the entry as a dataset that Load takes.
func (a axolotlEntry) text() string {
	if len(a.members) == 1 && a.members[0].name == "path" {
		return a.path
	}
	return object(a.members)
}

// axolotlEntryOf reads an entry, a mapping or a path.
func axolotlEntryOf(raw json.RawMessage) axolotlEntry {
	all, ok := members(raw)
	if !ok {
		all = []member{{"path", raw}}
	}
	var a axolotlEntry
	split := ""
	for _, m := range all {
		text := m.text()
		switch {
		case off(string(m.value)) || text == "" || m.name == "preprocess_shards":
		case m.name == "chat_template":
			a.template = text
		case m.name == "chat_template_jinja":
			a.source = text
		case m.name == "conversation" && conversations[text] != "":
			a.template = conversations[text]
		case m.name == "type" && ownTemplate.MatchString(text):
			own := ownTemplate.FindStringSubmatch(text)
			a.template = own[1]
			a.members = append(a.members, member{"type", json.RawMessage(`"chat_template` + cmp.Or(own[2], ".argilla") + `"`)})
		case m.name == "split":
			split = text
		default:
			if m.name == "path" {
				a.path = text
			}
			a.members = append(a.members, m)
		}
	}
	if split != "" {
		a.addSplit(split)
	}
	if a.wrong == "" {
		if err := dataset.Check(a.text()); err != nil {
			a.wrong = strings.TrimPrefix(err.Error(), "dataset ")
		}
	}
	return a
}

// addSplit adds the members of a split, which may be the first records of one.
func (a *axolotlEntry) addSplit(split string) {
	if first := firstRecords.FindStringSubmatch(split); first != nil {
		a.members = append(a.members, member{"max_samples", json.RawMessage(first[2])})
		split = first[1]
	}
	if first := firstShare.FindStringSubmatch(split); first != nil {
		split, a.percent = first[1], first[2]
	}
	if strings.ContainsAny(split, "[+") {
		a.wrong = "split " + split + " is a part that cannot be named here; max_samples takes the first records"
	}
	if info, err := os.Stat(a.path); err == nil && info.Mode().IsRegular() && split == "train" {
		return // a file is its own split
	}
	quoted, err := json.Marshal(split)
	if err != nil {
		panic(err) // a string always has a JSON form
	}
	a.members = append(a.members, member{"split", quoted})
}

// weight returns the share of the records that are used.
func (a axolotlEntry) weight() string {
	if a.percent == "" {
		return "1"
	}
	n, err := strconv.Atoi(a.percent)
	if err != nil {
		return "1" // it is two digits
	}
	return decimal(float64(n) / 100)
}

// axolotlDatasets is the rule of datasets and test_datasets.
func axolotlDatasets(option string) rule {
	return func(r *reader, e options.Entry) options.Step {
		var all []json.RawMessage
		if json.Unmarshal([]byte(e.JSON), &all) != nil || len(all) == 0 {
			return refuse("not a list of datasets")
		}
		var step options.Step
		var first axolotlEntry
		var weights []string
		mixed, shared := false, false
		for i, raw := range all {
			a := axolotlEntryOf(raw)
			if a.wrong != "" {
				return refuse(a.wrong)
			}
			if i == 0 {
				first = a
			}
			weights = append(weights, a.weight())
			shared = shared || a.percent != ""
			mixed = mixed || a.template != first.template || a.source != first.source
			step.Sets = append(step.Sets, options.Given{Name: option, Text: a.text()})
		}
		lifted := r.lift(first)
		switch {
		case mixed || lifted.Refuse == mixedTemplates:
			return refuse(mixedTemplates)
		case lifted.Refuse != "":
			return refuse("chat_template " + first.template + ": " + lifted.Refuse)
		case shared && option != "dataset":
			return refuse("a share of a split; max_samples takes the first records")
		case option == "dataset":
			step.Sets = append(step.Sets, lifted.Sets...)
		}
		if shared {
			step.Sets = append(step.Sets, options.Given{Name: "dataset_weights", Text: strings.Join(weights, ",")})
			step.Note = "a share of the records is drawn by `data_seed`, and is not the first; max_samples takes the first"
		}
		return step
	}
}

const mixedTemplates = "its entries name different chat templates; give one to all by `chat_template`"

// lift returns what the template of an entry means for all datasets.
func (r *reader) lift(a axolotlEntry) options.Step {
	given := r.text("chat_template")
	switch {
	case a.template == "jinja" && a.source == "" || a.template == "" && a.source == "" || a.template == given && a.source == "":
		return options.Step{}
	case given != "" || r.has("chat_template_jinja"):
		return refuse(mixedTemplates)
	case a.source != "":
		return jinja(r, options.Entry{Text: a.source})
	}
	return axolotlTemplate(r, a.template, "")
}
