package ollama

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// A Template is a chat template in Ollama's language, Go's text/template:
// https://docs.ollama.com/template.
type Template struct {
	Text string
	Stop []string // texts at which a reply ends
	// NoSystem reports that the model's template has no place for a system message.
	NoSystem bool
}

// Translate writes the template that renders as render does. It finds what render writes
// around the turns of a chat, writes that in Ollama's language, runs the result as Ollama
// does and compares it with render over several chats; a difference is an error. bos is
// the token that the model's tokenizer puts before every text by itself, which Ollama's
// template must leave out; "": none.
func Translate(render Render, bos string) (Template, error) {
	trimmed := func(chat []Message, prompt bool) (string, error) {
		text, err := render(chat, prompt)
		return strings.TrimPrefix(text, bos), err
	}
	s, err := shapeOf(trimmed)
	if err != nil {
		return Template{}, fmt.Errorf("the chat template cannot be written for Ollama: %w", err)
	}
	t := Template{Text: s.write(), Stop: s.stops(bos), NoSystem: s.place == nowhere}
	if err := prove(t.Text, trimmed, s.place != nowhere); err != nil {
		return Template{}, fmt.Errorf("the chat template cannot be written for Ollama: %w", err)
	}
	return t, nil
}

// stops returns what ends a reply: the end of an assistant's turn and the header of a
// user's.
func (s *shape) stops(bos string) []string {
	var all []string
	for _, text := range []string{s.afterAssistant, strings.TrimPrefix(s.beforeUser, bos)} {
		if text = strings.TrimSpace(text); text != "" && !slices.Contains(all, text) {
			all = append(all, text)
		}
	}
	return all
}

// write returns the shape in Ollama's language.
func (s *shape) write() string {
	var w writer
	switch s.place {
	case ownTurn:
		s.writeOwnTurn(&w)
	case firstUser:
		if _, ok := s.inFirst(); ok {
			w.text(s.open)
		}
	default:
		w.text(s.open)
	}
	if s.first != "" || s.place == firstUser {
		w.action("$first := true")
	}
	w.action("range $i, $_ := .Messages")
	w.action("$last := eq (len (slice $.Messages $i)) 1")
	w.action(`if eq .Role "user"`)
	s.writeUser(&w)
	w.action(".Content")
	w.text(s.afterUser)
	w.action(`else if eq .Role "assistant"`)
	w.text(s.beforeAssistant)
	w.action(".Content")
	if s.afterAssistant != "" {
		w.action("if not $last")
		w.text(s.afterAssistant)
		w.action("end")
	}
	w.action("end")
	if s.prompt != "" {
		w.action(`if and $last (ne .Role "assistant")`)
		w.text(s.prompt)
		w.action("end")
	}
	w.action("end")
	return w.String()
}

// writeOwnTurn writes the system message, or what stands in its place.
func (s *shape) writeOwnTurn(w *writer) {
	begin := wholeTokens(commonPrefix(s.open, s.beforeSystem))
	before, instead, after := s.beforeSystem[len(begin):], s.open[len(begin):], s.afterSystem
	end := ""
	if instead != "" {
		end = commonSuffix(instead, after)
		instead, after = strings.TrimSuffix(instead, end), strings.TrimSuffix(after, end)
	}
	w.text(begin)
	w.action("if .System")
	w.text(before)
	w.action(".System")
	w.text(after)
	if instead != "" {
		w.action("else")
		w.text(instead)
	}
	w.action("end")
	w.text(end)
}

// inFirst returns what stands between the first user's header and the system message, if
// that is how a template with firstUser begins.
func (s *shape) inFirst() (string, bool) {
	return strings.CutPrefix(s.beforeSystem, s.first+s.openTurn())
}

// openTurn returns what a chat without a system message begins with, but for first.
func (s *shape) openTurn() string {
	if s.first != "" {
		return ""
	}
	return s.open + s.beforeUser
}

// writeUser writes what comes before a user's content.
func (s *shape) writeUser(w *writer) {
	inside, ok := s.inFirst()
	switch {
	case s.place == firstUser && !ok:
		w.action("if and $first $.System")
		w.text(s.beforeSystem)
		w.action("$.System")
		w.text(s.afterSystem)
		w.action("else if $first")
		w.text(s.first + s.openTurn())
		w.action("else")
		w.text(s.beforeUser)
		w.action("end")
	case s.first != "":
		w.action("if $first")
		w.text(s.first)
		w.action("else")
		w.text(s.beforeUser)
		w.action("end")
	default:
		w.text(s.beforeUser)
	}
	switch {
	case s.place == firstUser && ok:
		w.action("if and $first $.System")
		w.text(inside)
		w.action("$.System")
		w.text(s.afterSystem)
		w.action("end")
	case s.place == lastUser:
		w.action("if and $last $.System")
		w.text(s.beforeSystem)
		w.action("$.System")
		w.text(s.afterSystem)
		w.action("end")
	}
	if s.first != "" || s.place == firstUser {
		w.action("$first = false")
	}
}

func commonPrefix(a, b string) string {
	n := 0
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	return strings.ToValidUTF8(a[:n], "") // not half of a character
}

// wholeTokens returns s up to its last line break or bracket, where tokens of a template
// end.
func wholeTokens(s string) string { return s[:strings.LastIndexAny(s, "\n>]")+1] }

// commonSuffix returns the end of a and b from a bracket or line break on.
func commonSuffix(a, b string) string {
	n := 0
	for n < len(a) && n < len(b) && a[len(a)-1-n] == b[len(b)-1-n] {
		n++
	}
	end := a[len(a)-n:]
	if i := strings.IndexAny(end, "\n<["); i >= 0 {
		return end[i:]
	}
	return ""
}

// A writer writes a template. An action that follows another begins a line, whose break
// its "-" takes back.
type writer struct {
	strings.Builder
	afterAction bool
}

func (w *writer) action(code string) {
	if w.afterAction {
		w.WriteString("\n{{- " + code + " }}")
	} else {
		w.WriteString("{{ " + code + " }}")
	}
	w.afterAction = true
}

// text writes literal text. What Go's templates or a Modelfile would take for something
// else becomes an action: two braces, three quotes, and characters that the Modelfile's
// parser leaves out.
func (w *writer) text(s string) {
	if s == "" {
		return
	}
	runes := []rune(s)
	for i, r := range runes {
		if escaped(runes[i:]) {
			w.WriteString("{{ " + strconv.Quote(string(r)) + " }}")
		} else {
			w.WriteRune(r)
		}
	}
	w.afterAction = false
}

// escaped reports whether the first character of a text must be an action.
func escaped(s []rune) bool {
	switch r := s[0]; r {
	case '{':
		return len(s) == 1 || s[1] == '{' || escaped(s[1:])
	case '"':
		return len(s) == 1 || s[1] == '"'
	case '\n', '\t':
		return false
	default:
		return !strconv.IsPrint(r)
	}
}
