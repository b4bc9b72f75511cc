package verbs

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"qlora/chat"
	"qlora/cmd/internal/exit"
	"qlora/tokenizer"
)

// longestChat bounds the tokens of a chat on a terminal, unless the model has fewer
// positions.
const longestChat = 4096

// maxInput bounds the bytes read from standard input.
const maxInput = 64 << 20

// A dialogue is a chat with the model: its template and its messages so far.
type dialogue struct {
	*chat.Template
	said []chat.Message
}

func newDialogue(model, adapter, choice, system string, tok *tokenizer.Tokenizer) (*dialogue, error) {
	folder, err := chat.Folder(model, adapter)
	if err != nil {
		return nil, exit.AsWrong(err)
	}
	template, err := chat.Open(folder, choice, tok)
	if err != nil {
		return nil, exit.AsWrong(err)
	}
	d := &dialogue{Template: template}
	if system != "" {
		d.say("system", system)
	}
	return d, nil
}

func (d *dialogue) say(role, text string) {
	d.said = append(d.said, chat.Message{Role: role, Content: text})
}

// prompt returns the tokens of the chat, up to where the model's answer starts.
func (d *dialogue) prompt() ([]int32, error) {
	ids, err := d.Prompt(d.said)
	return ids, exit.AsWrong(err)
}

// chat answers the prompt, or a chat on a terminal until it ends.
func (o *generateOptions) chat(c *call, r *inference) error {
	d, err := newDialogue(r.folder, r.base.Adapter, o.ChatTemplate, o.System, r.tok)
	if err != nil {
		return err
	}
	stop, err := r.base.Ends(r.tok, d.Template)
	if err != nil {
		return exit.AsWrong(err)
	}
	c.noteEnd(d.Template, r.tok, stop)
	if !c.set.Given("prompt") && isTerminal(c.in) {
		return o.converse(c, r, d, stop)
	}
	if !c.set.Given("prompt") {
		if o.Prompt, err = readPrompt(c.in); err != nil {
			return err
		}
	}
	d.say("user", o.Prompt)
	prompt, err := d.prompt()
	if err != nil {
		return err
	}
	_, err = o.complete(c, r, prompt, stop)
	return err
}

func readPrompt(in io.Reader) (string, error) {
	data, err := io.ReadAll(io.LimitReader(in, maxInput+1))
	switch {
	case err != nil:
		return "", err
	case len(data) > maxInput:
		return "", exit.Wrongf("standard input is longer than %d bytes", maxInput)
	case !utf8.Valid(data):
		return "", exit.Wrongf("standard input is not UTF-8")
	case strings.TrimSpace(string(data)) == "":
		return "", exit.Wrongf("--prompt is missing, and standard input is empty")
	}
	return strings.TrimSuffix(string(data), "\n"), nil
}

// converse answers each line that is typed on a terminal.
func (o *generateOptions) converse(c *call, r *inference, d *dialogue, stop []int32) error {
	longest := longestChat
	if most := r.base.Config.MaxPositions; most > 0 {
		longest = min(longest, most)
	}
	if err := r.plan(longest); err != nil {
		return err
	}
	c.note("Type a message and press Enter; Ctrl-D ends the chat.")
	lines := typed(c, c.in)
	for {
		fmt.Fprint(c.err, "> ")
		line, err := lines()
		if errors.Is(err, io.EOF) {
			c.note("")
			return nil
		}
		if err != nil {
			return err
		}
		if strings.TrimSpace(line) == "" {
			continue
		}
		d.say("user", line)
		prompt, err := d.prompt()
		if err != nil {
			return err
		}
		left := longest - len(prompt)
		if left < 1 {
			return exit.Wrongf("the chat has %d tokens, and the limit is %d; start a new one", len(prompt), longest)
		}
		answer, err := o.stream(c, r, prompt, min(o.MaxNew, left), stop)
		if err != nil {
			return err
		}
		d.say("assistant", answer)
	}
}

// typed returns a function that reads the next line, until ctx is done.
func typed(ctx context.Context, in io.Reader) func() (string, error) {
	type line struct {
		text string
		err  error
	}
	lines := make(chan line)
	go func() {
		from := bufio.NewReader(in)
		for {
			text, err := from.ReadString('\n')
			if err != nil && text != "" {
				err = nil
			}
			select {
			case lines <- line{strings.TrimRight(text, "\r\n"), err}:
			case <-ctx.Done():
				return
			}
			if err != nil {
				return
			}
		}
	}()
	return func() (string, error) {
		select {
		case l := <-lines:
			return l.text, l.err
		case <-ctx.Done():
			return "", ctx.Err()
		}
	}
}
