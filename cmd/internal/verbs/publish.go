package verbs

import (
	"cmp"
	"context"
	"fmt"
	"path/filepath"
	"strings"

	"qlora/cmd/internal/exit"
	"qlora/hub"
)

// publishOptions are the options of what a run pushes to the Hub when it has ended.
type publishOptions struct {
	Push     bool   `option:"push_to_hub" help:"push the result to the Hugging Face Hub after training"`
	ID       string `option:"hub_model_id" alias:"push_to_hub_model_id" help:"repository to push to; default: one with output_dir's name in your account"`
	Private  *bool  `option:"hub_private_repo" help:"make a new repository private"`
	Revision string `option:"hub_revision" help:"branch to push to; default: main"`
	Token    string `option:"hub_token" alias:"push_to_hub_token" secret:"true" help:"the account's token for the push; better in HF_TOKEN or by hf auth login"`
}

// target returns the client and the repository of the push after training, before it
// begins. They are nil without --push_to_hub.
func (o *tuneOptions) target(c *call) (*hub.Client, *hub.Repo, error) {
	p := &o.publish
	if !p.Push {
		return nil, nil, nil
	}
	from := o.hub
	if p.Token != "" && p.Token != "<HUB_TOKEN>" && p.Token != "<PUSH_TO_HUB_TOKEN>" { // as to_dict writes it
		from.Token = p.Token
	}
	h, err := from.client(c)
	switch {
	case err != nil:
		return nil, nil, err
	case h.Offline:
		return nil, nil, exit.Wrongf("--push_to_hub needs the Hub, and offline mode keeps from it: leave one of them out")
	case h.Token == "":
		return nil, nil, exit.Wrongf("--push_to_hub needs a token that may write: set HF_TOKEN to one of https://huggingface.co/settings/tokens")
	}
	id := p.ID
	if id == "" {
		dir, err := filepath.Abs(o.run.OutputDir)
		if err != nil {
			return nil, nil, err
		}
		id = filepath.Base(dir)
	}
	if !strings.Contains(id, "/") {
		user, err := h.User(c)
		if c.Err() != nil {
			return nil, nil, context.Cause(c)
		}
		if err != nil {
			return nil, nil, exit.AsWrong(err)
		}
		id = user + "/" + id
	}
	r, err := hub.Parse(hub.Model, id+"@"+cmp.Or(p.Revision, hub.DefaultRevision))
	if err != nil {
		return nil, nil, exit.Wrongf("--hub_model_id: %w", err)
	}
	return h, &r, nil
}

// push pushes the result of a run.
func (o *tuneOptions) push(c *call, h *hub.Client, r *hub.Repo) error {
	if h == nil || c.Err() != nil { // interrupted: there is no result yet
		return nil
	}
	how := pushOptions{Private: o.publish.Private != nil && *o.publish.Private}
	if err := how.pushBy(c, h, o.run.OutputDir, *r); err != nil {
		return fmt.Errorf("training has ended, and its result is in %s; it is not on the Hub: %w; to push it again: qlora push %[1]s %[3]s", o.run.OutputDir, err, r.ID)
	}
	return nil
}
