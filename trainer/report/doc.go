// Package report shows a run to people and writes its reports: the console,
// metrics.jsonl, samples.jsonl, loss.png, TensorBoard events and the model card. Each is
// a [trainer.Output], which a program registers in [trainer.Run]; package trainer knows
// none of them.
package report
