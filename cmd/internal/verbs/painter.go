package verbs

import (
	"fmt"
	"slices"
	"strings"

	"qlora/tokenizer"
	"qlora/trainer/dataset"
)

// A painter prints sequences as text and marks the tokens that are trained on.
type painter struct {
	trained, ignored mark
	rejected         mark // a completion that is not preferred
	special          mark // a special token, inside one of the above
	head             mark
}

// A mark surrounds text.
type mark struct{ begin, end string }

// painterFor returns a painter of colours for a terminal, of brackets otherwise.
func painterFor(terminal bool) painter {
	if terminal {
		return painter{
			trained:  mark{"\x1b[32m", "\x1b[0m"},
			ignored:  mark{"\x1b[90m", "\x1b[0m"},
			rejected: mark{"\x1b[31m", "\x1b[0m"},
			special:  mark{"\x1b[7m", "\x1b[27m"},
			head:     mark{"\x1b[1m", "\x1b[0m"},
		}
	}
	return painter{trained: mark{"⟦", "⟧"}, rejected: mark{"⟨", "⟩"}}
}

// example formats a sequence. heads says where each of its documents comes from.
func (p painter) example(number int, e dataset.Example, heads []string, tok *tokenizer.Tokenizer) string {
	var b strings.Builder
	head := func(format string, args ...any) {
		b.WriteString(p.head.begin + fmt.Sprintf(format, args...) + p.head.end + "\n")
	}
	if e.Starts != nil {
		head("── %d: packed of %d documents: %d tokens, %d trained on", number, len(e.Starts), len(e.IDs), e.Trained())
	}
	i := 0
	for d := range e.Documents() {
		if e.Starts != nil {
			head("─ %d.%d: %s: %d tokens, %d trained on%s", number, i+1, heads[i], len(d.IDs), d.Trained(), weightOf(d))
		} else {
			head("── %d: %s: %d tokens, %d trained on%s", number, heads[i], len(d.IDs), d.Trained(), weightOf(d))
		}
		b.WriteString(p.document(d, tok) + "\n")
		i++
	}
	return b.String()
}

// weightOf says how much a document counts in the loss, or "" if all of it counts once.
func weightOf(e dataset.Example) string {
	if e.Weights == nil {
		return ""
	}
	least, most := slices.Min(e.Weights), slices.Max(e.Weights)
	if least == most {
		return fmt.Sprintf(", weight %g", most)
	}
	return fmt.Sprintf(", weights %g to %g", least, most)
}

// document formats a document. Its first token counts as not trained on, whatever its
// label: nothing precedes it to predict it from.
func (p painter) document(e dataset.Example, tok *tokenizer.Tokenizer) string {
	var b strings.Builder
	texts := p.texts(e.IDs, tok)
	isTrained := func(i int) bool { return i > 0 && e.Labels[i] != dataset.Ignored }
	for i := 0; i < len(texts); {
		from, trained := i, isTrained(i)
		for i < len(texts) && isTrained(i) == trained {
			i++
		}
		around := p.ignored
		if trained {
			around = p.trained
		}
		b.WriteString(around.begin + strings.Join(texts[from:i], "") + around.end)
	}
	return b.String()
}

// texts returns what each token adds to the text, the name of a special token, or
// without a tokenizer the ids.
func (p painter) texts(ids []int32, tok *tokenizer.Tokenizer) []string {
	texts := make([]string, len(ids))
	if tok == nil {
		for i, id := range ids {
			texts[i] = fmt.Sprintf("%d ", id)
		}
		return texts
	}
	stream := tok.NewStream()
	for i, id := range ids {
		switch name := tok.Token(id); {
		case name == "":
			texts[i] = fmt.Sprintf("%s⟨%d⟩", printable(stream.Flush()), id)
		case tok.Special(id):
			texts[i] = printable(stream.Flush()) + p.special.begin + printable(name) + p.special.end
		default:
			texts[i] = printable(stream.Push(id))
		}
	}
	if len(texts) > 0 {
		texts[len(texts)-1] += printable(stream.Flush())
	}
	return texts
}

// printable marks the ends of lines and replaces control characters, which would move
// the terminal's cursor, by their pictures.
func printable(text string) string {
	var b strings.Builder
	for _, r := range text {
		switch {
		case r == '\n':
			b.WriteString("⏎\n")
		case r == '\t':
			b.WriteRune(r)
		case r < ' ':
			b.WriteRune('\u2400' + r) // the picture of the control character
		case r == 0x7f || r >= 0x80 && r < 0xa0:
			b.WriteRune('\ufffd')
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}
