package recipe

import (
	"fmt"
	"os"
	"strings"
)

// A word is one of a command's, without quotes.
type word struct {
	text string
	line int
}

// commands returns the commands of a shell script as words. Variables that the script or
// the environment sets are replaced. It understands quotes, comments, lines that end in a
// backslash, and the marks between commands; other parts of the shell's language are words.
func commands(script string) ([][]word, error) {
	p := shell{text: script, line: 1, set: map[string]string{}}
	for p.at < len(p.text) {
		if err := p.step(); err != nil {
			return nil, err
		}
	}
	p.endCommand()
	return p.commands, p.err
}

// A shell reads a script.
type shell struct {
	text     string
	at, line int
	set      map[string]string // by assignments

	commands [][]word
	command  []word
	current  strings.Builder
	started  bool // there is a word, perhaps an empty one
	target   bool // the next word is a redirection's
	err      error
}

// step reads one mark.
func (p *shell) step() error {
	c := p.text[p.at]
	switch c {
	case '\r':
		p.at++
	case '\n':
		p.endCommand()
		p.line++
		p.at++
	case ' ', '\t':
		p.endWord()
		p.at++
	case '#':
		if p.started {
			p.add("#")
			return nil
		}
		for p.at < len(p.text) && p.text[p.at] != '\n' {
			p.at++
		}
	case '<', '>':
		p.redirection()
	case ';', '&', '|', '(', ')', '`':
		if strings.HasPrefix(p.text[p.at:], "&>") {
			p.at++
			return nil
		}
		if c == '`' || c == '(' {
			p.unset(p.line, "a command inside the command line")
		}
		p.endCommand()
		p.at++
	case '\\':
		p.escape()
	case '\'':
		end := strings.IndexByte(p.text[p.at+1:], '\'')
		if end < 0 {
			return fmt.Errorf("line %d: the quote ' has no end", p.line)
		}
		inner := p.text[p.at+1 : p.at+1+end]
		p.at++
		p.take(inner)
		p.at++
	case '"':
		return p.double()
	case '$':
		return p.variable()
	default:
		p.take(p.text[p.at : p.at+1])
	}
	return p.err
}

// add adds text that is one byte of the script to the word.
func (p *shell) add(text string) {
	p.current.WriteString(text)
	p.started = true
	p.at++
}

// take adds a part of the script to the word.
func (p *shell) take(part string) {
	p.current.WriteString(part)
	p.started = true
	p.line += strings.Count(part, "\n")
	p.at += len(part)
}

// escape reads a backslash outside quotes.
func (p *shell) escape() {
	rest := p.text[p.at+1:]
	switch {
	case strings.HasPrefix(rest, "\n"):
		p.at, p.line = p.at+2, p.line+1
	case strings.HasPrefix(rest, "\r\n"):
		p.at, p.line = p.at+3, p.line+1
	case rest == "":
		p.at++
	default:
		p.at++
		p.take(rest[:1])
	}
}

// double reads a text in double quotes.
func (p *shell) double() error {
	began := p.line
	p.at++
	p.started = true
	for p.at < len(p.text) {
		switch c := p.text[p.at]; {
		case c == '"':
			p.at++
			return nil
		case c == '\\' && p.at+1 < len(p.text) && strings.IndexByte("\"\\$`\n", p.text[p.at+1]) >= 0:
			p.at++
			if p.text[p.at] == '\n' {
				p.line++
				p.at++
				continue
			}
			p.take(p.text[p.at : p.at+1])
		case c == '$':
			if err := p.variable(); err != nil {
				return err
			}
		default:
			p.take(p.text[p.at : p.at+1])
		}
	}
	return fmt.Errorf("line %d: the quote \" has no end", began)
}

// variable reads $NAME, ${NAME} and ${NAME:-otherwise}.
func (p *shell) variable() error {
	rest := p.text[p.at+1:]
	name, otherwise, hasOtherwise := "", "", false
	if inner, ok := strings.CutPrefix(rest, "{"); ok {
		inner, _, closed := strings.Cut(inner, "}")
		if !closed {
			return fmt.Errorf("line %d: ${ has no end", p.line)
		}
		p.at += len(inner) + 3
		name, otherwise, hasOtherwise = strings.Cut(inner, ":-")
		if !hasOtherwise {
			name, otherwise, hasOtherwise = strings.Cut(inner, "-")
		}
	} else {
		n := 0
		for n < len(rest) && isName(rest[:n+1]) {
			n++
		}
		if n == 0 {
			if strings.HasPrefix(rest, "(") {
				p.unset(p.line, "a command inside the command line")
			}
			p.add("$")
			return p.err
		}
		name = rest[:n]
		p.at += n + 1
	}
	value, ok := p.set[name]
	if !ok {
		value, ok = os.LookupEnv(name)
	}
	switch {
	case ok && (value != "" || !hasOtherwise):
	case hasOtherwise && !strings.ContainsAny(otherwise, "$`"):
		value = otherwise
	case isName(name):
		p.unset(p.line, "the variable "+name+", which is not set; set it in the environment, or write its value")
	default:
		p.unset(p.line, "${"+name+"}, which only the shell can work out; write its value")
	}
	p.current.WriteString(value)
	p.started = p.started || value != ""
	return nil
}

// unresolved marks a part of a word whose value is not known. No script has it.
const unresolved = "\x00"

// unset puts a mark into the word, which is an error only if the word is an argument.
func (p *shell) unset(line int, what string) {
	fmt.Fprintf(&p.current, "%sline %d has %s%s", unresolved, line, what, unresolved)
	p.started = true
}

func isName(text string) bool {
	for i, c := range text {
		if c != '_' && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (i == 0 || c < '0' || c > '9') {
			return false
		}
	}
	return text != ""
}

// redirection reads the mark of one, with the number before it.
func (p *shell) redirection() {
	if strings.Trim(p.current.String(), "0123456789") == "" {
		p.started = false
	}
	p.endWord()
	for p.at < len(p.text) && strings.IndexByte("<>&", p.text[p.at]) >= 0 {
		p.at++
	}
	p.target = true
}

func (p *shell) endWord() {
	if p.started && p.target {
		p.started, p.target = false, false
	}
	if p.started {
		p.command = append(p.command, word{p.current.String(), p.line})
	}
	p.current.Reset()
	p.started = false
}

// endCommand ends a command. One that only sets variables is done.
func (p *shell) endCommand() {
	p.endWord()
	p.target = false
	words := p.command
	p.command = nil
	if len(words) > 0 && words[0].text == "export" {
		words = words[1:]
	}
	for len(words) > 0 {
		name, value, ok := strings.Cut(words[0].text, "=")
		if !ok || !isName(name) {
			break
		}
		if len(words) == 1 || !strings.Contains(words[1].text, unresolved) {
			p.set[name] = value
		}
		words = words[1:]
	}
	if len(words) > 0 {
		p.commands = append(p.commands, words)
	}
}
