"""The client's assignors against Apache Kafka's own classes, on groups made at random: range (with racks) and
roundrobin give each partition to the same member; so do the sticky ones where all members subscribe to the
same topics. Where they do not, there are many right answers (the unit test looks at what must hold)."""
import os
import random
import subprocess
import sys

import pytest

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path[:0] = [os.path.join(HERE, ".."), os.path.join(HERE, "..", "transcripts")]

from kafka_node import KAFKA  # noqa: E402
from node import OTTLA  # noqa: E402

PROGRAM = os.path.join(os.path.dirname(OTTLA), "src", "client", "client_assignor_test")
RACKS = ["r0", "r1", "r2", "r3"]
CASES = 150


def topics(rng, lines, racked):
    names = [f"t{i}" for i in range(rng.randint(1, 6))]
    for name in names:
        count = rng.choice([rng.randint(1, 9), 6])
        if racked:
            partitions = [",".join(sorted(rng.sample(RACKS, rng.randint(1, 3)))) for _ in range(count)]
            lines.append(f"topic {name} {' '.join(partitions)}")
        else:
            lines.append(f"topic {name} {count}")
    return names


def members(rng, lines, names, racked, same):
    for i in range(rng.randint(1, 9)):
        instance = f"/i{rng.randint(0, 9)}{i}" if rng.random() < 0.3 else ""
        rack = f"@{rng.choice(RACKS)}" if racked and rng.random() < 0.8 else ""
        read = names if same else sorted(rng.sample(names, rng.randint(1, len(names))))
        lines.append(f"member m{i}{instance}{rack} {' '.join(read)}")


def plain_case(rng):
    lines = []
    racked = rng.random() < 0.6
    members(rng, lines, topics(rng, lines, racked), racked, rng.random() < 0.4)
    return [*lines, "assign range", "assign roundrobin", "reset"]


def sticky_case(rng):
    """Members and partitions come; then one goes. More than one going would leave it to a hash table
    who keeps the larger share."""
    lines = []
    names = topics(rng, lines, False)
    members(rng, lines, names, False, True)
    assign = "assign " + rng.choice(["sticky", "cooperative-sticky"])
    lines += [assign, assign, f"member m9 {' '.join(names)}", assign, assign, "topic t0 12", assign, assign,
              "leave m0", assign, assign, "reset"]
    return lines


@pytest.mark.parametrize("case", [plain_case, sticky_case], ids=["plain", "sticky"])
def test_random_groups(tmp_path, case):
    rng = random.Random(20261121)
    commands = "".join(line + "\n" for _ in range(CASES) for line in case(rng))
    path = subprocess.run([KAFKA, "classpath"], check=True, capture_output=True, text=True)
    answers = subprocess.run(["java", "-cp", path.stdout.strip(),
                              os.path.join(HERE, "assignors", "Assignors.java")], input=commands,
                             check=True, capture_output=True, text=True, timeout=280).stdout
    transcript = tmp_path / "assignors.txt"
    transcript.write_text("".join(line for line in answers.splitlines(True)
                                  if line.startswith(("  ", *"tmalr"))))
    run = subprocess.run([PROGRAM, transcript], capture_output=True, text=True, timeout=60)
    assert run.returncode == 0, run.stdout
