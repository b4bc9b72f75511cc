package trainer

import (
	"time"

	"qlora/option"
)

// RankArgs are the settings of runs on several ranks. A rank is a device with a copy of the
// model; see docs/distributed.md.
type RankArgs struct {
	WorldSize     int     `option:"world_size" unit:"ranks" help:"ranks that the run is divided into, whose micro-batches of a step are added up; 0: as many as there are, or of the run that is resumed. The result depends on this number and not on how many ranks there are, so one device can rehearse a run of many"`
	AverageTokens bool    `option:"average_tokens_across_devices" help:"divide the losses of a step by the number of all its tokens; false: take the mean of the mean losses of the ranks"`
	DropLast      bool    `option:"dataloader_drop_last" help:"leave out the records at the end of an epoch that do not fill a micro-batch of every rank"`
	FSDP          string  `option:"fsdp" many:"true" values:"false,auto,shard_optim,shard_grad_op,full_shard,hybrid_shard" help:"false: every rank has all; auto: the first of false, shard_optim, shard_grad_op and full_shard with which the run fits; shard_optim: each has a part of the optimizer's moments and masters (DeepSpeed's stage 1); shard_grad_op: and of the sums of gradients (stage 2); full_shard: and of every layer's frozen weights, and a layer is gathered before it is computed with (stage 3); hybrid_shard: the same, but the ranks of each host hold a whole base together. The result is the same as with false"`
	Timeout       float64 `option:"ddp_timeout" unit:"seconds" help:"how long a rank waits for the others before the run ends"`

	sharers, holders int // see ShareAmong
}

// World returns the number of ranks that the run is divided into, 1 unless it is set.
func (a *RankArgs) World() int { return max(1, a.WorldSize) }

// knowsWorld reports whether World is that of the run: one that is resumed has it of its
// checkpoint, unless it is set.
func (a *Args) knowsWorld() bool { return a.WorldSize > 0 || !a.resumes() }

// window returns the number of micro-batches of a step.
func (a *Args) window() int { return a.Accumulation * a.World() }

// deadline returns ddp_timeout.
func (a *RankArgs) deadline() time.Duration { return time.Duration(a.Timeout * float64(time.Second)) }

// Ranges returns the intervals of the numeric settings.
func (*RankArgs) Ranges() option.Ranges {
	return option.Ranges{"world_size": option.From(0, 1<<20), "ddp_timeout": option.Above(0, 1e7)}
}
