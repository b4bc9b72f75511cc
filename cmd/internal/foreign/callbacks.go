package foreign

import "qlora/cmd/internal/options"

// callbacks are the arguments of Trainer's callbacks and of its example scripts.
var callbacks = []options.Setting{
	refused("val_size", "name other files with `eval_dataset`", "0"),
	refused("max_train_samples", "`dataset_weights` 0.5 takes half of the records"),
	refused("max_eval_samples", "name a smaller file with `eval_dataset`"),
}
