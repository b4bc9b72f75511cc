package ollama

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"text/template"
	"time"
)

// functions are those of Ollama's templates.
var functions = template.FuncMap{
	"json": func(v any) string {
		text, _ := json.Marshal(v) // as Ollama: no text for what JSON has no form for
		return string(text)
	},
	"currentDate":      func(...string) string { return time.Now().Format(time.DateOnly) },
	"yesterdayDate":    func(...string) string { return time.Now().AddDate(0, 0, -1).Format(time.DateOnly) },
	"toTypeScriptType": func(any) string { return "any" },
}

// Execute renders a chat by a template as Ollama does: messages of one role that follow
// one another are joined, and .System has all system messages.
func Execute(text string, chat []Message) (string, error) {
	t, err := template.New("").Option("missingkey=zero").Funcs(functions).Parse(text)
	if err != nil {
		return "", err
	}
	var joined []*Message
	var systems []string
	for _, m := range chat {
		if m.Role == system {
			systems = append(systems, m.Content)
		}
		if n := len(joined); n > 0 && joined[n-1].Role == m.Role {
			joined[n-1].Content += "\n\n" + m.Content
			continue
		}
		joined = append(joined, &Message{m.Role, m.Content})
	}
	var out strings.Builder
	err = t.Execute(&out, map[string]any{
		"System": strings.Join(systems, "\n\n"), "Messages": joined, "Tools": nil, "Response": "",
		"Think": false, "ThinkLevel": "", "IsThinkSet": false,
	})
	return out.String(), err
}

// proofs are chats that a translation must render as the model's template does. Their
// texts have no space at their ends, which some templates remove and Ollama's language
// cannot.
func proofs(withSystem bool) [][]Message {
	turns := []Message{
		{user, "What is 2 + 2?"},
		{assistant, "Four.\n\nOr {{ .Content }}, in \"words\"."},
		{user, "And\n\n  indented: é ≠ 語 🙂?"},
		{assistant, "{% if x %} <b>bold</b> & more"},
		{user, "Thanks, [done] </end>"},
		{assistant, "Bye."},
		{user, "Wait"},
	}
	var all [][]Message
	for n := 1; n <= len(turns); n += 2 {
		all = append(all, turns[:n])
		if withSystem {
			all = append(all, append([]Message{{system, "Answer in short,\nclear sentences."}}, turns[:n]...))
		}
	}
	return all
}

// prove compares the text of a template with render over proofs.
func prove(text string, render Render, withSystem bool) error {
	for _, chat := range proofs(withSystem) {
		want, err := render(slices.Clone(chat), true)
		if err != nil {
			return err
		}
		got, err := Execute(text, chat)
		if err != nil {
			return err
		}
		if got != want {
			return fmt.Errorf("of a chat of %d messages it writes %s", len(chat), difference(want, got))
		}
	}
	return nil
}

// difference shows where two texts part.
func difference(want, got string) string {
	at := len(commonPrefix(want, got))
	part := func(s string) string { return fmt.Sprintf("%.60q", s[min(max(0, at-20), len(s)):]) }
	return fmt.Sprintf("%s, and the translation %s", part(want), part(got))
}
