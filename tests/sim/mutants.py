#!/usr/bin/env python3
"""Tries the simulator's auditor on nodes that are wrong: each patch in mutants/ deletes one condition
or one sync, and the auditor must tell.

usage: mutants.py [--jobs N] [--survey] [--one-in N] [NAME...]

A patch is a unified diff with a head: a sentence, then
    failures:   what others suffered that it brings back, by the numbers of docs/failures.md
    scenarios:  those that show it; the first that does suffices
    told:       a regular expression over what the auditor says then
    seeds:      when 1-20 are not enough to be sure
The lines of a hunk that were there before must stand in the source exactly once, wherever that is.

The sources are copied to .cache/mutants, built, and run as they are on all the seeds that mutants
run on. Then each mutant is applied to the copy, built, and run until the auditor tells. It counts
as failed when no seed shows it, when something else does (a crash, another sentence), and when its
patch does not apply any more; a scenario that nothing was deleted for, when a seed of it fails.
With --one-in N only each Nth mutant is tried. With --survey it says for each mutant how many seeds of every scenario show it, and what is said:
how a new mutant finds its head. Ends with `N passed, N failed, N skipped`.
"""
import argparse
import collections
import fcntl
import glob
import os
import re
import signal
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
CACHE = os.path.join(ROOT, ".cache", "mutants")
COPY = os.path.join(CACHE, "source")
BUILD = os.path.join(CACHE, "build")
SIM = os.path.join(BUILD, "tests", "sim", "sim")
COPIED = ("meson.build", "meson_options.txt", "bench", "docs", "examples", "include", "schemas", "src",
          "tests", "tools")
SEEDS = "1-20"
RUN_SECONDS_MAX = 120  # of a mutant, on all its seeds

Failure = collections.namedtuple("Failure", "scenario seed text")


class Broken(Exception):
    """Why a mutant could not be tried."""


# --- patches --------------------------------------------------------------------------------------

class Mutant:
    def __init__(self, path):
        self.name = os.path.basename(path)[:-len(".patch")]
        with open(path) as file:
            head, _, diff = file.read().partition("\n--- ")
        keys = dict(re.findall(r"^(scenarios|seeds|told): +(.*)$", head, re.MULTILINE))
        self.scenarios = keys["scenarios"].split()
        self.seeds = keys.get("seeds", SEEDS)
        self.told = re.compile(keys["told"])
        self.file, self.hunks = parse(diff)


def parse(diff):
    """The file's path, and (before, after) for each hunk."""
    lines = diff.split("\n")
    path = re.fullmatch(r"\+\+\+ b/(\S+)", lines[1]).group(1)
    hunks = []
    for line in lines[2:]:
        if line.startswith("@@"):
            hunks.append(([], []))
        elif line:
            if line[0] in " -":
                hunks[-1][0].append(line[1:])
            if line[0] in " +":
                hunks[-1][1].append(line[1:])
    return path, [("\n".join(before) + "\n", "\n".join(after) + "\n") for before, after in hunks]


def mutate(mutant):
    """Writes the mutated file; returns what it was."""
    path = os.path.join(COPY, mutant.file)
    if not os.path.exists(path):
        raise Broken(f"there is no {mutant.file}")
    original = text = read(path).decode()
    for before, after in mutant.hunks:
        count = len(re.findall("^" + re.escape(before), text, re.MULTILINE))
        if count != 1:
            raise Broken(f"its lines stand {count} times in {mutant.file}; make the patch anew")
        text = text.replace(before, after)
    write(path, text.encode())
    return original


# --- the copy -------------------------------------------------------------------------------------

def read(path):
    with open(path, "rb") as file:
        return file.read()


def write(path, data):
    """Only when it changes: the build goes by the time."""
    if not os.path.exists(path) or read(path) != data:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(data)


def files_below(root):
    for top in COPIED:
        path = os.path.join(root, top)
        if os.path.isfile(path):
            yield top
        for folder, folders, names in os.walk(path):
            folders[:] = [name for name in folders if name not in ("__pycache__", "target")]
            for name in names:
                yield os.path.relpath(os.path.join(folder, name), root)


def copy_sources():
    wanted = set(files_below(ROOT))
    for gone in set(files_below(COPY)) - wanted:
        os.remove(os.path.join(COPY, gone))
    for path in wanted:
        write(os.path.join(COPY, path), read(os.path.join(ROOT, path)))


def build(jobs):
    if not os.path.exists(os.path.join(BUILD, "build.ninja")):
        command(["meson", "setup", BUILD, COPY, "-Dtests=enabled", "-Dwerror=false"])
    command(["ninja", "-C", BUILD, "-j", str(jobs), "tests/sim/sim"])


def command(arguments):
    ended = subprocess.run(arguments, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                           stderr=subprocess.STDOUT, text=True, errors="replace")
    if ended.returncode != 0:
        raise Broken(f"{arguments[0]} failed:\n{ended.stdout[-4000:]}")


# --- runs -----------------------------------------------------------------------------------------

def failures(scenario, seeds, jobs):
    """Runs the simulator on the seeds, and yields what failed, as it fails."""
    path = os.path.join(COPY, "tests", "sim", "scenarios", scenario + ".sim")
    run = subprocess.Popen([SIM, "--seeds", seeds, "--jobs", str(jobs), "--scenario", path],
                           stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                           stderr=subprocess.STDOUT, text=True, errors="replace",
                           start_new_session=True)
    ended = False
    try:
        for line in run.stdout:
            found = re.match(r"seed (\d+) \([^)]*\): (.*)", line)
            if found:
                yield Failure(scenario, int(found.group(1)), found.group(2))
            ended = ended or re.match(r"\d+ passed, \d+ failed", line) is not None
        if not ended:
            yield Failure(scenario, 0, "the simulator did not come to its end")
    finally:
        try:
            os.killpg(run.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        run.wait()
        run.stdout.close()


def first_told(mutant, jobs):
    """The first failure that is the auditor's; what else failed is an error without it."""
    others = []
    started = time.monotonic()
    for scenario in mutant.scenarios:
        for failure in failures(scenario, mutant.seeds, jobs):
            if mutant.told.search(failure.text):
                return failure
            others.append(failure)
            if time.monotonic() - started > RUN_SECONDS_MAX:
                raise Broken(f"nothing told of it within {RUN_SECONDS_MAX} s")
    if others:
        raise Broken(f"something else failed, in {others[0].scenario}, seed {others[0].seed}: "
                     f"{others[0].text}")
    raise Broken(f"it lives: seeds {mutant.seeds} of {', '.join(mutant.scenarios)} pass")


def survey(mutant, jobs):
    first, last = map(int, mutant.seeds.split("-"))
    names = sorted(glob.glob(os.path.join(HERE, "scenarios", "*.sim")))
    for scenario in [os.path.basename(name)[:-len(".sim")] for name in names]:
        found = list(failures(scenario, mutant.seeds, jobs))
        told = [failure for failure in found if mutant.told.search(failure.text)]
        print(f"    {scenario:<12} {len(told):3} told, {len(found) - len(told):3} other, "
              f"of {last - first + 1}")
        for text in sorted({re.sub(r"\d+", "#", failure.text) for failure in found}):
            print(f"        {text[:160]}")


# --- all of it ------------------------------------------------------------------------------------

def tell(name, outcome, started):
    print(f"{name:<44} {outcome}  ({time.monotonic() - started:.1f} s)", flush=True)


def try_original(mutants, jobs):
    """On all seeds that mutants run on. The counts of scenarios."""
    seeds = {}
    for mutant in mutants:
        for scenario in mutant.scenarios:
            seeds[scenario] = max(seeds.get(scenario, SEEDS), mutant.seeds,
                                  key=lambda text: int(text.split("-")[1]))
    passed = failed = 0
    for scenario in sorted(seeds):
        started = time.monotonic()
        found = list(failures(scenario, seeds[scenario], jobs))
        failed += bool(found)
        passed += not found
        outcome = f"seed {found[0].seed} FAILED: {found[0].text}" if found else "passes, as it must"
        tell(f"nothing deleted: {scenario} {seeds[scenario]}", outcome, started)
    return passed, failed


def try_mutant(mutant, jobs, surveyed):
    """True when the auditor told."""
    started = time.monotonic()
    original = None
    try:
        original = mutate(mutant)
        build(jobs)
        if surveyed:
            print(mutant.name)
            survey(mutant, jobs)
            return True
        failure = first_told(mutant, jobs)
        tell(mutant.name, f"{failure.scenario}, seed {failure.seed}: {failure.text}", started)
        return True
    except Broken as broken:
        tell(mutant.name, f"FAILED: {broken}", started)
        return False
    finally:
        if original is not None:
            write(os.path.join(COPY, mutant.file), original.encode())


def run(mutants, options):
    """The counts."""
    copy_sources()
    try:
        build(options.jobs)
    except Broken as broken:
        print(broken)
        return 0, 1
    passed, failed = (0, 0) if options.survey else try_original(mutants, options.jobs)
    for mutant in mutants:
        told = try_mutant(mutant, options.jobs, options.survey)
        passed += told
        failed += not told
    return passed, failed


def main():
    options = argparse.ArgumentParser(usage=__doc__.split("\n\n")[1])
    options.add_argument("--jobs", type=int, default=int(os.environ.get("JOBS", 2)))
    options.add_argument("--survey", action="store_true")
    options.add_argument("--one-in", type=int, default=1)
    options.add_argument("names", nargs="*")
    options = options.parse_args()
    mutants = [Mutant(path) for path in sorted(glob.glob(os.path.join(HERE, "mutants", "*.patch")))]
    if options.names:
        mutants = [mutant for mutant in mutants if mutant.name in options.names]
    mutants = mutants[::options.one_in]
    os.makedirs(CACHE, exist_ok=True)
    with open(os.path.join(CACHE, "lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # one run at a time works on the copy
        passed, failed = run(mutants, options)
    print(f"{passed} passed, {failed} failed, 0 skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
