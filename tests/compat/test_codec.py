"""The C codec against the classes that Apache Kafka generates: every message in every version, filled
at random by either side, must come out of the other byte for byte, and as the same JSON."""
import glob
import os
import re
import subprocess
import sys

import pytest

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PROJECT = os.path.join(ROOT, "tests", "compat", "java-codec")
HARNESS = os.environ.get("OTTLA_WIRE_HARNESS", os.path.join(ROOT, "build/tests/compat/wire_harness"))
INSTANCES = 40

sys.path.insert(0, os.path.join(ROOT, "tools"))
import kschema  # noqa: E402

SCHEMAS = glob.glob(os.path.join(ROOT, "schemas", "*.kschema"))
OVERLAY = [path for path in SCHEMAS if "overlay" in path]
BASELINE = [path for path in SCHEMAS if "overlay" not in path]


def messages_of(paths):
    return {message.name: message for path in paths for message in kschema.read_file(path)
            if message.valid}


def compare(tmp_path, profile, messages, json_names):
    """Runs the Java side over these messages; its last line holds the counts."""
    classpath_file = tmp_path / "classpath"
    subprocess.run(["mvn", "-q", "-B", "-P", profile, "compile", "dependency:build-classpath",
                    f"-Dmdep.outputFile={classpath_file}"], cwd=PROJECT, check=True, timeout=600)
    release = {"baseline": "4.3.1", "overlay": "4.4.0"}[profile]
    classpath = f"{PROJECT}/target/{release}/classes:{classpath_file.read_text()}"
    listed = tmp_path / "messages"
    listed.write_text("".join(
        f"{m.name} {m.valid.low} {m.valid.high} {'json' if m.name in json_names else 'bytes'}\n"
        for m in messages.values()))
    run = subprocess.run(["java", "-Xmx512m", "-cp", classpath, "CompareCodecs", HARNESS, str(listed),
                          str(INSTANCES), "1"], capture_output=True, text=True, timeout=600)
    print(run.stdout, run.stderr[-4000:])
    counts = {k: int(v) for k, v in re.findall(r"(\w+)=(\d+)", run.stdout.splitlines()[-1])}
    assert run.returncode == 0
    return counts


def check(counts, messages):
    versions = sum(m.valid.high - m.valid.low + 1 for m in messages.values())
    print(f"{counts['messages']} messages of {len(messages)}, "
          f"{counts['versions']} versions of {versions}")
    assert counts["messages"] == len(messages)
    assert counts["versions"] == versions
    assert counts["comparisons"] == versions * INSTANCES * 2


@pytest.mark.timeout(900)
def test_every_message_of_the_baseline(tmp_path):
    messages = messages_of(BASELINE)
    changed = messages_of(OVERLAY)
    counts = compare(tmp_path, "baseline", messages, set(messages) - set(changed))
    check(counts, messages)
    assert counts["conversions"] > 1000
    assert counts["refused"] > 100


@pytest.mark.timeout(900)
def test_every_message_of_the_overlay(tmp_path):
    messages = messages_of(OVERLAY)
    check(compare(tmp_path, "overlay", messages, set(messages)), messages)


def test_the_harness_knows_every_message():
    run = subprocess.run([HARNESS], input="list\n", capture_output=True, text=True, timeout=60)
    names = [line.split()[0] for line in run.stdout.splitlines() if line]
    assert sorted(names) == sorted({**messages_of(BASELINE), **messages_of(OVERLAY)})
