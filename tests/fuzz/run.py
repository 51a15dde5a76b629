#!/usr/bin/env python3
"""Builds the fuzzers and runs each for a while; then measures what lines their corpora cover.

usage: run.py [--seconds N] [--only NAME]

A run has failed when a fuzzer crashed, when the planted bug was not found, or when a source that a
fuzzer is responsible for has fewer than 90 % of its lines covered. Corpora stay in .cache/fuzz, so
that the next run starts where this one ended. Ends with `N passed, N failed, N skipped`.
"""
import argparse
import json
import os
import shutil
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
BUILD = os.path.join(ROOT, "build-fuzz")
CACHE = os.path.join(ROOT, ".cache", "fuzz")
COVERED_LEAST = 90.0
CANARY_SECONDS = 60


def tool(name):
    return shutil.which(f"{name}-14") or shutil.which(name)


def targets():
    with open(os.path.join(HERE, "targets.txt")) as file:
        for line in file:
            parts = line.split()
            if parts and not line.startswith("#"):
                yield parts[0], parts[1], parts[2].split(",")


def build():
    if not os.path.exists(os.path.join(BUILD, "build.ninja")):
        subprocess.run(["meson", "setup", BUILD, "-Dfuzz=true", "-Dwerror=false", "-Dtests=disabled",
                        "-Db_sanitize=address,undefined", "-Db_lundef=false", "-Doptimization=1"],
                       cwd=ROOT, check=True, env=dict(os.environ, CC=tool("clang")))
    subprocess.run(["ninja", "-C", BUILD, "fuzz"], check=True)


def executable(name):
    return os.path.join(BUILD, "tests", "fuzz", f"fuzz_{name}")


def make_seeds(name, content, codec):
    """A record fixture in the form of the fuzzer's input."""
    if name == "message_set":
        return [content]
    if name == "fetched":
        return [bytes([choices]) + content for choices in (0x01, 0x06, 0xf3)]
    if name == "decompress":
        return [bytes([codec | pieces << 4]) + content[61:] for pieces in (0, 6, 15)]
    return [bytes([rules, version]) + bytes(8) + content[8:]
            for rules in (0x05, 0x00, 0x0a, 0x14, 0x25, 0x41) for version in (3, 9)]


def copy_records(name, prefix, folder):
    fixtures = os.path.join(ROOT, "tests", "fixtures", "records")
    for file_name in os.listdir(fixtures):
        if file_name.startswith(prefix) and file_name.endswith(".bin"):
            with open(os.path.join(fixtures, file_name), "rb") as file:
                content = file.read()
            seeds = make_seeds(name.replace("canary_", ""), content, content[22] & 7)
            for number, seed in enumerate(seeds):
                with open(os.path.join(folder, f"{file_name}-{number}"), "wb") as file:
                    file.write(seed)


def corpus_of(name, recipe):
    """The folder with the fuzzer's inputs, with fresh seeds in it."""
    folder = os.path.join(CACHE, name)
    os.makedirs(folder, exist_ok=True)
    given = os.path.join(HERE, "corpus", name)
    if recipe.startswith("records:"):
        copy_records(name, recipe[len("records:"):], folder)
    elif recipe != "-":
        subprocess.run([executable("corpus"), recipe, folder], check=True)
    elif os.path.isdir(given):
        shutil.copytree(given, folder, dirs_exist_ok=True)
    return folder


def fuzz(name, folder, seconds):
    """True when it did not crash. What crashes it is kept beside the corpus."""
    crashes = os.path.join(CACHE, "crashes", name) + "-"
    os.makedirs(os.path.dirname(crashes), exist_ok=True)
    log = os.path.join(CACHE, f"{name}.log")
    with open(log, "w") as output:
        code = subprocess.call([executable(name), f"-max_total_time={seconds}", "-timeout=10",
                                "-rss_limit_mb=1024", "-max_len=65536", "-print_final_stats=1",
                                f"-artifact_prefix={crashes}", folder],
                               stdout=output, stderr=subprocess.STDOUT)
    with open(log, errors="replace") as output:
        text = output.read()
    runs = [line.split()[-1] for line in text.splitlines() if "number_of_executed_units" in line]
    print(f"fuzz_{name}: {runs[-1] if runs else '?'} runs in {seconds} s, "
          f"{'no crash' if code == 0 else 'CRASHED'}", flush=True)
    if code != 0:
        print(text[-4000:])
    return code == 0


def find_canary(name, folder):
    """The planted bug must end the process, and for its own reason."""
    run = subprocess.run([executable(name), f"-max_total_time={CANARY_SECONDS}",
                          f"-artifact_prefix={CACHE}/{name}-", folder],
                         capture_output=True, text=True, errors="replace")
    found = run.returncode != 0 and "heap-buffer-overflow" in run.stderr and "canary" in run.stderr
    print(f"fuzz_{name}: the planted bug was {'found' if found else 'NOT FOUND'}", flush=True)
    if not found:
        print(run.stderr[-4000:])
    return found


def profile(name, folder):
    """Runs the corpus once more and writes what it covered."""
    raw = os.path.join(CACHE, f"{name}.profraw")
    subprocess.run([executable(name), "-runs=0", folder], check=True, capture_output=True,
                   env=dict(os.environ, LLVM_PROFILE_FILE=raw))
    return raw


def coverage(profiles, sources):
    """Share of lines per source, of all fuzzers together."""
    merged = os.path.join(CACHE, "all.profdata")
    subprocess.run([tool("llvm-profdata"), "merge", "-sparse", "-o", merged, *profiles.values()],
                   check=True)
    binaries = [executable(name) for name in profiles]
    objects = [binaries[0]] + [arg for path in binaries[1:] for arg in ("-object", path)]
    export = subprocess.run([tool("llvm-cov"), "export", "-summary-only", f"-instr-profile={merged}",
                             *objects], check=True, capture_output=True, text=True)
    found = {}
    for file in json.loads(export.stdout)["data"][0]["files"]:
        path = os.path.relpath(os.path.realpath(file["filename"]), ROOT)
        if path in sources:
            found[path] = file["summary"]["lines"]["percent"]
    return found


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=int, default=30, help="for each fuzzer")
    parser.add_argument("--only", help="one fuzzer")
    arguments = parser.parse_args()
    if not all(tool(name) for name in ("clang", "llvm-profdata", "llvm-cov")):
        print("clang with libFuzzer and llvm are not installed\n0 passed, 0 failed, 1 skipped")
        return 0
    build()
    os.environ["LLVM_PROFILE_FILE"] = os.path.join(CACHE, "nobody.profraw")  # but for profile()
    results = []
    profiles, sources = {}, set()
    for name, recipe, covers in targets():
        if arguments.only in (None, name):
            folder = corpus_of(name, recipe)
            results.append(fuzz(name, folder, arguments.seconds))
            if results[-1]:
                profiles[name] = profile(name, folder)
            sources |= set(covers) - {"-"}
    for name, recipe in (("canary", "request"), ("canary_batch", "records:v2-")):
        if arguments.only in (None, name):
            results.append(find_canary(name, corpus_of(name, recipe)))
    covered = coverage(profiles, sources) if profiles else {}
    for source in sorted(sources):
        percent = covered.get(source, 0.0)
        print(f"{source}: {percent:.1f} % of lines covered")
        results.append(percent >= COVERED_LEAST)
    print(f"{results.count(True)} passed, {results.count(False)} failed, 0 skipped")
    return 1 if False in results else 0


if __name__ == "__main__":
    sys.exit(main())
