"""Writes events.json: frames of TensorBoard's own writer, in hexadecimal; the text is in the format of PyTorch's add_text.

pip install tensorboard torch; python generate.py
"""

import io
import json
import pathlib

from tensorboard.compat.proto import event_pb2, summary_pb2
from tensorboard.summary.writer.record_writer import RecordWriter
from torch.utils.tensorboard.summary import text


def frame(event):
    class Kept(io.BytesIO):
        def close(self):
            pass

    file = Kept()
    RecordWriter(file).write(event.SerializeToString(deterministic=True))
    return file.getvalue().hex()


at = 1_700_000_000.5
Value = summary_pb2.Summary.Value
events = {
    "version": event_pb2.Event(wall_time=at, file_version="brain.Event:2"),
    "start": event_pb2.Event(wall_time=at, step=5, session_log=event_pb2.SessionLog(status=event_pb2.SessionLog.START)),
    "scalars": event_pb2.Event(
        wall_time=at,
        step=300,
        summary=summary_pb2.Summary(
            value=[
                Value(tag="train/loss", simple_value=2.5),
                Value(tag="train/learning_rate", simple_value=2e-4),
                Value(tag="eval/loss", simple_value=-0.125),
            ]
        ),
    ),
    "text": event_pb2.Event(wall_time=at, step=7, summary=text("args", "# a\nb")),
}
out = pathlib.Path(__file__).with_name("events.json")
out.write_text(json.dumps({name: frame(e) for name, e in events.items()}, indent=2) + "\n")
