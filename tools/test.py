#!/usr/bin/env python3
"""Runs the project's tests and counts them:  tools/test.py check|test|full [STEP...]

Each step is a command that leaves its counts somewhere a reader below understands. A step that
fails without saying what, that cannot say what it ran, that ran nothing, or that takes too long
counts as one failure, and so does a step whose need has failed. Two cores are shared out: steps
that need one run side by side. The last line is `N passed, N failed, N skipped`, and the exit code
is 0 only when nothing failed. With words after the suite, only steps whose names contain one of
them run, and what they need; a word that no name contains is an error.

Everything is written below .cache/ and the build folders, besides the caches that pip, Maven and Go
keep in the home folder.
"""
import ctypes
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import xml.etree.ElementTree as ElementTree

import toolchain

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
CACHE = os.path.join(ROOT, ".cache")
LOGS = os.path.join(CACHE, "test-logs")
TEMPORARY = os.path.join(CACHE, "tmp")
CORES = 2
GRACE_SECONDS = 20
LINES_SHOWN = 60

PR_SET_CHILD_SUBREAPER = 36


class Counts:
    def __init__(self, passed=0, failed=0, skipped=0):
        self.passed, self.failed, self.skipped = passed, failed, skipped

    def add(self, other):
        self.passed += other.passed
        self.failed += other.failed
        self.skipped += other.skipped

    def __str__(self):
        return f"{self.passed} passed, {self.failed} failed, {self.skipped} skipped"


# --- readers: the counts of a step, or None when there are none -----------------------------------

def read_nothing(_):
    """For a step that prepares others."""
    return Counts()


def read_line(step):
    """From the last `N passed, N failed[, N skipped]` that the program printed."""
    with open(step.log, errors="replace") as output:
        found = re.findall(r"(\d+) passed, (\d+) failed(?:, (\d+) skipped)?", output.read())
    return Counts(*(int(n or 0) for n in found[-1])) if found else None


def read_junit(step):
    """Of a pytest run."""
    if not os.path.exists(step.junit):
        return None
    counts = Counts()
    for suite in ElementTree.parse(step.junit).getroot().iter("testsuite"):
        tests, skipped = int(suite.get("tests", 0)), int(suite.get("skipped", 0))
        failed = int(suite.get("failures", 0)) + int(suite.get("errors", 0))
        counts.add(Counts(max(0, tests - failed - skipped), failed, skipped))
    return counts


def read_meson(step):
    """Of a meson run; one line of its log is one test program."""
    path = os.path.join(ROOT, step.build_dir, "meson-logs", "testlog.json")
    if not os.path.exists(path):
        return None
    counts = Counts()
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


def first_report(lines):
    """What a sanitizer said first, which the end of a log may not show."""
    for number, line in enumerate(lines):
        if re.search(r"WARNING: ThreadSanitizer|ERROR: \w+Sanitizer|runtime error:", line):
            return lines[number:number + LINES_SHOWN]
    return []


# --- steps ----------------------------------------------------------------------------------------

class Step:
    """A command. `needs` names steps before it; `cores` is how many it keeps busy, all of them also
    for one whose tests look at the clock; `minutes` is when it is taken to hang."""

    def __init__(self, name, command, read, suites, needs=(), cores=CORES, minutes=10,
                 environment=None, build_dir=None):
        self.name, self.command, self.read, self.suites = name, command, read, suites
        self.needs, self.cores, self.minutes = needs, cores, minutes
        self.environment, self.build_dir = environment or {}, build_dir
        base = os.path.join(LOGS, re.sub(r"[^a-z0-9]+", "-", name.lower()))
        self.log, self.junit = base + ".log", base + ".xml"
        self.temporary = os.path.join(TEMPORARY, os.path.basename(base))
        self.process = self.started = self.counts = None
        self.hung = False

    def start(self):
        for stale in (self.log, self.junit, os.path.join(ROOT, self.build_dir or "", "meson-logs",
                                                         "testlog.json")):
            if os.path.exists(stale):
                os.remove(stale)
        shutil.rmtree(self.temporary, ignore_errors=True)
        os.makedirs(self.temporary)
        command = self.command.format(junit=self.junit, temporary=self.temporary)
        environment = {**toolchain.environment(), "JOBS": str(self.cores),
                       "TMPDIR": self.temporary, **self.environment}
        with open(self.log, "w") as output:
            self.process = subprocess.Popen(command, shell=True, cwd=ROOT, env=environment,
                                            stdin=subprocess.DEVNULL, stdout=output,
                                            stderr=subprocess.STDOUT, start_new_session=True)
        self.started = time.monotonic()

    def has_ended(self):
        if self.process.poll() is not None:
            return True
        if time.monotonic() - self.started > 60 * self.minutes:
            self.hung = True
            self.stop()
            return True
        return False

    def stop(self):
        """SIGINT first, on which pytest stops what its fixtures started."""
        for number, seconds in ((signal.SIGINT, GRACE_SECONDS), (signal.SIGKILL, None)):
            try:
                os.killpg(self.process.pid, number)
                self.process.wait(seconds)
                return
            except subprocess.TimeoutExpired:
                pass
            except ProcessLookupError:
                self.process.wait()
                return

    def finish(self):
        """Counts, and tells what failed."""
        seconds = time.monotonic() - self.started
        counts = self.read(self)
        if self.hung:
            reason = f"took longer than {self.minutes} minutes"
        elif counts is None:
            reason = "said nothing about what it ran"
        elif self.process.returncode != 0 and counts.failed == 0:
            reason = f"ended with {self.process.returncode}"
        elif self.read is not read_nothing and str(counts) == str(Counts()):
            reason = "ran nothing"
        else:
            reason = None
        self.counts = counts or Counts()
        self.counts.failed += 1 if reason else 0
        print(f"{self.name:<48} {str(self.counts):<36} {seconds:6.1f} s", flush=True)
        if self.counts.failed:
            with open(self.log, errors="replace") as output:
                lines = output.readlines()
            for line in first_report(lines[:-LINES_SHOWN]) + lines[-LINES_SHOWN:]:
                print("    " + line.rstrip("\n")[:400])
            print(f"  {self.name}: {reason or 'failed'}; all of it: "
                  f"{os.path.relpath(self.log, ROOT)}", flush=True)
        shutil.rmtree(self.temporary, ignore_errors=True)

    def give_up(self, need):
        self.counts = Counts(failed=1)
        print(f"{self.name:<48} not run: {need} failed", flush=True)


ALL = ("check", "test", "full")
TEST = ("test", "full")
FULL = ("full",)

# Leaks are looked for by default; simulations, whose crashes leak by design, switch that off.
ASAN = {"ASAN_OPTIONS": "strict_string_checks=1",
        "UBSAN_OPTIONS": "halt_on_error=1:print_stacktrace=1"}
TSAN = {"TSAN_OPTIONS": "halt_on_error=1:second_deadlock_stack=1"}


def build(build_dir, name, suites, options="", **more):
    return Step(name, f"tools/build.sh {build_dir} -Dtests=enabled {options}", read_nothing, suites,
                minutes=15, **more)


def unit_tests(build_dir, name, suites, need, suite="", **more):
    return Step(name, f"meson test -C {build_dir} --no-rebuild --print-errorlogs "
                f"--num-processes {CORES} {suite}", read_meson, suites, needs=(need,),
                build_dir=build_dir, **more)


def pytest(paths, name, suites, needs=(), **more):
    return Step(name, "python3 -m pytest -q -p no:cacheprovider --durations=8 "
                f"--basetemp={{temporary}}/pytest --junitxml={{junit}} {paths}",
                read_junit, suites, needs=("python packages", *needs), **more)


def steps():
    return [
        Step("python packages", "tools/venv.sh", read_nothing, ALL, cores=0),
        build("build", "build", ALL),
        Step("packages of Maven, Go and npm", "tools/fetch.sh", read_nothing, TEST,
             needs=("python packages",), cores=0, minutes=15),
        unit_tests("build", "unit tests", ALL, "build"),
        Step("layers, format, generated code, documents", "python3 tests/lint/lint.py", read_line,
             ALL, cores=1),
        build("build-asan", "ASan and UBSan: build", TEST,
              "-Db_sanitize=address,undefined -Db_lundef=false -Doptimization=1", needs=("build",)),
        unit_tests("build-asan", "ASan and UBSan: unit tests", TEST, "ASan and UBSan: build",
                   environment=ASAN),
        build("build-tsan", "TSan: build", TEST,
              "-Db_sanitize=thread -Db_lundef=false -Doptimization=1 -Dyields=true",
              needs=("build",)),
        # One thread of the real world runs a simulation: it has no races to find.
        unit_tests("build-tsan", "TSan: unit tests", TEST, "TSan: build",
                   "--no-suite simulated", environment=TSAN),
        Step("TSan: stress with four reactors",
             "build-tsan/tests/stress/stress --ottla build-tsan/ottla --seconds 60", read_line,
             TEST, needs=("TSan: build",), environment=TSAN),
        pytest("tests/compat/test_data_directory.py tests/compat/test_dump_log.py",
               "files against Apache Kafka", TEST, cores=1,
               needs=("build", "packages of Maven, Go and npm"), minutes=20),
        pytest("tests/compat --ignore=tests/compat/test_data_directory.py "
               "--ignore=tests/compat/test_dump_log.py -k 'not written_anew and not stop'",
               "codec, records and metadata against Apache Kafka", TEST, cores=1,
               needs=("build", "packages of Maven, Go and npm"), minutes=20),
        pytest("tests/compat -k 'written_anew or stop'", "more hand-overs to Apache Kafka", FULL,
               cores=1, needs=("build", "packages of Maven, Go and npm"), minutes=20),
        Step("fuzzers", "python3 tests/fuzz/run.py --seconds 20", read_line, TEST,
             needs=("build",), cores=1),
        pytest("tests/transcripts", "transcripts", ALL, needs=("build",), cores=1),
        Step("simulation: 500 seeds", "build/tests/sim/sim --seeds 1-500 --jobs 2", read_line, TEST,
             needs=("build",), minutes=15),
        Step("mutants of the node, one in six", "python3 tests/sim/mutants.py --one-in 6",
             read_line, TEST, needs=("build",), minutes=15),
        Step("all mutants of the node", "python3 tests/sim/mutants.py", read_line, FULL,
             needs=("mutants of the node, one in six",), minutes=60),
        pytest("tests/cluster --ignore=tests/cluster/test_programs.py "
               "--ignore=tests/cluster/test_exactly_once.py "
               "--ignore=tests/cluster/test_transaction_rules.py "
               "--ignore-glob='*/test_groups_*'",
               "a real node and real clients", TEST, cores=1,
               needs=("build", "packages of Maven, Go and npm"), minutes=20),
        pytest("tests/cluster/test_groups_*.py", "groups of real clients", TEST, cores=1,
               needs=("build", "packages of Maven, Go and npm"), minutes=20),
        pytest("tests/cluster/test_transaction_rules.py -k ottla-2", "rules of transactions, in Java",
               TEST, cores=1, needs=("build", "packages of Maven, Go and npm")),
        pytest("tests/cluster/test_transaction_rules.py -k 'not ottla-2'",
               "rules of transactions of every version, and on Apache Kafka", FULL, cores=1,
               needs=("build", "packages of Maven, Go and npm"), minutes=20),
        pytest("tests/cluster/test_exactly_once.py -k 'not copies'",
               "exactly once, whoever is killed", TEST,
               needs=("build", "packages of Maven, Go and npm")),
        pytest("tests/cluster/test_exactly_once.py", "exactly once, with many kills", FULL,
               needs=("build", "packages of Maven, Go and npm"), minutes=40,
               environment={"OTTLA_KILLS": "60"}),
        pytest("tests/cluster/test_programs.py -k 'not at_least_once'",
               "Kafka Streams, Connect and MirrorMaker", TEST,
               needs=("build", "packages of Maven, Go and npm"), cores=1),
        pytest("tests/cluster/test_programs.py -k at_least_once", "Kafka Streams at least once", FULL,
               needs=("build", "packages of Maven, Go and npm"), cores=1),
        pytest("tests/client --ignore=tests/client/test_client_groups.py "
               "-k 'not (kafka and (test_transactions or group_suite))'",
               "client library against Ottla and Apache Kafka", TEST, cores=1,
               needs=("build", "packages of Maven, Go and npm"), minutes=15),
        pytest("tests/client/test_client.py tests/client/test_transactions.py "
               "-k 'kafka and (test_transactions or group_suite)'",
               "client library in transactions and groups of Apache Kafka", FULL, cores=1,
               needs=("build", "packages of Maven, Go and npm"), minutes=15),
        pytest("tests/client/test_client_groups.py -k 'consumer or both_protocols or sticky'",
               "client library in groups with others", TEST, cores=1,
               needs=("build", "packages of Maven, Go and npm"), minutes=15),
        pytest("tests/client/test_client_groups.py", "client library in every kind of group", FULL,
               needs=("build", "packages of Maven, Go and npm"), minutes=15),
        pytest("tests/cli/test_commands.py", "commands on Ottla and Apache Kafka", TEST, cores=1,
               needs=("build", "packages of Maven, Go and npm")),
        pytest("tests/cli --ignore=tests/cli/test_commands.py", "names of Apache Kafka's tools",
               TEST, cores=1, needs=("build", "packages of Maven, Go and npm")),
        pytest("tests/client --ignore=tests/client/test_client_groups.py -k ottla",
               "ASan and UBSan: client library", FULL,
               needs=("ASan and UBSan: build",), cores=1,
               environment={**ASAN, "OTTLA": os.path.join(ROOT, "build-asan", "ottla")}),
        pytest("tests/cluster/test_librdkafka.py tests/cluster/test_kafka_python.py "
               "tests/cluster/test_hostile.py tests/cluster/test_hostile_limits.py",
               "ASan and UBSan: a real node", TEST, needs=("ASan and UBSan: build",),
               environment={**ASAN, "OTTLA": os.path.join(ROOT, "build-asan", "ottla")}),
        pytest("tests/compat/test_cleaner.py", "1 GiB cleaned by Apache Kafka and by Ottla", FULL,
               needs=("build", "packages of Maven, Go and npm"), minutes=60,
               environment={"OTTLA_CLEANER_MIB": "1024"}),
        Step("fuzzers, longer", "python3 tests/fuzz/run.py --seconds 120", read_line, FULL,
             needs=("fuzzers",), cores=1, minutes=180),
        Step("TSan: stress, longer",
             "build-tsan/tests/stress/stress --ottla build-tsan/ottla --seconds 900", read_line,
             FULL, needs=("TSan: build",), environment=TSAN, minutes=30),
        Step("simulation: 10,000 seeds", "build/tests/sim/sim --seeds 501-10500 --jobs 2",
             read_line, FULL, needs=("build",), minutes=180),
    ]


# --- the run --------------------------------------------------------------------------------------

def chosen(suite, words):
    """The steps of a suite, or those that the words name and what they need, in order."""
    of_suite = [step for step in steps() if suite in step.suites]
    if not words:
        return of_suite
    wanted = {step.name for step in of_suite if any(word in step.name for word in words)}
    for step in reversed(of_suite):
        if step.name in wanted:
            wanted.update(step.needs)
    return [step for step in of_suite if step.name in wanted]


def unknown(suite, words):
    """Those words that name no step: nothing would be tested, and look well."""
    names = [step.name for step in steps() if suite in step.suites]
    return [word for word in words if not any(word in name for name in names)]


def run(waiting):
    """Starts each step, in order, when what it needs has ended well and enough cores are free."""
    running, ended = [], {}
    names = {step.name for step in waiting}
    try:
        while waiting or running:
            for step in [step for step in running if step.has_ended()]:
                running.remove(step)
                step.finish()
                ended[step.name] = step
            for step in list(waiting):
                needs = [need for need in step.needs if need in names]
                bad = [need for need in needs if need in ended and ended[need].counts.failed
                       and ended[need].read is read_nothing]
                busy = sum(other.cores for other in running)
                if bad:
                    step.give_up(bad[0])
                    ended[step.name] = step
                    waiting.remove(step)
                elif all(need in ended for need in needs) and busy + step.cores <= CORES:
                    step.start()
                    running.append(step)
                    waiting.remove(step)
            time.sleep(0.05)
    finally:
        for step in running:
            step.stop()
    return ended.values()


def orphans():
    with open(f"/proc/self/task/{os.getpid()}/children") as listed:
        return [int(pid) for pid in listed.read().split()]


def end_orphans():
    """Ends processes that a step left behind; since this process adopts them, they are known."""
    while found := orphans():
        for pid in found:
            with open(f"/proc/{pid}/cmdline", "rb") as command:
                line = command.read().replace(b"\0", b" ").decode(errors="replace")
            if line:  # not a zombie
                print(f"left behind by a step, ended now: {line[:200]}", flush=True)
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)


def main():
    suite, words = (sys.argv[1], sys.argv[2:]) if len(sys.argv) > 1 else ("", [])
    if suite not in ALL:
        print(__doc__, file=sys.stderr)
        return 2
    if strangers := unknown(suite, words):
        names = "\n".join(f"    {step.name}" for step in steps() if suite in step.suites)
        print(f"No step of `{suite}` has a name with {', '.join(map(repr, strangers))}; "
              f"its steps are:\n{names}", file=sys.stderr)
        return 2
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    os.makedirs(LOGS, exist_ok=True)
    shutil.rmtree(TEMPORARY, ignore_errors=True)
    started = time.monotonic()
    total = Counts()
    try:
        for step in run(chosen(suite, words)):
            total.add(step.counts)
    except KeyboardInterrupt:
        print("Interrupted.", file=sys.stderr)
        return 130
    finally:
        end_orphans()
        shutil.rmtree(TEMPORARY, ignore_errors=True)
    print(f"in {time.monotonic() - started:.0f} s")
    print(total)
    return 1 if total.failed or not total.passed else 0


if __name__ == "__main__":
    sys.exit(main())
