package trainer

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"qlora/internal/nearest"
	"qlora/option"
	"qlora/trainer/dataset"
)

// PreferenceArgs are the objective and its settings, named as in TRL's DPOConfig, KTOConfig
// and CPOConfig.
type PreferenceArgs struct {
	Objective         string   `option:"objective" values:"sft,dpo,kto,orpo,cpo,simpo,grpo" help:"what to minimize: sft (predict the completions), or with preference pairs dpo, orpo, cpo or simpo, or with judged completions kto, or with prompts, whose completions are sampled and rewarded, grpo"`
	LossType          []string `option:"loss_type" help:"loss of the objective; dpo: sigmoid, hinge, ipo, exo_pair, nca_pair, robust, bco_pair, sppo_hard, aot, aot_unpaired, apo_zero, apo_down, discopop, sigmoid_norm or sft, or several; kto: kto or apo_zero_unpaired; cpo: sigmoid, hinge, ipo or simpo; grpo: dapo, grpo, bnpo, dr_grpo, cispo, sapo, luspo or vespo; default: the first"`
	LossWeights       []string `option:"loss_weights" help:"weights of the losses of loss_type, like 1,0.2; default: 1 each"`
	Beta              float64  `option:"beta" help:"how much a preference weighs against staying near the reference; orpo: the weight of the odds ratio; grpo: the weight of the divergence from the reference, 0 unless given"`
	Smoothing         float64  `option:"label_smoothing" help:"share of the preferences that are taken to be the wrong way round: for dpo's robust, exo_pair, aot and aot_unpaired and cpo's sigmoid and simpo"`
	DiscoPOPTau       float64  `option:"discopop_tau" help:"temperature of the loss discopop"`
	LDAlpha           *float64 `option:"ld_alpha" help:"dpo: weight of the tokens of the longer completion of a pair beyond the length of the shorter one; default: 1"`
	CPOAlpha          float64  `option:"cpo_alpha" help:"cpo: weight of the chosen completions' own loss"`
	SimPOGamma        float64  `option:"simpo_gamma" help:"simpo: margin between the rewards"`
	AlphaPO           float64  `option:"alpha" help:"cpo and simpo: AlphaPO's alpha, the shape of the reward; 0: log-probabilities as they are"`
	DesirableWeight   float64  `option:"desirable_weight" help:"kto: weight of desirable completions"`
	UndesirableWeight float64  `option:"undesirable_weight" help:"kto: weight of undesirable completions"`
	Precompute        bool     `option:"precompute_ref_log_probs" help:"dpo and kto: compute the reference's log-probabilities once, before training, and keep them in output_dir; with method full and whatever else cannot be taken off the base it is needed"`
	SharePrompts      string   `option:"share_prompts" values:"auto,true,false" help:"with preferences and grpo: compute once what sequences of a micro-batch begin with: true, false, or auto (unless dropout or noise is drawn, which would be the same for them)"`
	DisableDropout    bool     `option:"disable_dropout" help:"with preferences and grpo: train without dropout, whatever lora_dropout says"`
}

// defaultPreferenceArgs returns TRL's defaults.
func defaultPreferenceArgs() PreferenceArgs {
	return PreferenceArgs{
		Objective: objectiveSFT.name, Beta: 0.1, DiscoPOPTau: 0.05, CPOAlpha: 1, SimPOGamma: 0.5,
		DesirableWeight: 1, UndesirableWeight: 1, SharePrompts: shareAuto, DisableDropout: true,
	}
}

// Compares reports whether the objective compares or judges completions, and does not
// predict tokens.
func (a *PreferenceArgs) Compares() bool {
	o := objectiveOf(a.Objective)
	return o != nil && o.compares()
}

// Samples reports whether the objective samples completions.
func (a *PreferenceArgs) Samples() bool {
	o := objectiveOf(a.Objective)
	return o != nil && o.samples
}

// Losses returns the losses of an objective other than sft as loss_type names them.
func (a *PreferenceArgs) Losses() []string { return a.losses() }

// losses returns the names of the losses.
func (a *PreferenceArgs) losses() []string {
	if len(a.LossType) == 0 {
		if o := objectiveOf(a.Objective); o != nil && o.losses != nil {
			return o.losses[:1]
		}
	}
	return a.LossType
}

// lossWeights returns the weight of each loss.
func (a *PreferenceArgs) lossWeights() ([]float64, error) {
	losses := a.losses()
	weights := slices.Repeat([]float64{1}, len(losses))
	if len(a.LossWeights) == 0 {
		return weights, nil
	}
	given := strings.Join(a.LossWeights, ",")
	if len(a.LossWeights) != len(losses) {
		return nil, option.Errorf("loss_weights", given, "there must be as many as losses: `loss_type` is %s", strings.Join(losses, ","))
	}
	for i, text := range a.LossWeights {
		w, err := strconv.ParseFloat(text, 64)
		if err != nil || !finite(w) {
			return nil, option.Errorf("loss_weights", given, "%q is not a number", text)
		}
		weights[i] = w
	}
	return weights, nil
}

// withoutDropout reports whether the run trains without dropout.
func (a *Args) withoutDropout() bool { return a.objective().losses != nil && a.DisableDropout }

// The values of share_prompts.
const (
	shareAuto  = "auto"
	shareTrue  = "true"
	shareFalse = "false"
)

// sharesPrompts reports whether what sequences of a micro-batch begin with is computed once.
func (a *Args) sharesPrompts() bool {
	return a.SharePrompts == shareTrue || a.SharePrompts == shareAuto && a.withoutDropout()
}

// An effect is a setting that acts only with some objectives or losses.
type effect struct {
	name      string
	value     any
	given     bool
	objective []string // with which it acts
	losses    []string // of them; nil: all
}

// effects are the settings that differ from their default.
func (a *PreferenceArgs) effects() []effect {
	d := defaultPreferenceArgs()
	compared := []string{"dpo", "kto", "orpo", "cpo", "simpo"}
	rewarded := append(slices.Clone(compared), objectiveGRPO.name)
	ldAlpha := 1.0
	if a.LDAlpha != nil {
		ldAlpha = *a.LDAlpha
	}
	return []effect{
		{"loss_type", strings.Join(a.LossType, ","), len(a.LossType) > 0 && !a.predicts(), rewarded, nil},
		{"loss_weights", strings.Join(a.LossWeights, ","), len(a.LossWeights) > 0, []string{"dpo"}, nil},
		{"beta", a.Beta, a.Beta != d.Beta, rewarded, nil},
		{"label_smoothing", a.Smoothing, a.Smoothing != d.Smoothing, []string{"dpo", "cpo", "simpo"}, []string{"robust", "exo_pair", "aot", "aot_unpaired", "cpo sigmoid", "simpo"}},
		{"discopop_tau", a.DiscoPOPTau, a.DiscoPOPTau != d.DiscoPOPTau, []string{"dpo"}, []string{"discopop"}},
		{"ld_alpha", ldAlpha, a.LDAlpha != nil, []string{"dpo"}, nil},
		{"cpo_alpha", a.CPOAlpha, a.CPOAlpha != d.CPOAlpha, []string{"cpo"}, nil},
		{"simpo_gamma", a.SimPOGamma, a.SimPOGamma != d.SimPOGamma, []string{"cpo", "simpo"}, []string{"simpo"}},
		{"alpha", a.AlphaPO, a.AlphaPO != 0, []string{"cpo", "simpo"}, nil},
		{"desirable_weight", a.DesirableWeight, a.DesirableWeight != d.DesirableWeight, []string{"kto"}, nil},
		{"undesirable_weight", a.UndesirableWeight, a.UndesirableWeight != d.UndesirableWeight, []string{"kto"}, nil},
		{"precompute_ref_log_probs", a.Precompute, a.Precompute, []string{"dpo", "kto"}, nil},
		{"share_prompts", a.SharePrompts, a.SharePrompts != d.SharePrompts, rewarded, nil},
		{"disable_dropout", a.DisableDropout, !a.DisableDropout, rewarded, nil},
	}
}

// predicts reports whether loss_type is TRL's name of the loss of sft.
func (a *PreferenceArgs) predicts() bool {
	return a.Objective == objectiveSFT.name && len(a.LossType) == 1 && (a.LossType[0] == "nll" || a.LossType[0] == "chunked_nll")
}

// acts reports whether the effect has one in the settings.
func (e *effect) acts(a *PreferenceArgs) bool {
	if !slices.Contains(e.objective, a.Objective) {
		return false
	}
	return e.losses == nil || slices.ContainsFunc(a.losses(), func(loss string) bool {
		return slices.Contains(e.losses, loss) || slices.Contains(e.losses, a.Objective+" "+loss)
	})
}

// ValidateObjective returns an error for settings of the objective that contradict each other.
func (a *Args) ValidateObjective() error {
	var wrong []error
	a.checkObjective(func(name string, value any, format string, args ...any) {
		wrong = append(wrong, option.Errorf(name, value, format, args...))
	})
	return errors.Join(wrong...)
}

// checkObjective refuses settings of the objective.
func (a *Args) checkObjective(refuse func(name string, value any, format string, args ...any)) {
	o := a.objective()
	if o == nil {
		var names []string
		for _, o := range objectives {
			names = append(names, o.name)
		}
		refuse("objective", a.Objective, "it can be %s", either(names))
		return
	}
	losses := a.losses()
	for i, loss := range a.LossType {
		switch {
		case o.losses != nil && !slices.Contains(o.losses, loss):
			if meant := nearest.Name(loss, o.losses); meant != "" {
				refuse("loss_type", loss, "`objective` %s has no such loss; did you mean %s?", o.name, meant)
			} else {
				refuse("loss_type", loss, "with `objective` %s it can be %s", o.name, either(o.losses))
			}
			return
		case slices.Contains(a.LossType[:i], loss):
			refuse("loss_type", strings.Join(losses, ","), "it names %s twice", loss)
		}
	}
	if len(losses) > 1 && o != &objectiveDPO && o.losses != nil {
		refuse("loss_type", strings.Join(losses, ","), "`objective` %s has one loss at a time", o.name)
		return
	}
	for _, e := range append(a.PreferenceArgs.effects(), a.GRPOArgs.effects()...) {
		if e.given && !e.acts(&a.PreferenceArgs) {
			refuse(e.name, e.value, "it has no effect with `objective` %s%s", o.name, ofLosses(o, losses))
		}
	}
	if kinds := []string{shareAuto, shareTrue, shareFalse}; !slices.Contains(kinds, a.SharePrompts) {
		refuse("share_prompts", a.SharePrompts, "it can be %s", either(kinds))
	}
	if o.losses == nil {
		return
	}
	if a.Beta == 0 && !o.samples {
		refuse("beta", a.Beta, "it must be above 0")
	}
	if _, err := a.lossWeights(); err != nil {
		refuse("loss_weights", strings.Join(a.LossWeights, ","), "%v", err)
	}
	has := func(loss string) bool { return slices.Contains(losses, loss) }
	switch {
	case has("exo_pair") && a.Smoothing <= 0:
		refuse("loss_type", "exo_pair", "it needs `label_smoothing` above 0, such as 1e-3")
	case has("robust") && a.Smoothing >= 0.5:
		refuse("label_smoothing", a.Smoothing, "the loss robust needs less than 0.5")
	}
	switch {
	case a.NoiseAlpha != 0 && a.HasReference():
		refuse("neftune_noise_alpha", a.NoiseAlpha, "the reference of `objective` %s has no noise: leave it out", o.name)
	case a.NoiseAlpha != 0 && a.DisableDropout:
		refuse("neftune_noise_alpha", a.NoiseAlpha, "`disable_dropout` turns it off, too: set that to false, or leave it out")
	}
	if a.LabelSmoothing != 0 {
		refuse("label_smoothing_factor", a.LabelSmoothing, "it is of predicted tokens; `objective` %s has `label_smoothing`", o.name)
	}
	if o.check != nil {
		o.check(a, refuse)
	}
}

// checkReference returns an error if what is trained cannot be taken off the base to give the
// reference model, and its log-probabilities are not computed before.
func (a *Args) checkReference(m *Base) error {
	if !a.HasReference() || a.Precompute {
		return nil
	}
	o, way := a.objective(), "add `precompute_ref_log_probs`"
	if o.samples {
		way = "use `beta` 0, which needs no reference"
	}
	refuse := func(name string, value any, what string) error {
		return option.Errorf(name, value, "the reference of `objective` %s is the model as the run begins, and %s: %s", o.name, what, way)
	}
	c := m.Lora
	switch {
	case c == nil:
		return refuse("method", "full", "training all weights leaves none")
	case m.Adapter != "" && c.Init.ChangesBase():
		return refuse("init_lora_weights", c.Init, "the start of this adapter has changed the base")
	case len(c.ModulesToSave) > 0:
		return refuse("modules_to_save", strings.Join(c.ModulesToSave, ","), "modules that are trained whole cannot be taken off")
	case !c.Tokens.Empty():
		return refuse("trainable_token_indices", c.Tokens, "trained rows cannot be taken off")
	case c.Bias != "":
		return refuse("bias", c.Bias, "trained biases cannot be taken off")
	}
	return nil
}

// Compare returns how records are read for the objective: dataset.Options.Compare and
// Block.
func (a *Args) Compare() (compare string, block int) {
	switch o := a.objective(); {
	case o != nil && o.samples:
		return dataset.ComparePrompt, 0
	case o == nil || !o.compares():
		return "", 0
	case !o.judged:
		return dataset.ComparePairs, 0
	case a.losses()[0] == "kto":
		return dataset.CompareJudged, a.BatchSize
	}
	return dataset.CompareJudged, 0
}

// ofLosses names losses that a user chose, for messages.
func ofLosses(o *objective, losses []string) string {
	if len(o.losses) < 2 {
		return ""
	}
	return fmt.Sprintf(" and `loss_type` %s", strings.Join(losses, ","))
}
