package report

import (
	"image/color"

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
	"simpo": "SimPO: [Simple Preference Optimization with a Reference-Free Reward](https://arxiv.org/abs/2405.14734)",
}

// drawRewards draws the rewards of chosen and rejected completions and their margins, and
// those of evaluations as points. It draws nothing of rows without rewards.
func drawRewards(path string, history []trainer.Record) error {
	p := figure.New("Rewards", "optimizer step", "mean reward")
	drawn := false
	for _, l := range []struct {
		name, key string
		color     color.NRGBA
	}{
		{"chosen", "rewards/chosen", color.NRGBA{R: 44, G: 160, B: 44, A: 255}},
		{"rejected", "rewards/rejected", evaluationColor},
		{"margin", "rewards/margins", trainingColor},
	} {
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
