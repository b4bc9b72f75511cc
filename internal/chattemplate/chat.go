package chattemplate

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

// A Chat renders conversations by the selected template. It is immutable and safe for
// concurrent use.
type Chat struct {
	// Name is the origin of the template, for messages.
	Name    string
	normal  *Template
	toolUse *Template // for conversations with tools; nil selects normal
	tokens  map[string]string
	now     func() time.Time
	// Of normal and toolUse, computed on demand.
	shapes [2]func() *shape
	calls  [2]func() ArgumentForm
}

// NewChat selects a template. choice is a file, the name of one of the folder's
// templates, or one of Families; "" selects the folder's own. The special tokens are
// always the folder's.
func NewChat(f *Folder, choice string) (*Chat, error) {
	began := time.Now() // one date for all of a dataset
	c := &Chat{tokens: f.Tokens, now: func() time.Time { return began }}
	c.shapes[0] = sync.OnceValue(func() *shape { return c.learn(c.normal) })
	c.shapes[1] = sync.OnceValue(func() *shape { return c.learn(c.toolUse) })
	c.calls[0] = sync.OnceValue(func() ArgumentForm { return c.learnArguments(c.normal) })
	c.calls[1] = sync.OnceValue(func() ArgumentForm { return c.learnArguments(c.toolUse) })
	var err error
	if choice == "" {
		return c, c.own(f)
	}
	source, named := f.sources[choice]
	if !named {
		if source, named = Family(choice); !named {
			data, err := readFile(os.DirFS(filepath.Dir(choice)), filepath.Base(choice), choice, maxSource)
			if errors.Is(err, fs.ErrNotExist) {
				return nil, fmt.Errorf("chat template %q does not exist: it can be a file%s, or one of %s",
					choice, f.offered(), strings.Join(Families(), ", "))
			}
			if err != nil {
				return nil, err
			}
			source = string(data)
		}
	}
	c.Name = choice
	c.normal, err = parse(choice, source)
	return c, err
}

// own selects the folder's template: of several, default, and tool_use for conversations
// with tools, as transformers does.
func (c *Chat) own(f *Folder) error {
	c.Name = "chat template of " + f.Dir
	source, ok := f.sources[defaultName]
	switch {
	case len(f.sources) == 0:
		return fmt.Errorf("%w: %s has none; name one by `chat_template`: a file, or one of %s", ErrNoTemplate, f.Dir, strings.Join(Families(), ", "))
	case !ok:
		return fmt.Errorf("%s has several chat templates and none is called %s; name one by `chat_template`: %s",
			f.Dir, defaultName, strings.Join(slices.Sorted(maps.Keys(f.sources)), ", "))
	}
	var err error
	if c.normal, err = parse(c.Name, source); err != nil {
		return err
	}
	if source, ok := f.sources[toolUseName]; ok {
		c.toolUse, err = parse(c.Name+" for tools", source)
	}
	return err
}

// ErrNoTemplate reports a folder without a template.
var ErrNoTemplate = errors.New("chats need a chat template")

func (f *Folder) offered() string {
	if len(f.sources) == 0 {
		return ""
	}
	return ", one of the model's (" + strings.Join(slices.Sorted(maps.Keys(f.sources)), ", ") + ")"
}

func parse(name, source string) (*Template, error) {
	t, err := Parse(source)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return t, nil
}

// Source returns the template's text.
func (c *Chat) Source() string { return c.normal.source }

// Identity returns a text of everything that determines a rendering: the templates, the
// tokens, and the date if a template reads the time.
func (c *Chat) Identity() string {
	parts := []string{c.normal.source}
	if c.toolUse != nil {
		parts = append(parts, c.toolUse.source)
	}
	for _, source := range parts {
		if strings.Contains(source, "strftime_now") {
			parts = append(parts, c.now().Format(time.DateOnly))
			break
		}
	}
	for _, name := range slices.Sorted(maps.Keys(c.tokens)) {
		parts = append(parts, name, c.tokens[name])
	}
	return fmt.Sprintf("%q", parts)
}

// template returns the template that renders a conversation.
func (c *Chat) template(v *Conversation) *Template {
	if c.toolUse != nil && v.Tools != nil {
		return c.toolUse
	}
	return c.normal
}

// Marks reports whether the template itself marks what the model writes.
func (c *Chat) Marks(v *Conversation) bool { return c.template(v).marks }

// Render returns the text of a conversation. prompt appends the header of the model's
// next turn (add_generation_prompt). A conversation without messages is an error.
func (c *Chat) Render(v *Conversation, prompt bool) (Rendering, error) {
	if len(v.Messages) == 0 {
		return Rendering{}, errors.New("the conversation has no messages")
	}
	variables := map[string]any{}
	for name, token := range c.tokens {
		variables[name] = token
	}
	maps.Copy(variables, v.More)
	messages := NewList()
	for _, m := range v.Messages {
		messages.items = append(messages.items, normal(m))
	}
	variables["messages"], variables["add_generation_prompt"] = messages, prompt
	variables["tools"], variables["documents"] = nil, nil
	if v.Tools != nil {
		variables["tools"] = v.Tools
	}
	if v.Documents != nil {
		variables["documents"] = v.Documents
	}
	made, err := c.template(v).Render(variables, c.now)
	if e := (*Error)(nil); errors.As(err, &e) {
		if e.Raised {
			return made, fmt.Errorf("%s rejects the conversation: %s", c.Name, e.Message)
		}
		return made, fmt.Errorf("%s, line %d: %s", c.Name, e.Line, e.Message)
	}
	return made, err
}
