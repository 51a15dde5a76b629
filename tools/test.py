#!/usr/bin/env python3
"""Runs the project's tests and counts them:  tools/test.py check|test|full

Each step is a command that leaves its counts somewhere a reader below understands. A step that
cannot say what it ran counts as one failure. The last line is `N passed, N failed, N skipped`, and
the exit code is 0 only when nothing failed.
"""
import json
import os
import re
import subprocess
import sys
import time
import xml.etree.ElementTree as ElementTree

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
CACHE = os.path.join(ROOT, ".cache")
VENV = os.path.join(CACHE, "venv")
LOGS = os.path.join(CACHE, "test-logs")


class Counts:
    def __init__(self, passed=0, failed=0, skipped=0):
        self.passed, self.failed, self.skipped = passed, failed, skipped

    def add(self, other):
        self.passed += other.passed
        self.failed += other.failed
        self.skipped += other.skipped

    def __str__(self):
        return f"{self.passed} passed, {self.failed} failed, {self.skipped} skipped"


def read_meson(build_dir):
    """Counts the tests of a meson run; one line of its log is one test program."""
    counts = Counts()
    path = os.path.join(ROOT, build_dir, "meson-logs", "testlog.json")
    if not os.path.exists(path):
        return None
    with open(path) as log:
        for line in log:
            result = json.loads(line)["result"]
            if result in ("OK", "EXPECTEDFAIL"):
                counts.passed += 1
            elif result == "SKIP":
                counts.skipped += 1
            else:
                counts.failed += 1
    return counts


def read_junit(path):
    """Counts the tests of a pytest run."""
    if not os.path.exists(path):
        return None
    counts = Counts()
    for suite in ElementTree.parse(path).getroot().iter("testsuite"):
        tests, skipped = int(suite.get("tests", 0)), int(suite.get("skipped", 0))
        failed = int(suite.get("failures", 0)) + int(suite.get("errors", 0))
        counts.add(Counts(tests - failed - skipped, failed, skipped))
    return counts


def read_line(path):
    """Counts from the last `N passed, N failed[, N skipped]` that a program printed."""
    with open(path, errors="replace") as output:
        found = re.findall(r"(\d+) passed, (\d+) failed(?:, (\d+) skipped)?", output.read())
    return Counts(*(int(n or 0) for n in found[-1])) if found else None


class Step:
    def __init__(self, name, command, counts="line", suites=("test", "full")):
        self.name, self.command, self.counts, self.suites = name, command, counts, suites

    def run(self):
        log = os.path.join(LOGS, re.sub(r"[^a-z0-9]+", "-", self.name.lower()) + ".log")
        junit = log[:-4] + ".xml"
        for stale in (junit, os.path.join(ROOT, str(self.counts), "meson-logs", "testlog.json")):
            if os.path.exists(stale):
                os.remove(stale)
        started = time.monotonic()
        with open(log, "w") as output:
            code = subprocess.call(self.command.replace("{junit}", junit), shell=True, cwd=ROOT,
                                   stdin=subprocess.DEVNULL, stdout=output,
                                   stderr=subprocess.STDOUT)
        if self.counts == "line":
            counts = read_line(log)
        elif self.counts == "junit":
            counts = read_junit(junit)
        elif self.counts == "none":
            counts = Counts()
        else:
            counts = read_meson(self.counts)
        if counts is None or (code != 0 and counts.failed == 0):
            counts = counts or Counts()
            counts.failed += 1
        seconds = time.monotonic() - started
        print(f"{self.name:<44} {str(counts):<40} {seconds:6.1f} s", flush=True)
        if counts.failed:
            with open(log, errors="replace") as output:
                print("".join(output.readlines()[-60:]), flush=True)
            print(f"  all of it: {os.path.relpath(log, ROOT)}", flush=True)
        return counts


def pytest(paths, options=""):
    return f"{VENV}/bin/python -m pytest -q {options} --junitxml={{junit}} {paths}"


ALL = ("check", "test", "full")
TEST = ("test", "full")
FULL = ("full",)

STEPS = [
    Step("build", "tools/build.sh build", "none", ALL),
    Step("unit tests and transcripts of modules",
         "meson test -C build --no-rebuild --no-suite slow", "build", ALL),
    Step("layers, format, generated code", "python3 tests/lint/lint.py", "line", ALL),
    Step("python packages", "tools/venv.sh", "none", TEST),
    Step("ASan and UBSan: build",
         "tools/build.sh build-asan -Db_sanitize=address,undefined -Db_lundef=false "
         "-Doptimization=1", "none", TEST),
    Step("ASan and UBSan: unit tests",
         "meson test -C build-asan --no-rebuild --no-suite slow", "build-asan", TEST),
    Step("TSan: build",
         "tools/build.sh build-tsan -Db_sanitize=thread -Db_lundef=false -Doptimization=1",
         "none", TEST),
    Step("TSan: unit tests",
         "meson test -C build-tsan --no-rebuild --no-suite slow", "build-tsan", TEST),
    Step("fuzzers", "python3 tests/fuzz/run.py", "line", TEST),
    Step("simulation: 500 seeds", "build/tests/sim/sim --seeds 1-500 --jobs 2", "line", TEST),
    Step("simulation: mutants", "python3 tests/sim/mutants.py", "line", TEST),
    Step("codec and files against Apache Kafka", pytest("tests/compat"), "junit", TEST),
    Step("transcripts", pytest("tests/transcripts"), "junit", TEST),
    Step("a real node and real clients", pytest("tests/cluster", "-m 'not slow'"), "junit",
         ("test",)),
    Step("a real node and real clients, all", pytest("tests/cluster"), "junit", FULL),
    Step("slow unit tests", "meson test -C build --no-rebuild --suite slow", "build", FULL),
    Step("simulation: 5,000 seeds", "build/tests/sim/sim --seeds 501-5500 --jobs 2", "line", FULL),
]


def main():
    suite = sys.argv[1] if len(sys.argv) == 2 else ""
    if suite not in ALL:
        print(__doc__, file=sys.stderr)
        return 2
    os.makedirs(LOGS, exist_ok=True)
    total = Counts()
    started = time.monotonic()
    for step in STEPS:
        if suite in step.suites:
            counts = step.run()
            total.add(counts)
            if step.name == "build" and counts.failed:
                break
    print(f"in {time.monotonic() - started:.0f} s")
    print(total)
    return 1 if total.failed or not total.passed else 0


if __name__ == "__main__":
    sys.exit(main())
