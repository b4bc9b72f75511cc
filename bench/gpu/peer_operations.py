"""The peers of each operation, as PyTorch calls them. measure(shape, device, quick) returns (milliseconds, spread)."""
import functools

import torch
import torch.nn.functional as F

import plan
import timing

BF16 = torch.bfloat16


def open_device(name):
    if name == "cuda" and not torch.cuda.is_available():
        raise RuntimeError("PyTorch finds no GPU (torch.cuda.is_available() is false); --device cpu --small shows that the script runs")
    torch.manual_seed(1)
    return torch.device(name)


def describe(device):
    if device.type != "cuda":
        return {"device": "cpu", "torch": torch.__version__, "cuda": ""}
    return {"device": torch.cuda.get_device_name(device), "torch": torch.__version__, "cuda": torch.version.cuda or ""}


def forget(device):
    if device.type == "cuda":
        torch.cuda.empty_cache()


def random(*shape, device, dtype=BF16):
    return torch.randn(*shape, device=device, dtype=dtype)


def sets_of(make, device):
    """Returns enough sets of operands to exceed the cache; make() returns one set."""
    first = make()
    nbytes = sum(t.numel() * t.element_size() for t in first if isinstance(t, torch.Tensor))
    return [first] + [make() for _ in range(timing.copies(nbytes, device) - 1)]


def copy(shape, device, quick):
    n = shape["bytes"] // 2
    sets = sets_of(lambda: (random(n, device=device), random(n, device=device)), device)
    return timing.median_ms(lambda to, source: to.copy_(source), sets, device, quick)


def gemm(forward):
    def measure(shape, device, quick):
        wide, out, tokens = shape["in"], shape["out"], shape["tokens"]
        x, y = (wide, out) if forward else (out, wide)
        sets = sets_of(lambda: (random(tokens, x, device=device), random(out, wide, device=device), random(tokens, y, device=device)), device)
        if forward:
            return timing.median_ms(lambda a, w, c: torch.matmul(a, w.t(), out=c), sets, device, quick)
        return timing.median_ms(lambda a, w, c: torch.matmul(a, w, out=c), sets, device, quick)
    return measure


def quantized(shape, device):
    from bitsandbytes.functional import quantize_4bit
    return quantize_4bit(random(shape["out"], shape["in"], device=device), blocksize=64, quant_type="nf4")


def nf4_product(shape, device, quick):
    """The forward product of bitsandbytes' Linear4bit, which chooses among its kernels by the number of tokens."""
    from bitsandbytes import matmul_4bit
    sets = sets_of(lambda: (random(shape["tokens"], shape["in"], device=device), *quantized(shape, device)), device)
    return timing.median_ms(lambda x, codes, state: matmul_4bit(x, codes, state), sets, device, quick)


def nf4_expanded(forward):
    """The weight expanded to bf16, then cuBLAS: Linear4bit's backward, and its forward at many tokens."""
    def measure(shape, device, quick):
        from bitsandbytes.functional import dequantize_4bit
        width = shape["in"] if forward else shape["out"]
        sets = sets_of(lambda: (random(shape["tokens"], width, device=device), *quantized(shape, device)), device)

        def call(x, codes, state):
            w = dequantize_4bit(codes, state)
            return torch.matmul(x, w.t() if forward else w)
        return timing.median_ms(call, sets, device, quick)
    return measure


def decode(shape, device, quick):
    from bitsandbytes.functional import dequantize_4bit
    sets = sets_of(lambda: (*quantized(shape, device), random(shape["out"], shape["in"], device=device)), device)
    into = device.type == "cuda"  # out= is supported on GPUs only
    return timing.median_ms(lambda codes, state, out: dequantize_4bit(codes, state, out=out if into else None), sets, device, quick)


def attention_operands(shape, device, backward):
    def make(heads):  # in the layout of projections: [batch, tokens, heads, head_dim]
        x = random(1, shape["tokens"], heads, shape["head_dim"], device=device).transpose(1, 2)
        return x.requires_grad_(backward)
    return make(shape["heads"]), make(shape["kv_heads"]), make(shape["kv_heads"])


def attend(q, k, v):
    return F.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=True)


def attention(backward, backend):
    """backend is a name of torch.nn.attention.SDPBackend; without one PyTorch chooses."""
    def measure(shape, device, quick):
        from torch.nn.attention import SDPBackend, sdpa_kernel
        if not backend:
            return run(shape, device, quick)
        if device.type != "cuda":
            raise RuntimeError(f"{backend} is for GPUs")
        with sdpa_kernel(getattr(SDPBackend, backend)):
            return run(shape, device, quick)

    def run(shape, device, quick):
        if not backward:
            sets = sets_of(lambda: attention_operands(shape, device, False), device)
            return timing.median_ms(attend, sets, device, quick)

        def make():
            q, k, v = attention_operands(shape, device, True)
            out = attend(q, k, v)
            return out, torch.randn_like(out), q, k, v
        call = lambda out, dout, q, k, v: torch.autograd.grad(out, (q, k, v), dout, retain_graph=True)
        return timing.median_ms(call, sets_of(make, device), device, quick)
    return measure


def cross_entropy(upcast):
    """Loss and gradient from bf16 logits; transformers converts them to float32 first."""
    def measure(shape, device, quick):
        def make():
            logits = random(shape["tokens"], shape["vocabulary"], device=device).requires_grad_()
            return logits, torch.randint(0, shape["vocabulary"], (shape["tokens"],), device=device)

        def call(logits, labels):
            loss = F.cross_entropy(logits.float() if upcast else logits, labels)
            return torch.autograd.grad(loss, logits)
        return timing.median_ms(call, sets_of(make, device), device, quick)
    return measure


def adamw(make_optimizer):
    def measure(shape, device, quick):
        shapes = plan.adapter(shape["tensors"])
        weights = [torch.nn.Parameter(random(*s, device=device, dtype=torch.float32)) for s in shapes]
        for w in weights:
            w.grad = torch.randn_like(w)
        optimizer = make_optimizer(weights, device)
        return timing.median_ms(optimizer.step, [()], device, quick)
    return measure


def torch_adamw(weights, device):
    return torch.optim.AdamW(weights, lr=1e-4, fused=True)


def bitsandbytes_adamw(weights, device):
    from bitsandbytes.optim import AdamW8bit
    return AdamW8bit(weights, lr=1e-4)


@functools.cache
def table():
    cublas, bnb, expanded = "cuBLAS (torch.matmul)", "bitsandbytes", "bitsandbytes' dequantize_4bit, then cuBLAS"
    backends = [("SDPA as PyTorch chooses", ""), ("SDPA, flash", "FLASH_ATTENTION"), ("SDPA, cuDNN", "CUDNN_ATTENTION")]
    return {
        "copy": [("torch.Tensor.copy_", copy)],
        "gemm-forward": [(cublas, gemm(True))],
        "gemm-input-gradient": [(cublas, gemm(False))],
        "nf4-forward": [(bnb, nf4_product), (expanded, nf4_expanded(True))],
        "nf4-input-gradient": [(expanded, nf4_expanded(False))],
        "decode": [(bnb, decode)],
        "attention-forward": [(name, attention(False, backend)) for name, backend in backends],
        "attention-backward": [(name, attention(True, backend)) for name, backend in backends],
        "cross-entropy": [("torch, bf16", cross_entropy(False)), ("torch, through float32", cross_entropy(True))],
        "adamw": [("torch, fused", adamw(torch_adamw))],
        "adamw-8bit": [(bnb, adamw(bitsandbytes_adamw))],
    }


def peers(what):
    return table()[what]
