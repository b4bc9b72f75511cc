package trainer

import (
	"context"
	"errors"
	"slices"
	"strings"

	"qlora/bindings/groups"
	"qlora/nn"
	"qlora/option"
)

// The values of RankArgs.FSDP.
const (
	ShardNo     = "false"
	ShardAuto   = "auto" // the first of the others with which a run fits
	ShardOptim  = "shard_optim"
	ShardGrad   = "shard_grad_op"
	ShardFull   = "full_shard"
	ShardHybrid = "hybrid_shard"
)

// sharding returns how `fsdp` shares the base out, from what transformers takes: a word, or
// several, or a truth value.
func (a *RankArgs) sharding() (string, error) {
	kind := ShardNo
	words := strings.FieldsFunc(strings.ToLower(a.FSDP), func(r rune) bool { return strings.ContainsRune(` ,[]"'`, r) })
	for _, word := range words {
		switch word {
		case ShardAuto, ShardOptim, ShardGrad, ShardFull, ShardHybrid:
			kind = word
		case "true":
			kind = ShardFull
		case "auto_wrap", ShardNo, "no", "none", "no_shard": // a layer is what is gathered
		case "offload":
			return "", option.Errorf("fsdp", a.FSDP, "what a rank holds of the base stays on its device: leave out offload")
		case "hybrid_shard_zero2":
			kind = ShardGrad
		default:
			return "", option.Errorf("fsdp", a.FSDP, "it can be %s, %s, %s, %s, %s or %s", ShardNo, ShardAuto, ShardOptim, ShardGrad, ShardFull, ShardHybrid)
		}
	}
	return kind, nil
}

// ShareAmong sets among how many ranks `fsdp` shares the optimizer's state out, and how many of
// them hold a base together. A plan takes World for both unless it is set.
func (a *RankArgs) ShareAmong(ranks, holders int) { a.sharers, a.holders = ranks, holders }

// PlanFor does ShareAmong for a plan with so many ranks on this host; 1: all of World are. With
// hybrid_shard the ranks of each host hold a base, and World has those of all hosts.
func (a *RankArgs) PlanFor(ranks int) {
	switch kind, err := a.sharding(); {
	case ranks == 1:
		a.ShareAmong(a.World(), a.World())
	case err == nil && kind == ShardHybrid:
		a.ShareAmong(max(ranks, a.World()), ranks)
	default:
		a.ShareAmong(ranks, ranks)
	}
}

// Shards returns the number of parts of the base; 0: it is whole on every rank.
func (a *RankArgs) Shards() int {
	if kind, err := a.sharding(); err != nil || kind != ShardFull && kind != ShardHybrid || a.holders < 2 {
		return 0
	}
	return a.holders
}

// stateSharing is what ranks share out of the optimizer's state and the sums of gradients.
type stateSharing uint8

const (
	wholeState    stateSharing = iota
	sharedMoments              // moments and masters: DeepSpeed's stage 1
	sharedSums                 // the sums, too: stage 2
)

// shareState returns what `fsdp` shares out, and among how many ranks.
func (a *RankArgs) shareState() (stateSharing, int) {
	switch kind, err := a.sharding(); {
	case err != nil || kind == ShardNo || kind == ShardAuto || a.sharers < 2:
		return wholeState, 0
	case kind == ShardOptim:
		return sharedMoments, a.sharers
	}
	return sharedSums, a.sharers
}

// StateShards returns among how many ranks the optimizer's state is shared out, and the sums of
// gradients; 0: every rank has all.
func (a *RankArgs) StateShards() (moments, sums int) {
	level, ranks := a.shareState()
	if level == sharedSums {
		return ranks, ranks
	}
	return ranks, 0
}

// checkShards returns an error if the base cannot be shared out.
func (a *RankArgs) checkShards(m *Base) error {
	if kind, err := a.sharding(); err == nil && (kind == ShardFull || kind == ShardHybrid) && m.Lora == nil {
		return option.Errorf("fsdp", a.FSDP, "only frozen weights are shared out, and full fine-tuning trains all: use %s, which shares out the moments and the sums of gradients", ShardGrad)
	}
	return nil
}

// share finds the ranks that hold a base together.
func (t *Trainer) share() error {
	kind, err := t.Args.sharding()
	if err != nil || kind == ShardNo {
		return err
	}
	holders := t.ranks()
	if kind == ShardHybrid {
		if holders, err = t.ofMachine(); err != nil {
			return err
		}
	}
	t.Args.ShareAmong(t.ranks(), holders)
	switch {
	case kind == ShardAuto:
	case t.ranks() == 1:
		t.Note("`fsdp` has no effect on one rank")
	case holders == 1:
		t.Note("`fsdp` hybrid_shard leaves the base whole on hosts of one rank: full_shard shares it out among hosts")
	}
	return nil
}

// ofMachine returns the number of ranks of each machine, which is that of all.
func (t *Trainer) ofMachine() (int, error) {
	if len(t.members) == 0 { // all are of this process
		return t.ranks(), nil
	}
	counts := map[string]int{}
	for _, m := range t.members {
		counts[m.Machine]++
	}
	first := t.members[0]
	for _, m := range t.members {
		if counts[m.Machine] != counts[first.Machine] {
			return 0, option.Errorf("fsdp", t.Args.FSDP, "%s has %d ranks and %s %d, which would each hold a base: start as many ranks on every host, or use %s", first.Host, counts[first.Machine], m.Host, counts[m.Machine], ShardFull)
		}
	}
	return counts[first.Machine], nil
}

// shareOut gives the model its part, and what gathers it with the others'.
func (t *Trainer) shareOut() error {
	if p := t.layout.shared; p != nil {
		p.join(t.Group)
	}
	if !t.sharded() {
		return nil
	}
	var holders groups.Gatherer = t.Group
	if t.Args.Shards() < t.Group.Size() {
		own := t.members[t.rank()].Machine
		part, err := t.Group.Split(slices.IndexFunc(t.members, func(m member) bool { return m.Machine == own }))
		if err != nil {
			return t.named(err)
		}
		holders = part
	}
	t.layout.Model.ShareOut(holders.Rank(), holders.GatherAhead)
	return nil
}

// sharded reports whether this rank holds only a part of the base.
func (t *Trainer) sharded() bool { return t.layout.Model.Sharded() }

// accompany is called after piece i of n that the ranks share, in their order. Whoever has
// walked through the layers less often than others in a round of the ranks, one piece each,
// gathers them as often, and adds no gradients after a walk of training. walks returns the walks
// of a piece.
func (t *Trainer) accompany(i, n int, walks func(i int) int, walk nn.Walk) error {
	adds := walk == nn.WalkTrain && t.layout.sharesSums()
	if !t.sharded() && !adds {
		return nil
	}
	size := t.Group.Size()
	first := i - i%size
	if i != n-1 && i != first+size-1 {
		return nil
	}
	own, most := 0, 0
	for j := first; j <= i; j++ {
		w := walks(j)
		most = max(most, w)
		if t.mine(j) {
			own = w
		}
	}
	for ; own < most; own++ {
		if t.sharded() {
			if err := t.layout.Model.Accompany(t.Device, walk); err != nil {
				return t.named(err)
			}
		}
		if adds {
			if err := t.layout.accompany(t.Device); err != nil {
				return t.named(err)
			}
		}
	}
	return nil
}

// accompanyReference gathers the layers as a pass of the reference model does.
func (r *loop) accompanyReference() error {
	m := r.layout.Model
	err := m.Accompany(r.Device, nn.WalkLogProbs)
	if err == nil && r.layout.comparer.others {
		err = m.Accompany(r.Device, nn.WalkLogProbs)
	}
	return r.named(err)
}

// walks returns how often a micro-batch goes through the layers in training, in parts of so
// many tokens.
func (b *microBatch) walks(part int) int { return len(b.pieces(part)) }

// halted returns an error if ctx is canceled and piece i of what the ranks share is not to be
// computed. Sharded ranks stop together, before a round of pieces, because each needs the
// parts of all.
func (r *loop) halted(ctx context.Context, i int) error {
	if !r.sharded() {
		return ctx.Err()
	}
	if i%r.Group.Size() != 0 {
		return nil
	}
	all, err := exchange(r.Trainer, ctx.Err() != nil)
	if err == nil && slices.Contains(all, true) {
		err = context.Canceled
	}
	return err
}

// stoppedBy reports whether err came of ctx's end.
func (r *loop) stoppedBy(ctx context.Context, err error) bool {
	if r.sharded() {
		return errors.Is(err, context.Canceled)
	}
	return ctx.Err() != nil
}
