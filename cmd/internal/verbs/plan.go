package verbs

import (
	"encoding/json"
	"fmt"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"qlora/bindings"
	"qlora/bindings/cpu"
	"qlora/bindings/cuda"
	"qlora/cmd/internal/exit"
	"qlora/cmd/internal/options"
	"qlora/lora"
	"qlora/option"
	"qlora/tokenizer"
	"qlora/trainer"
	"qlora/trainer/dataset"
)

// Plan returns the verb that prints the memory of a run.
func Plan() *cobra.Command {
	o := newTuneOptions()
	var own planOptions
	set := options.New()
	set.Add("Plan", &own)
	o.register(set, false)
	return verb("plan", "print the memory that a train command needs, without loading the weights", set, func(c *call) error {
		return o.plan(c, own)
	})
}

// planOptions are the options of plan alone.
type planOptions struct {
	JSON   bool    `option:"json" help:"print one JSON object"`
	Memory float64 `option:"memory" unit:"GiB" help:"memory of the device to plan for, which recompute auto keeps to; 0: what is free on this machine's device"`
}

// Ranges returns the intervals of the options.
func (*planOptions) Ranges() option.Ranges { return option.Ranges{"memory": option.From(0, 1<<20)} }

// limit returns the bytes that a plan for the verb's device keeps to; 0: unknown.
func (p *planOptions) limit(free int64) int64 {
	if p.Memory > 0 {
		return int64(p.Memory * (1 << 30))
	}
	return free
}

func (o *tuneOptions) plan(c *call, own planOptions) error {
	o.objective(c)
	if err := o.describe(c); err != nil {
		return err
	}
	if err := o.evaluation(c); err != nil {
		return err
	}
	if err := o.check(c); err != nil {
		return err
	}
	model, err := o.model(c, true)
	if err != nil {
		return err
	}
	defer model.Close()
	machines, err := o.sharing.ranks(o.machine)
	if err != nil {
		return err
	}
	ranks := len(machines)
	if o.run.WorldSize == 0 {
		o.run.WorldSize = ranks
	}
	o.run.PlanFor(ranks) // 1: those of the launcher that the run is planned for
	profile, free, err := machines[0].profile(computeOf(o.quantize, o.run.ContinuedCompute()).dtype, c.note)
	if err != nil {
		return err
	}
	c.noteOf(model, profile.Info())
	var train, eval []dataset.Example
	var prompts *trainer.Prompts
	var tok *tokenizer.Tokenizer
	if len(o.data.Dataset) > 0 || o.data.Vocabulary.adding() || o.data.Vocabulary.Resize != "" {
		if tok, err = o.vocabulary(c, model); err != nil {
			return err
		}
	}
	if len(o.data.Dataset) > 0 {
		if train, eval, prompts, err = o.records(c, model, tok); err != nil {
			return err
		}
	}
	make := func(profile bindings.Profile, args trainer.Args, limit int64) (*trainer.RunPlan, error) {
		p, err := trainer.PlanRun(model, args, train, eval, prompts, o.data.Records.MaxLength, profile, limit)
		return p, exit.AsWrong(err)
	}
	if profile.Info().Name == "cpu" {
		free /= int64(ranks) // which share the machine's memory
	}
	limit := own.limit(free)
	plan, err := make(profile, o.run, limit)
	if err != nil {
		return err
	}
	o.run.FSDP = plan.FSDP
	states, sums := o.run.StateShards()
	if own.JSON {
		return json.NewEncoder(c.out).Encode(struct {
			Device     string              `json:"device"`
			Compute    string              `json:"compute"`
			Recompute  string              `json:"recompute"`
			Categories bindings.MemoryPlan `json:"categories"`
			Peak       int64               `json:"peak_bytes"` // of each rank
			Ranks      int                 `json:"ranks"`
			Shards     int                 `json:"shards,omitempty"`           // of the base
			States     int                 `json:"optimizer_shards,omitempty"` // of moments and masters
			Sums       int                 `json:"sum_shards,omitempty"`       // of the sums of gradients
			World      int                 `json:"world_size"`
			Part       int                 `json:"part_tokens,omitempty"`
			Offload    bool                `json:"offload_activations,omitempty"` // to host_activations
			Embedding  bool                `json:"embedding_on_host,omitempty"`   // to host_embedding
			Whole      bool                `json:"whole_weights,omitempty"`       // decoded at a time
			Tried      []triedFitting      `json:"tried,omitempty"`
		}{plan.Device.Name, torchName(plan.Device.Activation), plan.Recompute.String(), plan.Bytes, plan.Bytes.Total(), ranks, o.run.Shards(), states, sums, o.run.WorldSize, plan.Part, plan.Offload, plan.Embedding, plan.Whole, triedOf(plan)})
	}
	w := tabwriter.NewWriter(c.out, 0, 0, 2, ' ', tabwriter.AlignRight)
	for _, f := range plan.Tried {
		fmt.Fprintf(c.out, "%v: needs %s and %s has %s\n", f, trainer.Bytes(f.Bytes), plan.Device.Name, trainer.Bytes(limit))
	}
	each := ""
	switch shards := o.run.Shards(); {
	case shards > 1:
		each = fmt.Sprintf(", each of %d ranks that share the base and the optimizer's state", shards)
	case sums > 1:
		each = fmt.Sprintf(", each of %d ranks that share the optimizer's state and the sums of gradients", sums)
	case states > 1:
		each = fmt.Sprintf(", each of %d ranks that share the optimizer's state", states)
	case ranks > 1:
		each = fmt.Sprintf(", each of %d ranks", ranks)
	}
	fmt.Fprintf(w, "%s on %s in %s, %v%s:\n", o.method.Method, plan.Device.Name, torchName(plan.Device.Activation), plan.Fitting(), each)
	for _, category := range bindings.Categories {
		if plan.Bytes[category] == 0 && category.Gathered() {
			continue
		}
		fmt.Fprintf(w, "%s\t%d\tbytes\t%s\t\n", category, plan.Bytes[category], trainer.Bytes(plan.Bytes[category]))
	}
	fmt.Fprintf(w, "peak\t%d\tbytes\t%s\t\n", plan.Bytes.Total(), trainer.Bytes(plan.Bytes.Total()))
	for _, category := range bindings.HostCategories {
		if host := plan.Bytes[category]; host > 0 {
			fmt.Fprintf(w, "%s\t%d\tbytes\t%s\t of the host\n", category, host, trainer.Bytes(host))
		}
	}
	if !plan.Fits {
		fmt.Fprintf(w, "does not fit:\t%d\tbytes\t%s\t\n", limit, trainer.Bytes(limit))
	}
	if plan.InitBytes > 0 {
		fmt.Fprintf(w, "before the first step, next to the base, about\t%d\tbytes\t%s\t\n", plan.InitBytes, trainer.Bytes(plan.InitBytes))
	}
	fmt.Fprintf(w, "\nThe same run, its peak in bytes:\nmethod\tdevice\tcompute\trecompute none\tmlp\tlayer\t\n")
	for _, name := range []string{methodQLoRA, methodLoRA, methodFull} {
		adapters := o.adapters
		if name == methodLoRA && adapters.Init == string(lora.InitLoftQ) {
			adapters.Init = string(lora.InitDefault) // LoftQ needs a 4-bit base
		}
		if err := method(model, methodOptions{name, o.method.Keep}, o.quantize, adapters); err != nil {
			return err
		}
		model.TrainTokens(o.fresh)
		for _, profile := range []bindings.Profile{cpu.Profile(machines[0].cpu(bindings.F32)), cpu.Profile(machines[0].cpu(bindings.BF16)), cuda.Profile()} {
			fmt.Fprintf(w, "%s\t%s\t%s", name, profile.Info().Name, torchName(profile.Info().Activation))
			for _, policy := range []string{"none", "mlp", "layer"} {
				args := o.run
				args.GradientCheckpointing, args.Recompute = false, policy
				if name == methodFull && o.run.Shards() > 0 { // which shares no weights out
					args.FSDP = trainer.ShardGrad
				}
				p, err := make(profile, args, 0)
				if err != nil {
					return err
				}
				fmt.Fprintf(w, "\t%d", p.Bytes.Total())
			}
			fmt.Fprintf(w, "\t\n")
		}
	}
	return w.Flush()
}

// A triedFitting is a trainer.Fitting in JSON.
type triedFitting struct {
	Recompute string `json:"recompute"`
	Part      int    `json:"part_tokens,omitempty"`
	Offload   bool   `json:"offload_activations,omitempty"`
	Embedding bool   `json:"embedding_on_host,omitempty"`
	Whole     bool   `json:"whole_weights,omitempty"`
	Bytes     int64  `json:"bytes"`
}

// triedOf returns what a plan tried and what did not fit.
func triedOf(p *trainer.RunPlan) (all []triedFitting) {
	for _, f := range p.Tried {
		all = append(all, triedFitting{f.Recompute.String(), f.Part, f.Offload, f.Embedding, f.Whole, f.Bytes})
	}
	return all
}

// records reads the datasets and the sample prompts.
func (o *tuneOptions) records(c *call, base *trainer.Base, tok *tokenizer.Tokenizer) (train, eval []dataset.Example, prompts *trainer.Prompts, err error) {
	trainSet, evalSet, err := o.sets(c, tok, nil)
	if err != nil {
		return nil, nil, nil, err
	}
	ends, err := o.ends(c, tok, base, trainSet)
	if err != nil {
		return nil, nil, nil, err
	}
	prompts, err = o.prompts(c, tok, ends, evalSet.Examples)
	return trainSet.Examples, evalSet.Examples, prompts, err
}
