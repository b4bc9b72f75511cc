package report

import (
	"image/color"
	"maps"
	"slices"
	"strings"

	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	"gonum.org/v1/plot/vg/draw"

	"qlora/internal/figure"
	"qlora/trainer"
)

// rewardsFile is the plot of a run's rewards.
const rewardsFile = "rewards.png"

// sources are the papers of the objectives, for the model card.
var sources = map[string]string{
	"dpo":   "DPO: [Direct Preference Optimization: Your Language Model is Secretly a Reward Model](https://arxiv.org/abs/2305.18290)",
	"kto":   "KTO: [Model Alignment as Prospect Theoretic Optimization](https://arxiv.org/abs/2402.01306)",
	"orpo":  "ORPO: [Monolithic Preference Optimization without Reference Model](https://arxiv.org/abs/2403.07691)",
	"cpo":   "CPO: [Contrastive Preference Optimization](https://arxiv.org/abs/2401.08417)",
	"grpo":  "GRPO: [DeepSeekMath: Pushing the Limits of Mathematical Reasoning in Open Language Models](https://arxiv.org/abs/2402.03300)",
	"simpo": "SimPO: [Simple Preference Optimization with a Reference-Free Reward](https://arxiv.org/abs/2405.14734)",
}

// A rewardLine is a line of rewards.png.
type rewardLine struct {
	name, key string
	color     color.NRGBA
}

// rewardLines are those that a history can have: of chosen and rejected completions and their
// margins, or of sampled completions, in all and, if there are several, by reward.
func rewardLines(history []trainer.Record) []rewardLine {
	green := color.NRGBA{R: 44, G: 160, B: 44, A: 255}
	lines := []rewardLine{
		{"chosen", "rewards/chosen", green},
		{"rejected", "rewards/rejected", evaluationColor},
		{"margin", "rewards/margins", trainingColor},
		{"reward", "reward", trainingColor},
	}
	names := map[string]bool{}
	for _, r := range history {
		for key := range r.Compared {
			name, single := strings.CutPrefix(key, "rewards/")
			if name, mean := strings.CutSuffix(name, "/mean"); single && mean {
				names[name] = true
			}
		}
	}
	if len(names) < 2 {
		return lines
	}
	others := []color.NRGBA{green, evaluationColor, {R: 148, G: 103, B: 189, A: 255}, {R: 140, G: 86, B: 75, A: 255}, {R: 127, G: 127, B: 127, A: 255}}
	for i, name := range slices.Sorted(maps.Keys(names)) {
		lines = append(lines, rewardLine{name, "rewards/" + name + "/mean", others[i%len(others)]})
	}
	return lines
}

// drawRewards draws the rewards of training as lines, and those of evaluations as points. It
// draws nothing of rows without rewards.
func drawRewards(path string, history []trainer.Record) error {
	p := figure.New("Rewards", "optimizer step", "mean reward")
	drawn := false
	for _, l := range rewardLines(history) {
		var training, evaluated plotter.XYs
		for _, r := range history {
			if v, ok := r.Compared[l.key]; ok {
				training = append(training, plotter.XY{X: float64(r.Step), Y: float64(v)})
			}
			if v, ok := r.Compared["eval_"+l.key]; ok {
				evaluated = append(evaluated, plotter.XY{X: float64(r.Step), Y: float64(v)})
			}
		}
		if len(training) > 0 {
			line, points, err := plotter.NewLinePoints(thin(training))
			if err != nil {
				return err
			}
			line.Width, line.Color = 1.5, l.color
			points.GlyphStyle = draw.GlyphStyle{Color: l.color, Radius: 2, Shape: draw.CircleGlyph{}}
			p.Add(line)
			if len(training) <= fewPoints {
				p.Add(points)
			}
			p.Legend.Add(l.name, line)
			drawn = true
		}
		if len(evaluated) > 0 {
			points, err := plotter.NewScatter(evaluated)
			if err != nil {
				return err
			}
			points.GlyphStyle = draw.GlyphStyle{Color: l.color, Radius: 4, Shape: draw.RingGlyph{}}
			p.Add(points)
			p.Legend.Add(l.name+", evaluation", points)
			drawn = true
		}
	}
	if !drawn {
		return nil
	}
	if p.X.Max-p.X.Min < 1 { // a single point
		p.X.Min, p.X.Max = p.X.Min-1, p.X.Max+1
	}
	if air := (p.Y.Max - p.Y.Min) * 0.06; air > 0 {
		p.Y.Min, p.Y.Max = p.Y.Min-air, p.Y.Max+air
	} else {
		p.Y.Min, p.Y.Max = p.Y.Min-1e-3, p.Y.Max+1e-3
	}
	p.Legend.Top, p.Legend.Left = true, true
	p.X.Tick.Marker, p.Y.Tick.Marker = ticks{least: 1}, ticks{}
	return figure.Write(path, p, 9*vg.Inch, 5*vg.Inch)
}
