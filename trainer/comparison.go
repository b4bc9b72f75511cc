package trainer

import (
	"qlora/bindings"
	"qlora/nn"
	"qlora/trainer/dataset"
)

// A comparer makes comparisons of records. The zero value has pairs and sums.
type comparer struct {
	rule      bindings.PreferenceRule
	mean      bool     // log-probabilities are means of a token's
	fit       float64  // factor of the chosen tokens' mean loss in the loss
	fitPrompt bool     // these are those of the prompt, too
	logsFit   bool     // rows have the mean loss
	discount  *float64 // of the tokens of the longer completion of a pair beyond the shorter one; nil: none
	judged    bool
	others    bool // records have a second document, with another prompt's completion
}

// comparer returns the comparer of the settings; nil for SFT.
func (a *Args) comparer() *comparer {
	o := a.objective()
	if !o.compares() {
		return nil // predicted or sampled
	}
	c := o.terms(&a.PreferenceArgs)
	c.rule.Beta = float32(a.Beta)
	return &c
}

// comparing returns what a model must plan for; nil for SFT.
func (c *comparer) comparing() *nn.Comparing {
	if c == nil {
		return nil
	}
	return &nn.Comparing{Rule: c.rule, Fit: c.fit != 0, Others: c.others, Judged: c.judged}
}

// comparison makes a micro-batch of records: pairs, as the chosen and the rejected
// sequence of each, or judged completions.
func (c *comparer) comparison(examples []dataset.Example, indices []int) *nn.Comparison {
	k := new(nn.Comparison)
	var ids, labels, otherIDs, otherLabels [][]int32
	for _, index := range indices {
		first := true
		for d := range examples[index].Documents() {
			if c.judged && !first {
				otherIDs, otherLabels = append(otherIDs, d.IDs), append(otherLabels, d.Labels)
				continue
			}
			first = false
			ids, labels = append(ids, d.IDs), append(labels, d.Labels)
			length := 1
			if !c.mean {
				length = completionTokens(d.Labels)
			}
			k.Lengths = append(k.Lengths, float32(length))
		}
		if c.judged {
			k.Desirable = append(k.Desirable, desirable(examples[index]))
		}
	}
	for s := range labels {
		most := len(ids[s])
		if c.discount != nil {
			most = int(min(k.Lengths[s], k.Lengths[s^1]))
		}
		k.Share = append(k.Share, c.shares(labels[s], most)...)
	}
	if c.fit != 0 {
		c.addFit(k, ids, labels)
	}
	if c.others {
		k.Others = nn.NewBatch(otherIDs, otherLabels)
		for _, l := range otherLabels {
			k.OtherShare = append(k.OtherShare, c.shares(l, len(l))...)
		}
	}
	k.Batch = nn.NewBatch(ids, labels)
	return k
}

// shares returns the shares of a sequence's tokens in its log-probability. Those of the
// completion beyond its first most tokens are discounted.
func (c *comparer) shares(labels []int32, most int) []float32 {
	share, each := make([]float32, len(labels)), float32(1)
	if c.mean {
		each = 1 / float32(max(1, scored(labels)))
	}
	at := 0
	for t, l := range labels {
		if l == dataset.Ignored {
			continue
		}
		share[t] = each
		if at++; at > most {
			share[t] *= float32(*c.discount)
		}
	}
	return share
}

// addFit adds the factors of the chosen tokens' losses. With the prompt in the fit, its
// tokens become labels.
func (c *comparer) addFit(k *nn.Comparison, ids, labels [][]int32) {
	tokens := 0
	for s := 0; s < len(labels); s += 2 {
		if c.fitPrompt {
			labels[s] = ids[s]
		}
		tokens += scored(labels[s])
	}
	each := float32(c.fit / float64(max(1, tokens)))
	for s, l := range labels {
		for _, label := range l {
			fit := float32(0)
			if s%2 == 0 && label != dataset.Ignored {
				fit = each
			}
			k.Fit = append(k.Fit, fit)
		}
	}
}

// completionTokens returns the number of tokens with a label.
func completionTokens(labels []int32) int {
	n := 0
	for _, l := range labels {
		if l != dataset.Ignored {
			n++
		}
	}
	return n
}

// scored returns the number of tokens with a label that are predicted: the first of a
// sequence is not.
func scored(labels []int32) int { return completionTokens(labels[min(1, len(labels)):]) }

func desirable(e dataset.Example) float32 {
	if e.Judgement > 0 {
		return 1
	}
	return 0
}
