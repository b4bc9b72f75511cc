package main

// A shape is a public model's architecture, in the keys of its config.json that a plan
// depends on. The numbers are the models' own, as their config.json or their paper
// gives them; all are stored in bfloat16.
type shape struct {
	name   string
	config string
}

var shapes = []shape{
	{"GPT-2 (124M)", `{"model_type":"gpt2","n_embd":768,"n_layer":12,"n_head":12,"n_positions":1024,"vocab_size":50257,"dtype":"bfloat16"}`},
	{"Gemma-2-2B", `{"model_type":"gemma2","hidden_size":2304,"intermediate_size":9216,"num_hidden_layers":26,"num_attention_heads":8,
		"num_key_value_heads":4,"head_dim":256,"vocab_size":256000,"sliding_window":4096,"max_position_embeddings":8192,"dtype":"bfloat16"}`},
	{"Llama-2-7B", `{"model_type":"llama","hidden_size":4096,"intermediate_size":11008,"num_hidden_layers":32,"num_attention_heads":32,
		"vocab_size":32000,"max_position_embeddings":4096,"dtype":"bfloat16"}`},
	{"Falcon-7B", `{"model_type":"falcon","hidden_size":4544,"num_hidden_layers":32,"num_attention_heads":71,"vocab_size":65024,"multi_query":true,
		"parallel_attn":true,"new_decoder_architecture":false,"bias":false,"alibi":false,"dtype":"bfloat16"}`},
	{"Llama-3.1-8B", `{"model_type":"llama","hidden_size":4096,"intermediate_size":14336,"num_hidden_layers":32,"num_attention_heads":32,
		"num_key_value_heads":8,"vocab_size":128256,"max_position_embeddings":131072,"dtype":"bfloat16"}`},
	{"Llama-2-13B", `{"model_type":"llama","hidden_size":5120,"intermediate_size":13824,"num_hidden_layers":40,"num_attention_heads":40,
		"vocab_size":32000,"max_position_embeddings":4096,"dtype":"bfloat16"}`},
	{"Phi-4 (14B)", `{"model_type":"phi3","hidden_size":5120,"intermediate_size":17920,"num_hidden_layers":40,"num_attention_heads":40,
		"num_key_value_heads":10,"vocab_size":100352,"max_position_embeddings":16384,"sliding_window":null,"dtype":"bfloat16"}`},
	{"Mistral-Small-24B", `{"model_type":"mistral","hidden_size":5120,"intermediate_size":32768,"num_hidden_layers":40,"num_attention_heads":32,
		"num_key_value_heads":8,"head_dim":128,"vocab_size":131072,"sliding_window":null,"max_position_embeddings":32768,"dtype":"bfloat16"}`},
	{"Gemma-2-27B", `{"model_type":"gemma2","hidden_size":4608,"intermediate_size":36864,"num_hidden_layers":46,"num_attention_heads":32,
		"num_key_value_heads":16,"head_dim":128,"query_pre_attn_scalar":144,"vocab_size":256000,"sliding_window":4096,"max_position_embeddings":8192,
		"dtype":"bfloat16"}`},
	{"Falcon-40B", `{"model_type":"falcon","hidden_size":8192,"num_hidden_layers":60,"num_attention_heads":128,"num_kv_heads":8,"vocab_size":65024,
		"new_decoder_architecture":true,"parallel_attn":true,"bias":false,"alibi":false,"dtype":"bfloat16"}`},
	{"Llama-2-70B", `{"model_type":"llama","hidden_size":8192,"intermediate_size":28672,"num_hidden_layers":80,"num_attention_heads":64,
		"num_key_value_heads":8,"vocab_size":32000,"max_position_embeddings":4096,"dtype":"bfloat16"}`},
	{"Llama-3.1-70B", `{"model_type":"llama","hidden_size":8192,"intermediate_size":28672,"num_hidden_layers":80,"num_attention_heads":64,
		"num_key_value_heads":8,"vocab_size":128256,"max_position_embeddings":131072,"dtype":"bfloat16"}`},
	{"Qwen2.5-72B", `{"model_type":"qwen2","hidden_size":8192,"intermediate_size":29568,"num_hidden_layers":80,"num_attention_heads":64,
		"num_key_value_heads":8,"vocab_size":152064,"max_position_embeddings":32768,"dtype":"bfloat16"}`},
	{"GPT-3 175B", `{"model_type":"gpt2","n_embd":12288,"n_layer":96,"n_head":96,"n_positions":2048,"vocab_size":50257,"dtype":"bfloat16"}`},
	{"Falcon-180B", `{"model_type":"falcon","hidden_size":14848,"num_hidden_layers":80,"num_attention_heads":232,"num_kv_heads":8,"vocab_size":65024,
		"new_decoder_architecture":true,"parallel_attn":true,"bias":false,"alibi":false,"dtype":"bfloat16"}`},
	{"Llama-3.1-405B", `{"model_type":"llama","hidden_size":16384,"intermediate_size":53248,"num_hidden_layers":126,"num_attention_heads":128,
		"num_key_value_heads":8,"vocab_size":128256,"max_position_embeddings":131072,"dtype":"bfloat16"}`},
}
