package foreign

import "qlora/cmd/internal/options"

// callbacks are the arguments of Trainer's callbacks and of its example scripts.
var callbacks = []options.Setting{
	refused("early_stopping_patience", "`load_best_model_at_end` keeps the best checkpoint of a run that goes on"),
	refused("early_stopping_threshold", "`load_best_model_at_end` keeps the best checkpoint of a run that goes on", "0"),
	refused("val_size", "name other files with `eval_dataset`", "0"),
	refused("max_train_samples", "`dataset_weights` 0.5 takes half of the records"),
	refused("max_eval_samples", "name a smaller file with `eval_dataset`"),
}
