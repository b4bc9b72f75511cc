package trainer

import (
	"slices"

	"qlora/bindings/groups"
)

// Args are the settings of a run, named as in Hugging Face's TrainingArguments. Start
// from [DefaultArgs]: 0 is a meaningful value of many of them (no clipping, no decay),
// so Validate refuses the zero Args instead of completing it. The command line reads
// the tags: the option's name, its aliases, its unit and one line of help.
type Args struct {
	OutputDir  string `option:"output_dir" path:"true" help:"folder for the adapter, its checkpoints and the logs"`
	Overwrite  bool   `option:"overwrite_output_dir" help:"start afresh in an output folder that holds a run, after moving the folder aside, to NAME.1"`
	RunName    string `option:"run_name" help:"name of the run, kept in run.yaml and shown on the live page"`
	LoggingDir string `option:"logging_dir" path:"true" help:"folder for TensorBoard events; default: runs in the output folder"`

	Epochs        float64 `option:"num_train_epochs" unit:"epochs" help:"passes over the dataset; may be fractional"`
	MaxSteps      int     `option:"max_steps" unit:"steps" help:"optimizer steps; above 0 it overrides num_train_epochs"`
	BatchSize     int     `option:"per_device_train_batch_size" unit:"sequences" help:"sequences per micro-batch"`
	EvalBatchSize int     `option:"per_device_eval_batch_size" unit:"sequences" help:"sequences per micro-batch of evaluation"`
	Accumulation  int     `option:"gradient_accumulation_steps" unit:"micro-batches" help:"micro-batches per optimizer step"`
	RankArgs
	LearningRate   float64      `option:"learning_rate" help:"peak learning rate"`
	Schedule       string       `option:"lr_scheduler_type" values:"linear,cosine,cosine_with_restarts,cosine_with_min_lr,cosine_warmup_with_min_lr,polynomial,inverse_sqrt,warmup_stable_decay,reduce_lr_on_plateau,constant,constant_with_warmup" help:"linear, cosine, cosine_with_restarts, cosine_with_min_lr, cosine_warmup_with_min_lr, polynomial, inverse_sqrt, warmup_stable_decay, reduce_lr_on_plateau, constant or constant_with_warmup"`
	ScheduleArgs   ScheduleArgs `option:"lr_scheduler_kwargs" help:"settings of the schedule, like {\"num_cycles\": 2}: num_cycles of the cosines; min_lr or min_lr_rate of those with min_lr; warmup_lr_rate of cosine_warmup_with_min_lr; lr_end and power of polynomial; timescale of inverse_sqrt; num_decay_steps, num_stable_steps, warmup_type, decay_type, min_lr_ratio and num_cycles of warmup_stable_decay; factor, patience, threshold, threshold_mode, mode, cooldown, min_lr and eps of reduce_lr_on_plateau"`
	WarmupSteps    float64      `option:"warmup_steps" unit:"steps" help:"steps in which the learning rate rises from 0; below 1: a share of all steps"`
	WarmupRatio    float64      `option:"warmup_ratio" help:"share of all steps in which the learning rate rises from 0; warmup_steps overrides it"`
	WeightDecay    float64      `option:"weight_decay" help:"weight decay of all trained tensors except norms and biases; decoupled, except for sgd"`
	AdamBeta1      float64      `option:"adam_beta1" help:"AdamW's decay of the first moment; Lion's weight of the momentum"`
	AdamBeta2      float64      `option:"adam_beta2" help:"AdamW's decay of the second moment; Lion's decay of the momentum"`
	AdamEpsilon    float64      `option:"adam_epsilon" help:"AdamW's epsilon"`
	MaxGradNorm    float64      `option:"max_grad_norm" help:"clip the norm of all gradients to this; 0: no clipping"`
	Optimizer      string       `option:"optim" values:"adamw_torch,adamw_8bit,lion_32bit,lion_8bit,sgd" help:"adamw_torch, adamw_8bit, lion_32bit, lion_8bit or sgd; also under the names adamw_torch_fused, adamw_hf, adamw_bnb_8bit, lion and paged_*"`
	OptimArgs      string       `option:"optim_args" help:"optimizer settings, like momentum=0.9,nesterov=true: momentum, dampening and nesterov for sgd; min_8bit_size for 8-bit optimizers (smaller tensors keep 32 bits; 4096 elements)"`
	LoraPlusRatio  float64      `option:"loraplus_lr_ratio" help:"LoRA+: ratio of the learning rate of B and of vectors to that of A; 0: off"`
	LoraPlusEmbed  float64      `option:"loraplus_lr_embedding" help:"LoRA+: learning rate of adapters on embeddings; accepted, without effect"`
	NoiseAlpha     float64      `option:"neftune_noise_alpha" help:"NEFTune: add uniform noise in ±alpha/sqrt(longest sequence of the micro-batch · hidden size) to the embeddings in training; 0: off"`
	LabelSmoothing float64      `option:"label_smoothing_factor" help:"share of each label's target that is spread evenly over the vocabulary, also in evaluations; 0: off"`
	PreferenceArgs
	GRPOArgs
	Seed             uint64  `option:"seed" help:"seed of initialization, dropout and the order of the records"`
	DataSeed         *uint64 `option:"data_seed" help:"seed of the order of the records; default: seed"`
	GroupByLength    bool    `option:"group_by_length" help:"batch records of similar length"`
	SamplingStrategy string  `option:"train_sampling_strategy" values:"random,sequential,group_by_length" help:"random, sequential or group_by_length"`

	LoggingStrategy  string  `option:"logging_strategy" values:"steps,epoch,no" help:"when to write a log row: steps, epoch or no (only the last row, of the whole run)"`
	LoggingSteps     float64 `option:"logging_steps" unit:"steps" help:"steps between log rows; below 1: a share of all steps"`
	LoggingFirstStep bool    `option:"logging_first_step" help:"also write a log row after the first step"`
	SaveStrategy     string  `option:"save_strategy" values:"steps,epoch,best,no" help:"when to save a checkpoint: steps, epoch, best (after an evaluation that is the best so far) or no"`
	SaveSteps        float64 `option:"save_steps" unit:"steps" help:"steps between checkpoints; below 1: a share of all steps"`
	SaveTotalLimit   int     `option:"save_total_limit" unit:"checkpoints" help:"checkpoints to keep; the oldest are deleted; 0: all"`
	SaveOnlyModel    bool    `option:"save_only_model" help:"save checkpoints without the optimizer's state; no run can resume from them"`
	EvalStrategy     string  `option:"eval_strategy" alias:"evaluation_strategy" values:"steps,epoch,no" help:"when to evaluate: steps, epoch or no"`
	EvalSteps        float64 `option:"eval_steps" unit:"steps" help:"steps between evaluations; below 1: a share of all steps; 0: logging_steps"`
	EvalDelay        float64 `option:"eval_delay" help:"do not evaluate before this many steps, or epochs with eval_strategy epoch"`
	LoadBest         bool    `option:"load_best_model_at_end" help:"write the results of the checkpoint with the best evaluation, not those of the last step; save_total_limit keeps it"`
	BestMetric       string  `option:"metric_for_best_model" values:"loss,mean_token_accuracy,reward" help:"what makes a checkpoint the best: loss (the default) or mean_token_accuracy of the evaluations, or with objective grpo reward; set without load_best_model_at_end it only keeps and names the best checkpoint"`
	GreaterIsBetter  *bool   `option:"greater_is_better" help:"a greater metric_for_best_model is better; default: not for loss"`
	EarlyStopping
	Resume string `option:"resume_from_checkpoint" path:"true" bare:"true" help:"checkpoint folder to resume from; without a value: the newest complete one in output_dir"`

	GradientCheckpointing bool     `option:"gradient_checkpointing" alias:"activation_checkpointing" help:"the same as --recompute layer"`
	Recompute             string   `option:"recompute" values:"auto,none,mlp,layer" help:"activations to recompute in backward instead of storing: auto (the least that fits), none, mlp or layer"`
	AutoSplit             bool     `option:"auto_split" help:"divide a micro-batch that does not fit into parts of whole sequences before more is recomputed: it trains, to the bit, as smaller micro-batches with more accumulation do"`
	OffloadActivations    string   `option:"offload_activations" values:"auto,true,false" help:"keep what backward reads of the layers in the host's memory, from where it comes back in time: auto (if a GPU's memory is too small for all else), true or false"`
	EmbeddingOnHost       string   `option:"embedding_on_host" alias:"offload_embedding" values:"auto,true,false" help:"keep a frozen embedding that is not the output head's, too, in the host's memory, from where the rows of a micro-batch's tokens are read: auto (if a GPU's memory is too small without), true or false"`
	ReportTo              []string `option:"report_to" nothing:"none" values:"tensorboard,live,all,none" help:"where to log besides metrics.jsonl: tensorboard (events in logging_dir), live (the same as --live), all (tensorboard) or none"`
}

// DefaultArgs returns Hugging Face's defaults, except where the QLoRA recipe differs:
// learning rate 2e-4 and a log row every 10 steps.
func DefaultArgs() Args {
	return Args{
		OutputDir:        "trainer_output",
		Epochs:           3,
		MaxSteps:         -1,
		BatchSize:        8,
		EvalBatchSize:    8,
		Accumulation:     1,
		RankArgs:         RankArgs{AverageTokens: true, FSDP: ShardNo, Timeout: groups.DefaultDeadline.Seconds()},
		LearningRate:     2e-4,
		Schedule:         "linear",
		AdamBeta1:        0.9,
		AdamBeta2:        0.999,
		AdamEpsilon:      1e-8,
		MaxGradNorm:      1,
		Optimizer:        adamw,
		LoraPlusEmbed:    1e-6,
		PreferenceArgs:   defaultPreferenceArgs(),
		GRPOArgs:         defaultGRPOArgs(),
		Seed:             42,
		SamplingStrategy: OrderRandom,
		LoggingStrategy:  StrategySteps,
		LoggingSteps:     10,
		SaveStrategy:     StrategySteps,
		SaveSteps:        500,
		EvalStrategy:     StrategyNo,
		Recompute:        RecomputeAuto,

		OffloadActivations: OffloadAuto,
		EmbeddingOnHost:    OffloadAuto,

		AutoSplit: true,
		ReportTo:  []string{ReportTensorBoard},
	}
}

// The values of Args.LoggingStrategy, Args.SaveStrategy and Args.EvalStrategy.
const (
	StrategyNo    = "no"
	StrategySteps = "steps"
	StrategyEpoch = "epoch"
	StrategyBest  = "best" // of SaveStrategy only
)

// The values of Args.SamplingStrategy.
const (
	OrderRandom        = "random"
	OrderSequential    = "sequential"
	OrderGroupByLength = "group_by_length"
)

// RecomputeAuto is the value of Args.Recompute that stores as many activations as fit.
const RecomputeAuto = "auto"

// The values of Args.OffloadActivations and Args.EmbeddingOnHost.
const (
	OffloadAuto  = "auto"
	OffloadTrue  = "true"
	OffloadFalse = "false"
)

// ResumeNewest is the value of Args.Resume that means the newest complete checkpoint
// in the output folder, or a fresh start if there is none.
const ResumeNewest = "true"

// The values of Args.ReportTo. The program that registers the outputs serves the page of
// ReportLive, which needs an address.
const (
	ReportTensorBoard = "tensorboard"
	reportAll         = "all"
	reportNone        = "none"
	ReportLive        = "live"
)

// ReportsTo reports whether the run writes rows to files of that kind.
func (a *Args) ReportsTo(kind string) bool {
	return slices.Contains(a.ReportTo, kind) || slices.Contains(a.ReportTo, reportAll)
}

// orderStrategy returns the order that group_by_length and train_sampling_strategy set
// together.
func (a *Args) orderStrategy() string {
	if a.GroupByLength {
		return OrderGroupByLength
	}
	return a.SamplingStrategy
}

// orderSeed returns the seed of the order of the records.
func (a *Args) orderSeed() uint64 {
	if a.DataSeed != nil {
		return *a.DataSeed
	}
	return a.Seed
}

// resumes reports whether the run resumes from a checkpoint.
func (a *Args) resumes() bool { return a.Resume != "" && a.Resume != "false" }
