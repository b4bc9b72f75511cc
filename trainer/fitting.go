package trainer

import (
	"fmt"
	"slices"

	"qlora/bindings"
	"qlora/nn"
)

// A Fitting is a way to keep a run to its memory.
type Fitting struct {
	Recompute nn.Recompute
	// Part is the most tokens of a part of a micro-batch: the parts' gradients are added. 0:
	// micro-batches are whole. A sequence that is longer is a part.
	Part      int
	Offload   bool  // what backward reads of the layers is in the host's memory
	Embedding bool  // so is the embedding
	Whole     bool  // a GPU may decode whole 4-bit weights for their products, else bounded parts
	Bytes     int64 // of the device's memory that it needs
}

func (f Fitting) String() string {
	s := "recompute " + f.Recompute.String()
	if f.Part > 0 {
		s += fmt.Sprintf(", micro-batches in parts of up to %d tokens", f.Part)
	}
	if f.Offload {
		s += ", activations in the host's memory"
	}
	if f.Embedding {
		s += ", the embedding in the host's memory"
	}
	if f.Whole {
		s += ", weights decoded whole"
	}
	return s
}

// limits are the most bytes that a run may allocate; 0: unknown.
type limits struct{ device, host int64 }

// hold reports whether a plan is within the limits.
func (l limits) hold(p bindings.MemoryPlan) bool {
	return (l.device <= 0 || p.Total() <= l.device) && (l.host <= 0 || p.Host() <= l.host)
}

// efficientPart is the size of a part in tokens below which auto rather recomputes: every part
// expands the base's 4-bit weights again.
const efficientPart = 1024

// fittings returns the ways that are tried for a policy of the settings, in that order. With
// auto, the fastest are first: a second part costs a step 1 to 2 %, recomputing the middle of the
// MLP 27 % and a layer 36 %. An embedding in the host's memory costs the reading of a row for each token, less
// than a second part, and comes before it. Offloading is tried last: what it costs depends on the machine.
func fittings(policies []nn.Recompute, parts []int, offload, embedding string) []Fitting {
	var all []Fitting
	add := func(f Fitting) {
		if f.Embedding = embedding == OffloadTrue; embedding == OffloadAuto {
			all = append(all, f)
			f.Embedding = true
		}
		all = append(all, f)
	}
	with := func(offload bool, policies []nn.Recompute) {
		for i, policy := range policies {
			add(Fitting{Recompute: policy, Offload: offload})
			for _, part := range parts {
				if part >= efficientPart || i == len(policies)-1 {
					add(Fitting{Recompute: policy, Part: part, Offload: offload})
				}
			}
		}
	}
	if offload != OffloadTrue {
		with(false, policies)
	}
	switch offload {
	case OffloadTrue:
		with(true, policies)
	case OffloadAuto:
		with(true, policies[len(policies)-1:])
	}
	return all
}

// offload returns OffloadActivations for a device: one that computes in the host's memory has
// nothing to offload.
func (a *Args) offload(info bindings.Info) string {
	if !info.Apart {
		return OffloadFalse
	}
	return a.OffloadActivations
}

// embedding returns EmbeddingOnHost for a device, as offload does.
func (a *Args) embedding(info bindings.Info) string {
	if !info.Apart {
		return OffloadFalse
	}
	return a.EmbeddingOnHost
}

// partsOf returns the sizes of parts for the largest micro-batches of a run: halves, quarters and
// so on, down to single sequences.
func partsOf(batches []*nn.Batch) []int {
	most, longest := 0, 0
	for _, b := range batches {
		most, longest = max(most, b.Tokens()), max(longest, b.Longest())
	}
	var parts []int
	for n := 2; most > longest; n *= 2 {
		part := max(longest, ceilDiv(most, n))
		parts = append(parts, part)
		if part == longest {
			break
		}
	}
	return parts
}

// divides reports whether the settings let micro-batches be divided. Comparisons and samples are whole: their
// losses are means over a micro-batch, and some of them compare its records with each other.
func (a *Args) divides() bool {
	return a.AutoSplit && !a.objective().compares() && !a.objective().samples
}

// layOut plans with the first fitting that is within the limits, or the one that needs the least. earlier is that of the
// run that is resumed, which is tried first with its parts, so that the sums are the same; nil: none.
func layOut(model *Base, a *Args, shapes func(part int) nn.Shapes, profile bindings.Profile, limit limits, earlier *Fitting) (*layout, error) {
	policies := []nn.Recompute{nn.RecomputeNone, nn.RecomputeMLP, nn.RecomputeLayer}
	switch {
	case a.GradientCheckpointing:
		policies = policies[2:]
	case a.Recompute != RecomputeAuto:
		policy, err := nn.ParseRecompute(a.Recompute)
		if err != nil {
			return nil, err
		}
		policies = []nn.Recompute{policy}
	}
	state, err := a.optimizer()
	if err != nil {
		return nil, err
	}
	whole := shapes(0)
	offload, embedding := a.offload(profile.Info()), a.embedding(profile.Info())
	first := Fitting{Recompute: policies[0], Offload: offload == OffloadTrue, Embedding: embedding == OffloadTrue}
	unlimited, err := layOutWith(model, a, first, state, whole, profile)
	if err != nil || limit.device <= 0 {
		return unlimited, err
	}
	if embedding == OffloadAuto && unlimited.Model.EmbeddingStays() != "" {
		embedding = OffloadFalse
	}
	var parts []int
	if a.divides() && unlimited.Model.Divisible() {
		parts = partsOf(whole.Train)
	}
	var least *layout
	var tried []Fitting
	for _, f := range withoutRepeats(slices.Concat(earlier.again(fittings(policies, nil, offload, embedding), parts), fittings(policies, parts, offload, embedding))) {
		l := unlimited
		if f != first {
			of := whole
			if f.Part > 0 {
				of = shapes(f.Part)
			}
			if l, err = layOutWith(model, a, f, state, of, profile); err != nil {
				return nil, err
			}
		}
		l.tried = tried
		if limit.hold(l.Memory.Plan()) {
			return l.whole(f, limit, func(f Fitting) (*layout, error) {
				if f.Part > 0 {
					return layOutWith(model, a, f, state, shapes(f.Part), profile)
				}
				return layOutWith(model, a, f, state, whole, profile)
			})
		}
		f.Bytes = l.bytes()
		if tried = append(tried, f); least == nil || f.Bytes <= least.bytes() {
			least = l
		}
	}
	least.tried = slices.DeleteFunc(tried, func(f Fitting) bool { f.Bytes = 0; return f == least.fitting() })
	return least, nil
}

// whole returns the layout of fitting f with room for copies of whole weights, if a GPU multiplies weights in 4 bits
// and there is memory left, else l. Whole copies take fewer launches, but no recomputing and no smaller part.
func (l *layout) whole(f Fitting, limit limits, layOut func(Fitting) (*layout, error)) (*layout, error) {
	if !l.Model.Info().Apart || l.Memory.Plan()[bindings.Weights4Bit] == 0 {
		return l, nil
	}
	f.Whole = true
	roomy, err := layOut(f)
	if err != nil {
		return nil, err
	}
	if roomy.tried = l.tried; limit.hold(roomy.Memory.Plan()) {
		return roomy, nil
	}
	f.Bytes = roomy.bytes()
	l.tried = append(l.tried, f)
	return l, nil
}

// withoutRepeats drops what is in the list before.
func withoutRepeats(all []Fitting) []Fitting {
	var once []Fitting
	for _, f := range all {
		if !slices.Contains(once, f) {
			once = append(once, f)
		}
	}
	return once
}

// noteParts notes that micro-batches are divided, and that a resumed run's are not as they were.
func (t *Trainer) noteParts() {
	part := t.layout.part
	if part > 0 {
		t.Note(fmt.Sprintf("`auto_split`: micro-batches run in parts of up to %d tokens, whose gradients are added, because whole ones do not fit", part))
	}
	if earlier := t.resume.fitting(); earlier != nil && earlier.Part != part {
		t.Note(fmt.Sprintf("the run before had parts of %d tokens (0: whole micro-batches): its sums of gradients may round otherwise", earlier.Part))
	}
}

// noteOffload notes what is in the host's memory, or that there is no other.
func (t *Trainer) noteOffload() {
	plan := t.Plan()
	for _, o := range []struct {
		option, value, what string
		is                  bool
		category            bindings.Category
	}{
		{"offload_activations", t.Args.OffloadActivations, "what backward reads of the layers", plan.Offload, bindings.HostActivations},
		{"embedding_on_host", t.Args.EmbeddingOnHost, "the embedding", plan.Embedding, bindings.HostEmbedding},
	} {
		switch {
		case o.is && o.value == OffloadAuto:
			t.Note(fmt.Sprintf("`%s`: %s is kept in %s of the host's memory, because it does not fit", o.option, o.what, Bytes(plan.Bytes[o.category])))
		case !o.is && o.value == OffloadTrue:
			t.Note(fmt.Sprintf("`%s` has no effect: %s computes in the host's memory", o.option, plan.Device.Name))
		}
	}
}

// fitting returns what of a checkpoint's fitting changes sums; nil without a checkpoint.
func (p *progress) fitting() *Fitting {
	if p == nil {
		return nil
	}
	return &Fitting{Part: p.Part}
}

// again returns ways of whole micro-batches with the parts of f, of a run to resume; none if f is nil
// or the settings have no parts.
func (f *Fitting) again(whole []Fitting, parts []int) []Fitting {
	if f == nil || f.Part > 0 && parts == nil {
		return nil
	}
	all := slices.Clone(whole)
	for i := range all {
		all[i].Part = f.Part
	}
	return all
}
