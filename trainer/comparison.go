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
	shares    bool // what sequences of a micro-batch begin with is computed once
}

// comparer returns the comparer of the settings; nil for SFT.
func (a *Args) comparer() *comparer {
	o := a.objective()
	if !o.compares() {
		return nil // predicted or sampled
	}
	c := o.terms(&a.PreferenceArgs)
	c.rule.Beta = float32(a.Beta)
	c.shares = a.sharesPrompts()
	return &c
}

// comparing returns what a model must plan for; nil for SFT.
func (c *comparer) comparing() *nn.Comparing {
	if c == nil {
		return nil
	}
	return &nn.Comparing{Rule: c.rule, Fit: c.fit != 0, Others: c.others, Judged: c.judged}
}

// A sequenceList is the tokens and the labels of sequences.
type sequenceList struct{ ids, labels [][]int32 }

func (l *sequenceList) add(d dataset.Example) {
	l.ids, l.labels = append(l.ids, d.IDs), append(l.labels, d.Labels)
}

// sequences returns the sequences of a micro-batch of records, and those of other prompts.
func (c *comparer) sequences(examples []dataset.Example, indices []int) (own, others sequenceList) {
	for _, index := range indices {
		first := true
		for d := range examples[index].Documents() {
			if c.judged && !first {
				others.add(d)
				continue
			}
			first = false
			own.add(d)
		}
	}
	return own, others
}

// batchOf returns sequences as a micro-batch.
func (c *comparer) batchOf(l sequenceList) *nn.Batch {
	b := nn.NewBatch(l.ids, l.labels)
	b.Beginnings = c.beginnings(l)
	return b
}

// beginnings returns what is computed once.
func (c *comparer) beginnings(l sequenceList) []nn.Beginning {
	if !c.shares {
		return nil
	}
	return nn.ShareBeginnings(l.ids, l.labels)
}

// comparison makes a micro-batch of records: pairs, as the chosen and the rejected
// sequence of each, or judged completions.
func (c *comparer) comparison(examples []dataset.Example, indices []int) *nn.Comparison {
	k := new(nn.Comparison)
	own, others := c.sequences(examples, indices)
	for _, l := range own.labels {
		length := 1
		if !c.mean {
			length = completionTokens(l)
		}
		k.Lengths = append(k.Lengths, float32(length))
	}
	if c.judged {
		for _, index := range indices {
			k.Desirable = append(k.Desirable, desirable(examples[index]))
		}
	}
	for s, l := range own.labels {
		most := len(l)
		if c.discount != nil {
			most = int(min(k.Lengths[s], k.Lengths[s^1]))
		}
		k.Share = append(k.Share, c.sharesOf(l, most)...)
	}
	if c.fit != 0 {
		c.addFit(k, own)
	}
	if c.others {
		k.Others = c.batchOf(others)
		for _, l := range others.labels {
			k.OtherShare = append(k.OtherShare, c.sharesOf(l, len(l))...)
		}
	}
	k.Batch = c.batchOf(own)
	return k
}

// sharesOf returns the shares of a sequence's tokens in its log-probability. Those of the
// completion beyond its first most tokens are discounted.
func (c *comparer) sharesOf(labels []int32, most int) []float32 {
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

// labelPrompts makes labels of the prompts of chosen sequences, if they are in the fit.
func (c *comparer) labelPrompts(l sequenceList) {
	for s := 0; c.fitPrompt && s < len(l.labels); s += 2 {
		l.labels[s] = l.ids[s]
	}
}

// addFit adds the factors of the chosen tokens' losses.
func (c *comparer) addFit(k *nn.Comparison, of sequenceList) {
	c.labelPrompts(of)
	tokens := 0
	for s := 0; s < len(of.labels); s += 2 {
		tokens += scored(of.labels[s])
	}
	each := float32(c.fit / float64(max(1, tokens)))
	for s, l := range of.labels {
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
