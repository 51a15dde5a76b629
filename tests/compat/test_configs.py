"""The values that the unit tests of src/config walk are what Apache Kafka's definitions say today."""
import os
import subprocess

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
KAFKA = os.path.join(ROOT, "tests", "kafka", "kafka")


@pytest.mark.timeout(300)
def test_values_are_fresh(tmp_path):
    classpath = subprocess.run([KAFKA, "classpath"], check=True, capture_output=True,
                               text=True).stdout.strip()
    subprocess.run(["javac", "-nowarn", "-cp", classpath, "-d", tmp_path,
                    os.path.join(HERE, "configs", "ConfigTool.java")], check=True)
    run = subprocess.run(["java", "-cp", f"{tmp_path}:{classpath}", "ConfigTool"], check=True,
                         capture_output=True, encoding="utf-8")
    with open(os.path.join(ROOT, "tests", "fixtures", "configs", "values.tsv"),
              encoding="utf-8") as file:
        assert run.stdout == file.read()
