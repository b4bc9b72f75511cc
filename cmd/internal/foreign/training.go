package foreign

import (
	"fmt"
	"os"

	"qlora/cmd/internal/options"
	"qlora/internal/launch"
)

// Reasons that several rows share.
const (
	noWorkers    = "records are tokenized once, by all processors, and kept in memory"
	oneProcess   = "`device` cuda:0,1 and `ranks` say which devices share a run"
	oneDevice    = "a layer is computed by one device; leave it out, and see with `qlora plan` what fits, with `fsdp` full_shard too"
	wholeLayers  = "what `fsdp` gathers at once is a decoder layer"
	compiled     = "the kernels are compiled and fused already"
	pushedOnce   = "`push_to_hub` pushes once, at the end of the run"
	noTracker    = "no tracking service is told of the run"
	noPadding    = "micro-batches have no padding"
	lossOnly     = "an evaluation computes loss and token accuracy, and keeps no predictions"
	runsLog      = "errors and notes are always printed; redirect standard error to hide the rest"
	sameForward  = "an evaluation computes as training does, in `bnb_4bit_compute_dtype`"
	keptInMemory = "memory is planned to the byte before the first step; `recompute` saves more of it"
	exactResume  = "a resumed run restores all of its state, and goes on with the records that it has not seen"
	noFloat16    = "float16 has too small a range for training; use `bf16`"
	fewModels    = "only causal language models are trained"
)

// trainingArguments are the fields of transformers 5's TrainingArguments that are not
// options.
var trainingArguments = []options.Setting{
	{
		Name: "bf16", Bool: true, Quiet: []string{"auto"}, Means: "true computes in bfloat16, false in float32", Sets: precision,
		Help: "true: compute in bfloat16; false: in float32; the same as --bnb_4bit_compute_dtype",
	},
	{
		Name: "fp16", Bool: true, Quiet: []string{"false", "auto"}, Refuse: noFloat16,
		Help: "must be false: computing in float16 is not supported; use --bf16",
	},
	setsFlag("use_cpu", "computes on the CPU", "device=cpu", ""),

	refused("optim_target_modules", "GaLore and APOLLO are not supported; `target_modules` names the layers that get adapters"),
	ignoredFlag("bf16_full_eval", sameForward, "false"),
	ignoredFlag("fp16_full_eval", sameForward, "false"),
	ignoredFlag("tf32", "products are computed in `bnb_4bit_compute_dtype`, float32 without rounding to TF32"),
	ignored("activation_checkpointing_kwargs", "`recompute` says what is recomputed, and the numbers are the same"),
	ignored("gradient_checkpointing_kwargs", "`recompute` says what is recomputed, and the numbers are the same"),
	ignoredFlag("torch_compile", compiled, "false"),
	ignored("torch_compile_backend", compiled),
	ignored("torch_compile_mode", compiled),
	ignoredFlag("use_liger_kernel", compiled, "false"),
	ignored("liger_kernel_config", compiled),
	ignoredFlag("use_cache", "training keeps no keys and values", "false"),
	ignored("torch_empty_cache_steps", keptInMemory),
	ignoredFlag("auto_find_batch_size", "memory is planned before the first step, and `auto_split` divides a micro-batch that does not fit", "false"),

	ignoredFlag("log_on_each_node", oneProcess, "true"),
	ignoredFlag("logging_nan_inf_filter", "training stops at a loss that is not finite", "true"),
	ignored("include_num_input_tokens_seen", "metrics.jsonl has the tokens per second of each row", "no", "false"),
	ignored("log_level", runsLog, "passive"),
	ignored("log_level_replica", oneProcess, "warning"),
	ignoredFlag("disable_tqdm", "the progress bar is drawn on terminals only, and elsewhere a line for each logged step", "false"),
	ignored("project", noTracker, "huggingface"),
	refused("trackio_space_id", noTracker),
	refused("trackio_bucket_id", noTracker),
	refused("trackio_static_space_id", noTracker, "false"),

	ignoredFlag("prediction_loss_only", lossOnly, "false", "true"),
	refusedFlag("eval_on_start", "`qlora eval` measures the model before training"),
	ignoredFlag("eval_do_concat_batches", lossOnly, "true"),
	ignoredFlag("eval_use_gather_object", oneProcess, "false"),
	ignored("eval_accumulation_steps", lossOnly),
	ignored("include_for_metrics", lossOnly),
	ignoredFlag("batch_eval_metrics", lossOnly, "false"),

	ignoredFlag("save_on_each_node", oneProcess, "false"),
	ignoredFlag("enable_jit_checkpoint", "a run always saves a checkpoint when it gets SIGTERM", "false", "true"),

	ignored("hub_strategy", pushedOnce, "every_save", "end"),
	ignoredFlag("hub_always_push", pushedOnce, "false"),

	refusedFlag("ignore_data_skip", exactResume),
	ignoredFlag("restore_callback_states_from_checkpoint", exactResume, "false", "true"),
	ignoredFlag("full_determinism", "the same seed gives the same bits anyway", "false", "true"),
	ignored("accelerator_config", oneProcess),
	refused("parallelism_config", oneDevice),

	ignored("dataloader_num_workers", noWorkers, "0"),
	ignoredFlag("dataloader_pin_memory", noWorkers, "true"),
	ignoredFlag("dataloader_persistent_workers", noWorkers, "false"),
	ignored("dataloader_prefetch_factor", noWorkers),
	ignored("dataloader_multiprocessing_context", noWorkers),
	ignoredFlag("dataloader_in_order", noWorkers, "true"),
	ignoredFlag("remove_unused_columns", "only the columns of the format are read", "true"),
	refused("label_names", "the labels are the column labels; name another with `columns` labels=NAME", "labels"),
	ignored("length_column_name", "lengths are those of the tokens", "length"),

	ignoredFlag("ddp_find_unused_parameters", oneProcess),
	ignored("ddp_bucket_cap_mb", oneProcess),
	ignoredFlag("ddp_broadcast_buffers", oneProcess),
	ignoredFlag("ddp_static_graph", oneProcess),
	sets("ddp_backend", "which engine connects the ranks of a launcher, as `distributed` says it: nccl is nccl, mpi is mpi, and gloo, PyTorch's for CPUs, is mpi; no effect without a launcher", backend),
	sets("fsdp_config", "its activation_checkpointing is `gradient_checkpointing`; what would move or change weights is refused, and the rest has no effect", fsdpConfig),
	sets("deepspeed", "of its file the stage of ZeRO is `fsdp`: 1 shard_optim, 2 shard_grad_op, 3 full_shard; numbers that are not auto are their options; offloading is refused, and the rest has no effect", deepSpeed),

	ignored("debug", "training stops at a loss that is not finite, and names the step"),
	ignoredFlag("skip_memory_metrics", "every row of metrics.jsonl has the memory", "true"),
	ignoredFlag("do_train", "`qlora train` trains; `qlora eval` only evaluates", "true"),
	ignoredFlag("do_eval", "`eval_dataset` is evaluated, as `eval_strategy` says", "false", "true"),
	refusedFlag("do_predict", "`qlora generate` answers prompts with the trained adapter, and `qlora eval` scores answers"),
	ignored("local_rank", oneProcess, "-1", "0"),
}

// retiredArguments are fields that TrainingArguments had in version 4 or 3.
var retiredArguments = []options.Setting{
	setsFlag("no_cuda", "computes on the CPU", "device=cpu", ""),
	refusedFlag("adafactor", "Adafactor is not supported; `optim` adamw_8bit and lion_8bit have small states"),
	same("per_gpu_train_batch_size", "per_device_train_batch_size"),
	same("per_gpu_eval_batch_size", "per_device_eval_batch_size"),
	refusedFlag("use_mps_device", "the devices are those of `device`"),
	ignored("fp16_opt_level", noFloat16, "O1"),
	ignored("fp16_backend", noFloat16, "auto"),
	ignored("half_precision_backend", "the kernels compute in bfloat16", "auto"),
	ignoredFlag("jit_mode_eval", compiled, "false"),
	ignoredFlag("use_ipex", compiled, "false"),
	ignored("torchdynamo", compiled),
	ignored("past_index", "only the loss is kept of a forward pass", "-1"),
	ignoredFlag("save_safetensors", "every file of weights is in the safetensors format", "true"),
	setsFlag("evaluate_during_training", "evaluates at `eval_steps`", "eval_strategy=steps", ""),
	ignoredFlag("include_inputs_for_metrics", lossOnly, "false"),
	ignoredFlag("include_tokens_per_second", "every row has the tokens per second", "false", "true"),
	ignored("dispatch_batches", oneProcess),
	ignoredFlag("split_batches", oneProcess, "false"),
	ignored("fsdp_min_num_params", wholeLayers, "0"),
	ignored("fsdp_transformer_layer_cls_to_wrap", wholeLayers),
	ignored("sharded_ddp", oneProcess),
	ignored("mp_parameters", oneProcess),
	ignoredFlag("use_legacy_prediction_loop", lossOnly, "false"),
	ignored("tp_size", oneProcess, "0"),
	ignored("ray_scope", "there is no search of hyperparameters", "last"),
	ignored("tpu_num_cores", oneProcess),
	ignoredFlag("tpu_metrics_debug", oneProcess, "false"),
	ignored("xpu_backend", oneProcess),
	ignored("push_to_hub_organization", "`hub_model_id` has the organization in it, as ORG/NAME"),
	refusedFlag("predict_with_generate", "`qlora generate` answers prompts with the trained adapter"),
	ignored("generation_max_length", lossOnly),
	ignored("generation_num_beams", lossOnly),
}

// precision translates bf16.
func precision(value string, _ func(string) string) ([]options.Given, error) {
	if value == "auto" || empty(value) {
		return nil, nil
	}
	on, err := options.Boolean(value)
	if err != nil {
		return nil, err
	}
	if on {
		return pairs("bnb_4bit_compute_dtype=bfloat16"), nil
	}
	return pairs("bnb_4bit_compute_dtype=float32"), nil
}

// backend translates ddp_backend. PyTorch starts no engine for a process alone either.
func backend(value string, _ func(string) string) ([]options.Given, error) {
	engine, known := map[string]launch.Engine{"nccl": launch.NCCL, "mpi": launch.MPI, "gloo": launch.MPI}[value]
	switch {
	case empty(value):
		return nil, nil
	case !known:
		return nil, fmt.Errorf("%q is no engine of this program: it can be nccl, mpi or gloo", value)
	}
	if found, err := launch.Read(os.Getenv); err == nil && found.By == "" {
		return nil, nil
	}
	return pairs("distributed=" + string(engine)), nil
}
