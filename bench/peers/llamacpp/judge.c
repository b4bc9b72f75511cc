// judge runs llama.cpp on a GGUF file, for exported.py.
//
//   judge logits MODEL IDS OUT [ADAPTER]   IDS has a line of token ids per text; OUT gets
//                                          the logits of every position, as float32
//   judge tokens MODEL < TEXTS             prints the ids of each text, without BOS; texts
//                                          are separated by a zero byte
//
// The cache of keys and values is float32 and attention is computed plainly, so that the
// file's types alone make a difference.
//
//   cc -O2 -I $LLAMA/include -I $LLAMA/ggml/include judge.c -o judge \
//      -L $BINS -l:libllama.so -l:libggml.so -l:libggml-base.so -Wl,-rpath,$BINS
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ggml-backend.h"
#include "llama.h"

static void die(const char* what) {
  fprintf(stderr, "judge: %s\n", what);
  exit(1);
}

static void quiet(enum ggml_log_level level, const char* text, void* unused) {
  (void)unused;
  if (level == GGML_LOG_LEVEL_ERROR) fputs(text, stderr);
}

static struct llama_model* open_model(const char* path, bool vocab_only) {
  struct llama_model_params p = llama_model_default_params();
  p.vocab_only = vocab_only;
  struct llama_model* m = llama_model_load_from_file(path, p);
  if (!m) die("the model cannot be loaded");
  return m;
}

// read_ids reads a line of numbers and returns their count, -1 at the end of the file.
static int read_ids(FILE* in, llama_token* ids, int most) {
  char* line = NULL;
  size_t size = 0;
  if (getline(&line, &size, in) < 0) return -1;
  int n = 0;
  for (char* word = strtok(line, " \n"); word; word = strtok(NULL, " \n")) {
    if (n == most) die("a text is too long");
    ids[n++] = atoi(word);
  }
  free(line);
  return n;
}

static void logits(int argc, char** argv) {
  struct llama_model* m = open_model(argv[2], false);
  struct llama_context_params p = llama_context_default_params();
  p.n_ctx = p.n_batch = p.n_ubatch = 512;
  p.n_threads = p.n_threads_batch = 2;
  p.type_k = p.type_v = GGML_TYPE_F32;
  p.flash_attn_type = LLAMA_FLASH_ATTN_TYPE_DISABLED;
  struct llama_context* c = llama_init_from_model(m, p);
  if (!c) die("no context");
  if (argc > 5) {
    struct llama_adapter_lora* a = llama_adapter_lora_init(m, argv[5]);
    float scale = 1;
    if (!a) die("the adapter cannot be loaded");
    if (llama_set_adapters_lora(c, &a, 1, &scale)) die("the adapter cannot be used");
  }
  FILE* in = fopen(argv[3], "r");
  FILE* out = fopen(argv[4], "wb");
  if (!in || !out) die("IDS or OUT cannot be opened");
  int words = llama_vocab_n_tokens(llama_model_get_vocab(m));
  llama_token ids[512];
  int n;
  while ((n = read_ids(in, ids, 512)) >= 0) {
    llama_memory_clear(llama_get_memory(c), true);
    struct llama_batch b = llama_batch_init(n, 0, 1);
    b.n_tokens = n;
    for (int i = 0; i < n; i++) {
      b.token[i] = ids[i];
      b.pos[i] = i;
      b.n_seq_id[i] = 1;
      b.seq_id[i][0] = 0;
      b.logits[i] = 1;
    }
    if (llama_decode(c, b)) die("llama_decode failed");
    for (int i = 0; i < n; i++) fwrite(llama_get_logits_ith(c, i), 4, words, out);
    llama_batch_free(b);
  }
  fclose(out);
}

static void tokens(char** argv) {
  const struct llama_vocab* v = llama_model_get_vocab(open_model(argv[2], true));
  static llama_token ids[1 << 20];
  char* text = NULL;
  size_t size = 0;
  ssize_t n;
  while ((n = getdelim(&text, &size, 0, stdin)) >= 0) {
    if (n > 0 && text[n - 1] == 0) n--;
    int count = llama_tokenize(v, text, n, ids, 1 << 20, false, true);
    if (count < 0) die("a text is too long");
    for (int i = 0; i < count; i++) printf(i ? " %d" : "%d", ids[i]);
    printf("\n");
  }
}

int main(int argc, char** argv) {
  llama_log_set(quiet, NULL);
  const char* bins = getenv("LLAMACPP_BINS");
  if (bins) {
    ggml_backend_load_all_from_path(bins);
  } else {
    ggml_backend_load_all();
  }
  llama_backend_init();
  if (argc >= 5 && !strcmp(argv[1], "logits")) {
    logits(argc, argv);
  } else if (argc == 3 && !strcmp(argv[1], "tokens")) {
    tokens(argv);
  } else {
    die("judge logits MODEL IDS OUT [ADAPTER] | judge tokens MODEL < TEXTS");
  }
  return 0;
}
