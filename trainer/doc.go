// Package trainer fine-tunes a model. Its options mean what those of Hugging Face's
// Trainer (transformers 5) mean, from the order of the records to the learning rate of
// a log row.
//
// A run is planned to the byte before anything is loaded ([PlanRun]), allocates its
// memory once, and has no hidden state: the order of the records is a function of the
// seed and the epoch, dropout of the seed and the micro-batch. A run that is killed
// and resumed therefore ends with the same bits as an uninterrupted one.
//
// The Example is a whole program: it describes a [Base], reads a dataset, trains with
// [Tune] and asks the result with [Base.Chat]. [New] and [Trainer.Train] are the two
// steps of Tune. Package report has the outputs that show a run.
package trainer
