#!/usr/bin/env python3
"""Records the transcripts anew from Apache Kafka:  tools/record.py [NAME...]

Each transcript gets a fresh node. Only the answers in the files are rewritten; read the diff.
"""
import os
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
VENV = os.path.join(ROOT, ".cache", "venv")
if sys.prefix != VENV:  # record batches need the packages of the tests
    subprocess.run([os.path.join(ROOT, "tools", "venv.sh")], check=True)
    python = os.path.join(VENV, "bin", "python")
    os.execv(python, [python, *sys.argv])

sys.path.insert(0, os.path.join(ROOT, "tests"))
sys.path.insert(0, os.path.join(ROOT, "tests", "transcripts"))

from kafka_node import KafkaNode  # noqa: E402
from normal import Normaliser, Volatile  # noqa: E402
from player import play  # noqa: E402
from transcript import Transcript, transcripts  # noqa: E402

SETTLE_S = 0.4


def record(path, volatile):
    transcript = Transcript(path)

    def keep(step, outcome, names):
        step.answer = Normaliser(volatile, names).show_outcome(step.api, outcome)

    with tempfile.TemporaryDirectory(prefix="ottla-record-") as folder:
        node = KafkaNode(folder)
        try:
            play(transcript, node, SETTLE_S, keep)
        except Exception:
            print(node.log()[-4000:], file=sys.stderr)
            raise
    transcript.write()
    return len(transcript.steps())


def main():
    wanted = sys.argv[1:]
    volatile = Volatile()
    for path in transcripts():
        name = os.path.basename(path)[:-len(".txt")]
        if not wanted or name in wanted:
            started = time.monotonic()
            count = record(path, volatile)
            print(f"{name:<32} {count:4} answers {time.monotonic() - started:6.1f} s", flush=True)


if __name__ == "__main__":
    main()
