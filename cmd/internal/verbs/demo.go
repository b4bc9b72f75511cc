package verbs

import (
	"github.com/spf13/cobra"

	"qlora/cmd/internal/options"
	"qlora/demo"
)

// Demo returns the verb that shows what tuning does.
func Demo() *cobra.Command {
	own := demo.DefaultOptions()
	set := options.New()
	set.Add("Demo", &own)
	return verb("demo", "tune a small built-in model and compare its answers before and after", set, func(c *call) error {
		return demo.Run(c, c.out, own)
	})
}
