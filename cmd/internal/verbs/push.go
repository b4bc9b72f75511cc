package verbs

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"qlora/cmd/internal/exit"
	"qlora/cmd/internal/options"
	"qlora/hub"
)

// pushOptions are the options of push.
type pushOptions struct {
	Private  bool   `option:"private" help:"make a new repository private"`
	Revision string `option:"revision" help:"branch to push to; made from main if there is none"`
	Message  string `option:"commit_message" help:"title of the commit; default: Upload NAME"`
	Parent   string `option:"parent_commit" help:"push on top of this commit of the branch, which replaces files of the same names"`
	Token    string `option:"token" alias:"hf_hub_token" secret:"true" help:"of an account on the Hub, with the right to write; better in HF_TOKEN or by hf auth login"`
}

// Push returns the verb that uploads to the Hub.
func Push() *cobra.Command {
	o := pushOptions{Revision: hub.DefaultRevision}
	set := options.New()
	set.Add("Push", &o)
	cmd := verb("push", "upload an adapter or a model with its card to the Hugging Face Hub, in one commit", set, func(c *call) error {
		dir, name := c.args[0], c.args[1]
		r, err := hub.Parse(hub.Model, name)
		switch {
		case err != nil:
			return exit.AsWrong(err)
		case r.Part != "":
			return exit.Wrongf("%s: a push takes ORG/NAME, and --revision for a branch", name)
		case r.Revision == hub.DefaultRevision:
			r.Revision = o.Revision
		}
		if r, err = hub.Parse(hub.Model, r.String()); err != nil { // the branch's name
			return exit.AsWrong(err)
		}
		return o.push(c, dir, r)
	})
	cmd.Use = "push FOLDER ORG/NAME"
	cmd.Args = func(_ *cobra.Command, args []string) error {
		if len(args) != 2 {
			return exit.Wrongf("push takes a folder and a name: write qlora push FOLDER ORG/NAME")
		}
		return nil
	}
	return cmd
}

// push uploads a folder and prints the repository's address.
func (o *pushOptions) push(c *call, dir string, r hub.Repo) error {
	from := hubOptions{Token: o.Token}
	h, err := from.client(c)
	if err != nil {
		return err
	}
	return o.pushBy(c, h, dir, r)
}

func (o *pushOptions) pushBy(c *call, h *hub.Client, dir string, r hub.Repo) error {
	names, left, err := hub.ModelFolder(dir)
	if err != nil {
		return exit.AsWrong(err)
	}
	if len(left) > 0 {
		c.note("not pushed: " + strings.Join(left, ", "))
	}
	how := hub.PushOptions{Private: o.Private, Message: o.Message, Parent: o.Parent}
	if !slices.Contains(names, hub.CardFile) {
		if how.Extra, err = card(dir, r); err != nil {
			return err
		}
		c.note("the folder has no " + hub.CardFile + ": a short one is pushed")
	}
	progress, done := c.progress("uploading "+r.ID, true)
	h.Progress = progress
	commit, err := h.Push(c, dir, names, r, how)
	done()
	switch {
	case c.Err() != nil:
		return context.Cause(c)
	case errors.Is(err, hub.ErrUnreachable):
		return err
	case err != nil:
		return exit.AsWrong(err)
	case len(commit.Files) == 0:
		c.note("the repository has these files already")
	default:
		c.note(fmt.Sprintf("pushed %s as commit %s", strings.Join(commit.Files, ", "), commit.OID))
	}
	fmt.Fprintln(c.out, commit.URL)
	return nil
}

// card returns a card for a folder that has none: the front matter by which the Hub files a
// model, and its name.
func card(dir string, r hub.Repo) (map[string][]byte, error) {
	var b strings.Builder
	b.WriteString("---\n")
	var adapter struct {
		Base string `json:"base_model_name_or_path"`
	}
	text, err := os.ReadFile(filepath.Join(dir, "adapter_config.json"))
	switch {
	case err == nil:
		if err := json.Unmarshal(text, &adapter); err != nil {
			return nil, exit.Wrongf("%s: not JSON", filepath.Join(dir, "adapter_config.json"))
		}
		if _, err := hub.Parse(hub.Model, adapter.Base); err == nil {
			fmt.Fprintf(&b, "base_model: %q\n", adapter.Base)
		}
		b.WriteString("library_name: peft\ntags:\n- lora\n")
	case os.IsNotExist(err):
		b.WriteString("library_name: transformers\n")
	default:
		return nil, err
	}
	fmt.Fprintf(&b, "pipeline_tag: text-generation\n---\n\n# %s\n", filepath.Base(r.ID))
	return map[string][]byte{hub.CardFile: []byte(b.String())}, nil
}
