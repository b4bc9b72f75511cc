"""Loads a Hugging Face folder into transformers as the reference for qlora: float32 on the CPU."""
import torch
from peft import PeftModel
from tokenizers import Tokenizer
from transformers import AutoModelForCausalLM, BitsAndBytesConfig


def quantization(quant_type="nf4", double=True):
    return BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type=quant_type, bnb_4bit_use_double_quant=double,
                              bnb_4bit_compute_dtype=torch.float32)


def load(folder, adapter=None, quantize=None, dtype=torch.float32):
    """quantize: a BitsAndBytesConfig to quantize by while loading; a 4-bit folder needs none."""
    extra = {"quantization_config": quantize} if quantize is not None else {}
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=dtype, device_map="cpu", attn_implementation="eager", **extra)
    if adapter:
        model = PeftModel.from_pretrained(model, adapter)
    return compute_in_float32(model).eval() if dtype == torch.float32 else model.eval()


def compute_in_float32(model):
    """Makes a loaded model, whose base may be in bfloat16 or in 4 bits, compute in float32."""
    for p in model.parameters():
        # dtype does not apply to the other weights of a 4-bit folder.
        if p.dtype in (torch.bfloat16, torch.float16):
            p.data = p.data.float()
    for module in model.modules():
        if type(module).__name__ == "Linear4bit":
            # Otherwise bitsandbytes computes in bfloat16 on CPUs that support it, regardless of its settings.
            module.support_avx512bf16_for_cpu = False
            module.compute_dtype = torch.float32
            # Otherwise weights of a bfloat16 base are rounded again to bfloat16 as they are dequantized.
            module.weight.quant_state.dtype = torch.float32
    return model


def tokenizer(folder):
    """Loads tokenizer.json itself: AutoTokenizer rebuilds some of them with other rules."""
    return Tokenizer.from_file(f"{folder}/tokenizer.json")
