"""The checks of produced record batches against Apache Kafka's own code, on batches made wrong at random."""
import os
import subprocess
import sys

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
JUDGE = os.environ.get("OTTLA_RECORD_JUDGE", os.path.join(ROOT, "build/tests/compat/record_judge"))
KAFKA = os.path.join(ROOT, "tests", "kafka", "kafka")


@pytest.mark.timeout(600)
def test_produced_batches_are_judged_as_kafka_does():
    subprocess.run([KAFKA, "install"], check=True)
    run = subprocess.run([sys.executable, os.path.join(HERE, "records", "compare_judges.py"), JUDGE,
                          os.path.join(ROOT, "tests", "fixtures", "records"), "8000"],
                         capture_output=True, text=True)
    print(run.stdout[-20000:], run.stderr[-4000:])
    assert run.returncode == 0
    assert "8000 compared, 0 differ" in run.stdout
