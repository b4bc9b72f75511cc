package dataset

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
)

// pairsOfAnswers are the names of the better and the worse answer in preference data, or
// of two answers that another field compares.
var pairsOfAnswers = [][2]string{
	{"chosen", "rejected"},
	{"chosen_response", "rejected_response"},
	{"preferred_output", "non_preferred_output"},
	{"response_j", "response_k"},
	{"response_0", "response_1"},
	{"response_a", "response_b"},
	{"output_1", "output_2"},
	{"chosen", "reject"},
	{"chosen_answer", "rejected_answer"},
	{"human_ref_a", "human_ref_b"},
	{"chosen_input_ids", "rejected_input_ids"},
}

// worse are the names of a worse answer beside one that SFT would train on.
var worse = []string{"rejected", "reject", "rejected_response", "rejected_output", "rejected_messages", "non_preferred_output"}

// feedback are the names of a judgement of one answer: KTO's desirable or not.
var feedback = []string{"label", "kto_tag"}

// answers are the fields that columns map to choose what is trained on.
var answers = []string{"completion", "response", "output", "answer", "solution", "targets", "messages", "conversations", "text", "input_ids"}

// preference returns an error that says what the record is and how to train on one side
// of it, if it holds preference pairs, KTO's feedback, ranked answers or judged steps, and
// no column says what to train on.
func (r *record) preference(columns []column) error {
	if slices.ContainsFunc(columns, func(c column) bool { return c.from != "" && slices.Contains(answers, c.target) }) {
		return nil
	}
	for _, p := range pairsOfAnswers {
		if r.present(p[0]) && r.present(p[1]) && !r.isBlank(p[0]) && !r.isBlank(p[1]) {
			return refuse("the record is a preference pair (%s, %s), which SFT does not train on; `objective` dpo does; to train on one side, map it by `columns` %s", p[0], p[1], r.oneSide(p[0]))
		}
	}
	for _, name := range worse {
		if i := slices.IndexFunc(answers, r.present); i >= 0 && r.present(name) && !r.isBlank(name) {
			return refuse("the record is a preference pair (%s, %s), which SFT does not train on; `objective` dpo does, with `columns` chosen=%s,rejected=%s; to train on %s, leave the other out by `columns` %s=", answers[i], name, answers[i], name, answers[i], name)
		}
	}
	for _, name := range feedback {
		if r.judges(name) && slices.ContainsFunc(answers, r.present) && (name == "kto_tag" || !r.present("text")) {
			return refuse("the record has KTO's feedback (%s, true or false), which SFT does not train on; `objective` kto does; train on the desired ones by `columns` weight=%s, or on all by `columns` %s=", name, name, name)
		}
	}
	for _, many := range []string{"completions", "responses", "answers", "outputs"} {
		for _, judged := range []string{"labels", "scores", "rewards", "ranks", "rankings", "ranking"} {
			if r.isList(many) && r.isList(judged) {
				return refuse("the record has several answers and their judgement (%s, %s), which SFT does not train on; to train on the first, map it by `columns` completion=%s.0", many, judged, many)
			}
		}
	}
	return nil
}

// oneSide returns the columns that train on a side of a preference pair.
func (r *record) oneSide(side string) string {
	first := func(of ...string) string {
		for _, name := range of {
			if r.present(name) {
				return name
			}
		}
		return ""
	}
	if strings.HasSuffix(side, "input_ids") {
		return "input_ids=" + side
	}
	raw := r.fields[side]
	isObject := len(raw) > 0 && raw[0] == '{'
	chat := first("messages", "conversations")
	if _, _, nested := r.nested("input.messages"); nested && chat == "" {
		chat = "input.messages"
	}
	switch {
	case chat != "" && (isObject || r.isList(side) && r.shorter(side)):
		return fmt.Sprintf("prompt=%s,completion=%s", chat, side)
	case r.isList("prompt"):
		return "completion=" + side
	case r.isList(side):
		return "messages=" + side
	}
	for _, f := range [][2]string{{"instruction", "output"}, {"prompt", "completion"}, {"problem", "solution"}, {"inputs", "targets"}} {
		if r.present(f[0]) {
			return f[1] + "=" + side
		}
	}
	if question := first("question", "query", "input"); question != "" {
		return fmt.Sprintf("prompt=%s,completion=%s", question, side)
	}
	return "text=" + side
}

// shorter reports whether a list of messages has no message of the user: it continues a
// conversation.
func (r *record) shorter(name string) bool {
	var list []struct{ Role, From string }
	if json.Unmarshal(r.fields[name], &list) != nil {
		return false
	}
	for _, m := range list {
		if roles[strings.ToLower(m.Role+m.From)] == "user" {
			return false
		}
	}
	return true
}

// judges reports whether a field of feedback has its value: true or false, or 1 or 0
// where the other fields are KTO's too.
func (r *record) judges(name string) bool {
	if value := strings.Trim(string(r.raw(name)), "\" "); value == "0" || value == "1" {
		return name == "kto_tag" || r.present("prompt") && r.present("completion")
	}
	return r.isTruth(name)
}

// isTruth reports whether a field is true or false.
func (r *record) isTruth(name string) bool {
	text := strings.ToLower(strings.Trim(string(r.raw(name)), "\" "))
	return text == "true" || text == "false"
}
