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
		case ShardFull, ShardHybrid:
			kind = word
		case "true":
			kind = ShardFull
		case "auto_wrap", ShardNo, "no", "none", "no_shard": // a layer is what is gathered
		case "offload":
			return "", option.Errorf("fsdp", a.FSDP, "what a rank holds of the base stays on its device: leave out offload")
		case "shard_grad_op", "hybrid_shard_zero2":
			return "", option.Errorf("fsdp", a.FSDP, "gradients and moments are those of the adapters, which every rank has: only the base is shared out, by %s or %s", ShardFull, ShardHybrid)
		default:
			return "", option.Errorf("fsdp", a.FSDP, "it can be %s, %s or %s", ShardNo, ShardFull, ShardHybrid)
		}
	}
	return kind, nil
}

// ShareAmong sets among how many ranks `fsdp` shares the base out. A plan takes World unless
// it is set.
func (a *RankArgs) ShareAmong(ranks int) { a.parts = ranks }

// Shards returns the number of parts of the base; 0: it is whole on every rank.
func (a *RankArgs) Shards() int {
	if kind, err := a.sharding(); err != nil || kind == ShardNo || a.parts < 2 {
		return 0
	}
	return a.parts
}

// checkShards returns an error if the base cannot be shared out.
func (a *RankArgs) checkShards(m *Base) error {
	if kind, err := a.sharding(); err == nil && kind != ShardNo && m.Lora == nil {
		return option.Errorf("fsdp", a.FSDP, "only frozen weights are shared out, and full fine-tuning trains all: use `method` qlora or lora")
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
	t.Args.ShareAmong(holders)
	switch {
	case t.ranks() == 1:
		t.Note("`fsdp` has no effect on one rank, which holds the whole base")
	case holders == 1:
		t.Note("`fsdp` hybrid_shard has no effect on hosts of one rank, which holds the whole base: full_shard shares it out among hosts")
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
// gathers them as often. walks returns the walks of a piece.
func (t *Trainer) accompany(i, n int, walks func(i int) int, walk nn.Walk) error {
	if !t.sharded() {
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
		if err := t.layout.Model.Accompany(t.Device, walk); err != nil {
			return t.named(err)
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
