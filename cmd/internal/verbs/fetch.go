package verbs

import (
	"fmt"

	"github.com/spf13/cobra"

	"qlora/cmd/internal/exit"
	"qlora/cmd/internal/options"
	"qlora/hub"
)

// fetchOptions are the options of fetch, without those of the Hub.
type fetchOptions struct {
	Model   string   `option:"model" hub:"model" help:"the model or adapter to fetch; the same as the name without an option"`
	Dataset []string `option:"dataset" help:"datasets to fetch, as ORG/NAME[@REVISION][:CONFIGURATION/SPLIT]; repeatable"`
	Type    string   `option:"repo_type" help:"what the name without an option is: model (an adapter, too) or dataset"`
}

// Fetch returns the verb that downloads from the Hub.
func Fetch() *cobra.Command {
	o, from := fetchOptions{Type: string(hub.Model)}, hubOptions{}
	set := options.New()
	set.Add("What to fetch", &o)
	set.Add("Hugging Face Hub", &from)
	cmd := verb("fetch", "download a model, an adapter or a dataset from the Hugging Face Hub into its cache", set, func(c *call) error {
		return o.fetch(c, &from)
	})
	cmd.Use = "fetch ORG/NAME[@REVISION]"
	cmd.Args = func(_ *cobra.Command, args []string) error {
		if len(args) > 1 {
			return exit.Wrongf("%q: fetch takes one name; call it again for another, or give datasets by --dataset", args[1])
		}
		return nil
	}
	return cmd
}

func (o *fetchOptions) fetch(c *call, from *hubOptions) error {
	switch {
	case o.Type != string(hub.Model) && o.Type != string(hub.Dataset):
		return exit.Wrongf("--repo_type is %q, but it can be model or dataset", o.Type)
	case len(c.args) > 0 && o.Type == string(hub.Dataset):
		o.Dataset = append(o.Dataset, c.args[0])
	case len(c.args) > 0 && o.Model != "":
		return exit.Wrongf("%q and --model %s are two models; fetch one, then the other", c.args[0], o.Model)
	case len(c.args) > 0:
		o.Model = c.args[0]
	}
	if o.Model == "" && len(o.Dataset) == 0 {
		return exit.Wrongf("what to fetch is missing: write qlora fetch ORG/NAME, or qlora fetch --dataset ORG/NAME")
	}
	if o.Model != "" {
		r, err := hub.Parse(hub.Model, o.Model)
		if err != nil {
			return exit.AsWrong(err)
		}
		path, err := from.model(c, "", "hf://"+r.String(), from.Revision, (*hub.Client).FetchModel)
		if err != nil {
			return err
		}
		fmt.Fprintln(c.out, path)
	}
	for _, name := range o.Dataset {
		r, err := hub.Parse(hub.Dataset, name)
		if err != nil {
			return exit.AsWrong(err)
		}
		paths, err := from.datasets(c, "", []string{"hf://" + r.String()})
		if err != nil {
			return err
		}
		fmt.Fprintln(c.out, paths[0])
	}
	return nil
}
