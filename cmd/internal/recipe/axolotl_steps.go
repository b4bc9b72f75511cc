package recipe

import "qlora/cmd/internal/options"

// nothingToEvaluate reports whether the file has no records for evaluation.
func (r *reader) nothingToEvaluate() bool {
	return r.number("val_set_size", 0) == 0 && !r.has("test_datasets")
}

func (r *reader) epochs() float64 { return r.number("num_epochs", 1) }

// share returns the part of a run between n events in each epoch.
func (r *reader) share(name string) float64 { return 1 / (r.number(name, 0) * r.epochs()) }

func (r *reader) savesByShare() bool {
	return r.has("saves_per_epoch") && r.share("saves_per_epoch") < 1
}

func (r *reader) evaluatesByShare() bool {
	return r.has("evals_per_epoch") && r.share("evals_per_epoch") < 1
}

const noSchedule = "there is no such schedule; `lr_scheduler_type` lists those that there are, such as cosine"

func axolotlSchedule(r *reader, e options.Entry) options.Step {
	switch {
	case e.Text == "one_cycle" || e.Text == "rex":
		return refuse(noSchedule)
	case e.Text == "cosine" && r.number("cosine_min_lr_ratio", 0) > 0:
		return give("lr_scheduler_type=cosine_with_min_lr")
	}
	return give("lr_scheduler_type=" + e.Text)
}

func axolotlScheduleArgs(r *reader, e options.Entry) options.Step {
	if r.has("cosine_min_lr_ratio") {
		return refuse("cosine_min_lr_ratio sets it; keep one")
	}
	return pass()
}

func axolotlMinimum(r *reader, e options.Entry) options.Step {
	switch schedule := r.text("lr_scheduler"); {
	case r.number(e.Name, 0) == 0:
		return note("0 is what cosine ends at")
	case schedule == "" || schedule == "cosine":
		given := []string{`lr_scheduler_kwargs={"min_lr_rate":` + e.Text + "}"}
		if schedule == "" {
			given = append(given, "lr_scheduler_type=cosine_with_min_lr")
		}
		return give(given...)
	}
	return note("only the schedule cosine reads it")
}

func axolotlSaves(r *reader, e options.Entry) options.Step {
	switch {
	case r.positive("save_steps"):
		return note("save_steps decides")
	case r.number(e.Name, 0) == 0:
		return note("save_strategy decides")
	case r.savesByShare():
		return give("save_strategy=steps", "save_steps="+decimal(r.share(e.Name)))
	}
	return note("once in an epoch is at its end, as save_strategy epoch")
}

const noRecords = "there is nothing to evaluate: val_set_size is 0, and there are no test_datasets"

func axolotlEvaluations(r *reader, e options.Entry) options.Step {
	switch {
	case r.nothingToEvaluate():
		return note(noRecords)
	case r.number(e.Name, 0) == 0:
		return note("there is no evaluation in an epoch")
	case r.evaluatesByShare():
		return remarked(give("eval_strategy=steps", "eval_steps="+decimal(r.share(e.Name))), beforeTraining)
	}
	return remarked(give("eval_strategy=epoch"), "once, at the end of the run; Axolotl leaves it out")
}

const beforeTraining = "Axolotl evaluates before training, too; here `qlora eval` does"

func axolotlEvalSteps(r *reader, e options.Entry) options.Step {
	if r.nothingToEvaluate() {
		return note(noRecords)
	}
	if !r.positive(e.Name) {
		return note("0 leaves it to eval_strategy")
	}
	return remarked(give("eval_strategy=steps", "eval_steps="+e.Text), beforeTraining)
}

func axolotlHoldOut(r *reader, e options.Entry) options.Step {
	switch {
	case r.number(e.Name, 0) == 0:
		return options.Step{}
	case r.has("test_datasets"):
		return note("test_datasets are evaluated")
	}
	return give("val_size=" + e.Text)
}
