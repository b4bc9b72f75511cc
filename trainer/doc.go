// Package trainer fine-tunes a model. It means by its options what Hugging
// Face's Trainer (transformers 5) means by the same names, from the order of the
// records to the learning rate that a log row shows.
//
// A run is planned to the byte before anything is loaded ([PlanRun]), takes its
// memory once, and holds no hidden state: the order of the records is a function
// of the seed and the epoch, dropout of the seed and the micro-batch. A run that
// was killed and resumed therefore ends with the same bits as one that was not.
//
// The Example is a whole program: it describes a [Base], reads a dataset, tunes by
// [Tune] and asks the result by [Base.Chat]. [New] and [Trainer.Train] are the two steps
// of Tune. What shows a run is package report's.
package trainer
