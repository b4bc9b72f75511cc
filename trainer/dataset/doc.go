// Package dataset turns files of records into token ids and labels for training, in the
// order of the files.
//
// The extension of a file (.jsonl, .csv, .parquet, …) selects its reader; the fields of
// its records select their format. Both are tables (fileTypes, formats): a new entry is
// one file.
//
// Each record becomes one document; a long text becomes several. Then datasets are mixed
// by their weights, and documents packed into sequences, if requested.
//
// Ids and labels are those of trl's SFTTrainer, with three differences: a long text is
// cut into pieces instead of truncated, the files alone define the tokenizer, and
// conversations train on the assistant's turns whether or not the chat template marks
// them.
package dataset
