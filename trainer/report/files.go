package report

import "qlora/trainer"

// Files returns the outputs that write reports into a run's output folder:
// metrics.jsonl, samples.jsonl, loss.png, the model card README.md, and TensorBoard
// events if the settings report to tensorboard. They must come first in
// [trainer.Run].Outputs: a later output may read their files.
func Files(a *trainer.Args) []trainer.Output {
	files := []trainer.Output{newMetrics(), newSamples(), new(lossPlot)}
	if a.ReportsTo(trainer.ReportTensorBoard) {
		files = append(files, &events{dir: a.LoggingDir})
	}
	return append(files, new(modelCard))
}
