// Package dataset turns files of records into what a trainer reads: token ids
// and labels, in the order of the files.
//
// A file is read by what its name ends in (.jsonl, .csv, .parquet, …), its records
// by their format: which fields they have and what the fields mean. Both are
// tables (fileTypes, formats), and a new entry is a file of its own.
//
// Each record becomes one document, a long text several. Then datasets are mixed
// by their weights, and documents packed into sequences, where that is asked for.
//
// What the ids and labels are is trl's SFTTrainer's definition, with three
// differences: a long text is cut into pieces and not cut off, tokenizer.json
// alone says what a tokenizer is, and of conversations the assistant's turns
// are trained on, whether or not the chat template marks them.
package dataset
