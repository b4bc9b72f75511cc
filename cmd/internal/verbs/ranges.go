package verbs

import "qlora/option"

// Ranges returns the intervals of generate's numeric options.
func (o *generateOptions) Ranges() option.Ranges {
	return option.Ranges{
		"max_new_tokens": option.From(1, 1e6),
		"temperature":    option.From(0, 1e3),
		"top_p":          option.Above(0, 1),
		"top_k":          option.From(0, 1<<24),
	}
}

// Ranges returns the intervals of eval's numeric options.
func (o *evalOptions) Ranges() option.Ranges {
	return option.Ranges{"per_device_eval_batch_size": option.From(1, 1<<20)}
}

// Ranges returns the intervals of preview's numeric options.
func (o *previewOptions) Ranges() option.Ranges {
	return option.Ranges{"limit": option.From(0, 1e9)}
}

// Ranges returns the intervals of the numeric options of watching.
func (o *watchOptions) Ranges() option.Ranges {
	return option.Ranges{"sample_tokens": option.From(1, 1e6)}
}

// Ranges returns the intervals of the numeric options of the data.
func (o *dataOptions) Ranges() option.Ranges {
	return option.Ranges{
		"dataset_weights":   option.Above(0, 1e3),
		"val_size":          option.From(0, 1e9),
		"max_train_samples": option.From(0, 1e9),
		"max_eval_samples":  option.From(0, 1e9),
	}
}
