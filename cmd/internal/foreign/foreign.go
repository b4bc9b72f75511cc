// Package foreign is the table of the names that users of other training programs give:
// the fields of transformers' TrainingArguments, of TRL's SFTConfig, of PEFT's LoraConfig
// and of BitsAndBytesConfig, and the names of the tools around them. A row says what a
// command of this program does with the name. docs/options.md is made from it.
//
// A name that is an option of the command needs no row.
package foreign

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"qlora/cmd/internal/options"
)

// Settings returns all rows.
func Settings() []options.Setting {
	return slices.Concat(
		trainingArguments, retiredArguments, sftConfig, loraConfig, quantizationConfig, methods, scripts, tools, axolotl, llamaFactory, preferences, sampledCompletions,
	)
}

// Renamed returns the rows that are other names of an option, which any command may
// adopt.
func Renamed() []options.Setting {
	return slices.DeleteFunc(Settings(), func(s options.Setting) bool { return s.Option == "" })
}

// same is a row for another name of an option.
func same(name, option string) options.Setting { return options.Setting{Name: name, Option: option} }

// ignored is a row for a value without effect; there is no word on the quiet ones.
func ignored(name, why string, quiet ...string) options.Setting {
	return options.Setting{Name: name, Note: why, Quiet: quiet}
}

// ignoredFlag is a row for a boolean without effect.
func ignoredFlag(name, why string, quiet ...string) options.Setting {
	return options.Setting{Name: name, Note: why, Quiet: quiet, Bool: true}
}

// refused is a row for a value that is refused unless it is a quiet one.
func refused(name, instead string, quiet ...string) options.Setting {
	return options.Setting{Name: name, Refuse: instead, Quiet: quiet}
}

// refusedFlag is a row for a boolean that must not be true.
func refusedFlag(name, instead string) options.Setting {
	return options.Setting{Name: name, Refuse: instead, Quiet: []string{"false"}, Bool: true}
}

// sets is a row for a value that is translated; means describes the translation.
func sets(name, means string, translate func(value string, given func(string) string) ([]options.Given, error)) options.Setting {
	return options.Setting{Name: name, Means: means, Sets: translate}
}

// setsFlag is a row for a boolean: true and false set the options, "name=value" or "" for
// none.
func setsFlag(name, means, whenTrue, whenFalse string) options.Setting {
	s := sets(name, means, func(value string, _ func(string) string) ([]options.Given, error) {
		on, err := options.Boolean(value)
		if err != nil {
			return nil, err
		}
		if on {
			return pairs(whenTrue), nil
		}
		return pairs(whenFalse), nil
	})
	s.Bool = true
	return s
}

// pairs returns the options of "a=1 b=2".
func pairs(text string) []options.Given {
	var all []options.Given
	for field := range strings.FieldsSeq(text) {
		name, value, _ := strings.Cut(field, "=")
		all = append(all, options.Given{Name: name, Text: value})
	}
	return all
}

// empty reports whether a value means that the setting is not given.
func empty(value string) bool {
	return slices.Contains([]string{"", "none", "null", "{}", "[]"}, strings.ToLower(value))
}

// object returns the members of a setting that is a mapping, as texts and sorted by name.
// Lists of plain values are joined by commas, and null ones are left out.
func object(value string) ([]options.Given, error) {
	if empty(value) {
		return nil, nil
	}
	var members map[string]any
	if err := json.Unmarshal([]byte(value), &members); err != nil {
		return nil, errors.New(`the value is not a mapping, on the command line JSON like {"name": 1}`)
	}
	var all []options.Given
	for name, member := range members {
		if text, ok := textOf(member); ok {
			all = append(all, options.Given{Name: name, Text: text})
		}
	}
	slices.SortFunc(all, func(a, b options.Given) int { return strings.Compare(a.Name, b.Name) })
	return all, nil
}

func textOf(value any) (string, bool) {
	switch value := value.(type) {
	case nil:
		return "", false
	case string:
		return value, true
	case bool:
		return strconv.FormatBool(value), true
	case float64:
		return strconv.FormatFloat(value, 'g', -1, 64), true
	case []any:
		var texts []string
		for _, element := range value {
			text, ok := textOf(element)
			if _, nested := element.(map[string]any); !ok || nested {
				return jsonOf(value), true
			}
			texts = append(texts, text)
		}
		return strings.Join(texts, ","), true
	}
	return jsonOf(value), true
}

func jsonOf(value any) string {
	text, err := json.Marshal(value)
	if err != nil {
		return fmt.Sprint(value) // not from JSON
	}
	return string(text)
}

// expand is a row for a mapping whose members are given as settings of their own.
func expand(name, means string) options.Setting {
	return sets(name, means, func(value string, _ func(string) string) ([]options.Given, error) { return object(value) })
}

// only returns an error that names the members of a mapping that are not allowed.
func only(members []options.Given, allowed []string, instead string) error {
	for _, m := range members {
		if !slices.Contains(allowed, m.Name) {
			return fmt.Errorf("%s in it cannot be set; %s", m.Name, instead)
		}
	}
	return nil
}
