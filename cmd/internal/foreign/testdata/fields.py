"""Writes fields.json, the fields of the configuration classes of transformers, TRL and PEFT with their defaults, and
dumps.json, what their to_dict returns."""

import dataclasses
import enum
import importlib.metadata
import inspect
import json
import pathlib

from peft import LoraConfig
from transformers import BitsAndBytesConfig, TrainingArguments
from trl import ModelConfig, ScriptArguments, SFTConfig


def plain(value):
    if isinstance(value, enum.Enum):
        return value.value
    if dataclasses.is_dataclass(value):
        return dataclasses.asdict(value)
    return value


def of_dataclass(cls):
    for field in dataclasses.fields(cls):
        default = field.default
        if default is dataclasses.MISSING:
            default = None if field.default_factory is dataclasses.MISSING else field.default_factory()
        yield {"name": field.name, "default": plain(default)}


def of_signature(cls):
    for name, parameter in inspect.signature(cls.__init__).parameters.items():
        if name not in ("self", "kwargs"):
            yield {"name": name, "default": plain(parameter.default)}


def dumps():
    yield TrainingArguments(output_dir="out", use_cpu=True)
    yield SFTConfig(output_dir="out", use_cpu=True)
    yield LoraConfig(r=4, target_modules=["q_proj", "v_proj"], task_type="CAUSAL_LM")
    yield BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype="bfloat16")


def main():
    classes = [
        ("transformers", TrainingArguments, of_dataclass), ("trl", SFTConfig, of_dataclass), ("peft", LoraConfig, of_dataclass),
        ("transformers", BitsAndBytesConfig, of_signature), ("trl", ModelConfig, of_dataclass), ("trl", ScriptArguments, of_dataclass),
    ]
    data = [
        {"package": package, "version": importlib.metadata.version(package), "class": cls.__name__, "fields": list(fields(cls))}
        for package, cls, fields in classes
    ]
    lines = ",\n".join(json.dumps(one) for one in data)
    here = pathlib.Path(__file__)
    here.with_name("fields.json").write_text(f"[\n{lines}\n]\n")
    lines = ",\n".join(json.dumps(one.to_dict(), default=lambda value: sorted(value)) for one in dumps())
    here.with_name("dumps.json").write_text(f"[\n{lines}\n]\n")


main()
