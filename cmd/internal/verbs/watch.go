package verbs

import (
	"slices"

	"qlora/cmd/internal/exit"
	"qlora/trainer"
	"qlora/trainer/report/live"
)

// watchOptions are the options for watching a run.
type watchOptions struct {
	Live    string `option:"live" bare:"true" help:"serve a live page of the run: :PORT on this machine only, HOST:PORT for everyone who can reach HOST (0.0.0.0: every address)"`
	Prompts string `option:"sample_prompts" path:"true" help:"prompts to complete at every evaluation: a .txt file with one per line, a file of records as for --dataset, or a number N for the first N records of eval_dataset"`
	Tokens  int    `option:"sample_tokens" unit:"tokens" help:"maximum length of a sample's completion"`
}

// page starts the live page if --live or --report_to asks for it; else it returns nil.
func (o *tuneOptions) page(c *call) (*live.Page, error) {
	address := o.watch.Live
	switch {
	case address == "true", address == "" && slices.Contains(o.run.ReportTo, trainer.ReportLive):
		address = live.DefaultAddress
	case address == "", address == "false":
		return nil, nil
	}
	p, err := live.Listen(address)
	if err != nil {
		return nil, exit.AsWrong(err)
	}
	who := "from this machine only"
	if !p.Loopback() {
		who = "for everyone who can reach this machine"
	}
	c.note("live page: " + p.URL() + ", " + who)
	return p, nil
}
