package verbs

import (
	"slices"

	"qlora/cmd/internal/exit"
	"qlora/trainer"
	"qlora/trainer/report/live"
)

// watchOptions are what a person sees of a run while it goes on.
type watchOptions struct {
	Live    string `option:"live" bare:"true" help:"serve a page that shows the run while it goes on: :PORT for this machine alone, HOST:PORT for whoever reaches HOST (0.0.0.0: every address)"`
	Prompts string `option:"sample_prompts" help:"prompts to complete at every evaluation: a .txt file with one a line, a file of records as --dataset takes, or a number: that many of eval_dataset's first records"`
	Tokens  int    `option:"sample_tokens" unit:"tokens" help:"longest completion of a sample prompt"`
}

// page serves the run's page where one is asked for, by --live or by --report_to;
// nil where none is.
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
	who := "from this machine alone"
	if !p.Loopback() {
		who = "by everyone who can reach this machine"
	}
	c.note("the run can be watched at " + p.URL() + ", " + who)
	return p, nil
}
