package manual

// A part is a section of qlora(1) that does not come from the verbs.
type part struct {
	title, text string
	terms       []term
}

type term struct{ name, means string }

var parts = []part{
	{title: "OPTIONS", text: "Options follow the verb. In names - and _ are the same. A boolean is `--packing`, `--packing true`, `--packing=false` or `--no_packing`. " +
		"Several values follow a name, as in `--target_modules q_proj v_proj`, or are joined by commas. " +
		"`--config` names a YAML file of options under the same names, which the command line overrides.\n\n" +
		"Options are named as in transformers, TRL, PEFT and bitsandbytes. Many names of other programs are accepted too: with a note if they have no effect, " +
		"or refused with what takes their place."},
	{title: "EXAMPLES", text: "Tune a model, try it, and merge the adapter:\n\n" +
		"  qlora train --model ./SmolLM2-135M-Instruct --dataset chats.jsonl --output_dir out --live\n" +
		"  qlora generate --chat --model ./SmolLM2-135M-Instruct --adapter out\n" +
		"  qlora merge --model ./SmolLM2-135M-Instruct --adapter out --output_dir merged\n\n" +
		"See what tuning does, with a small built-in model:\n\n" +
		"  qlora demo"},
	{title: "EXIT STATUS", terms: []term{
		{"0", "The verb did what it says."},
		{"1", "It failed while running."},
		{"2", "The command, the configuration or the input was wrong. Nothing was written."},
		{"130, 143", "SIGINT or SIGTERM stopped it; train first saves a checkpoint from which the run resumes."},
		{"138", "The same for SIGUSR1, which launchers of several processes pass on."},
	}},
	{title: "ENVIRONMENT", terms: []term{
		{"QLORA_CPU_KERNELS", "The kernels that the CPU uses, in place of the best that the processor runs; `qlora doctor` lists them."},
		{"QLORA_CUDA_LIBRARY", "The path of libqlora_cuda.so, the kernels for GPUs."},
		{"QLORA_EMU_LIBRARY", "The path of libqlora_emu.so, the same kernels on an emulator."},
		{"QLORA_MPI_LIBRARY", "The path of the MPI library that connects ranks, such as libmpi.so.40."},
		{"QLORA_NCCL_LIBRARY", "The path of libnccl.so.2, which connects the GPUs of ranks."},
		{"CUDA_VISIBLE_DEVICES", "The GPUs that may be used."},
		{"GOMAXPROCS", "The number of threads, in place of what the affinity mask and the control group allow."},
	}},
	{title: "FILES", terms: []term{
		{"run.yaml", "In an output folder: all options of the run, for `--config`."},
		{"metrics.jsonl, loss.png", "In an output folder: the log, and its curves."},
		{"adapter_model.safetensors, adapter_config.json", "The adapter, as PEFT loads it."},
	}},
}
