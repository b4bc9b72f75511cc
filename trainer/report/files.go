package report

import "qlora/trainer"

// Files returns the outputs that write what a run leaves for people in its output
// folder: metrics.jsonl, samples.jsonl, loss.png, the model card README.md, and
// TensorBoard events where the settings report to tensorboard. They come first in
// [trainer.Run].Outputs: a later one may read what they have written.
func Files(a *trainer.Args) []trainer.Output {
	files := []trainer.Output{newMetrics(), newSamples(), new(lossPlot)}
	if a.ReportsTo(trainer.ReportTensorBoard) {
		files = append(files, &events{dir: a.LoggingDir})
	}
	return append(files, new(modelCard))
}
