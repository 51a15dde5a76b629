#!/usr/bin/env python3
"""`make bench`: Apache Kafka and Ottla in turn on this machine, under the same load.

A turn is one broker on an empty directory: start, idle, warm-up, all rows, SIGKILL with many
partitions. Turns go A B A B. The load comes from `ottla bench`, whose consumers check count,
order and checksum of what they get; CPU and memory are the broker's own. Beside each pair of turns
stand the floor program (bench/floor.c) and librdkafka (bench/librdkafka.c). Prints a table of
medians, spreads and ratios; JSON and a picture go into a folder.
"""
import argparse
import json
import os
import shutil
import sys
import tempfile

import report
import rows
from brokers import ROOT, Kafka, Ottla

FULL = {"rounds": 3, "warm_s": 60, "settle_s": 5, "idle_s": 20, "bytes": 2 << 30,
        "requests": 200000, "latency_s": 30, "client_bytes": 1 << 30, "many": 2000,
        "keys": 300000, "beside_s": 30}
QUICK = {"rounds": 1, "warm_s": 5, "settle_s": 1, "idle_s": 3, "bytes": 128 << 20,
         "requests": 20000, "latency_s": 3, "client_bytes": 64 << 20, "many": 200,
         "keys": 60000, "beside_s": 8}


def add(samples, name, values):
    for key, value in values.items():
        samples[name].setdefault(key, []).append(value)


def measure_load(bench, broker, only):
    """The rows that want a broker that is warm."""
    result = {}
    if only("bytes"):
        rows.note(f"  {broker.name}: produced and consumed")
        result.update(rows.measure_bytes(bench, broker, "1k", 1024))
        result.update(rows.measure_bytes(bench, broker, "100", 100))
    if only("requests"):
        rows.note(f"  {broker.name}: requests of one record")
        result.update(rows.measure_requests(bench, broker))
    if only("latency"):
        rows.note(f"  {broker.name}: latency")
        result.update(rows.measure_latency(bench, broker))
    if result:
        result["load_memory"] = broker.resident_mib()
    if only("compaction"):
        rows.note(f"  {broker.name}: beside a compaction")
        result.update(rows.measure_compaction(bench, broker))
    return result


def measure_clients(bench, broker, samples):
    rows.note("  libottla and librdkafka")
    for name, size in (("1k", 1024), ("100", 100)):
        ours, theirs = rows.compare_clients(bench, broker, name, size)
        add(samples, "libottla", ours)
        add(samples, "librdkafka", theirs)


def turn(bench, make, number, only, samples):
    folder = os.path.join(bench.folder, f"{make.name}-{number}")
    broker = make(folder, bench.build)
    try:
        rows.note(f"  {broker.name}: start, idle")
        add(samples, broker.name, rows.measure_start(bench, broker))
        if only("idle"):
            add(samples, broker.name, rows.measure_idle(bench, broker))
        if any(map(only, ("bytes", "requests", "latency", "compaction"))):
            rows.note(f"  {broker.name}: warm-up")
            rows.warm(bench, broker)
            add(samples, broker.name, measure_load(bench, broker, only))
        if only("clients") and make is Ottla:
            measure_clients(bench, broker, samples)
        if only("kill"):
            rows.note(f"  {broker.name}: SIGKILL")
            add(samples, broker.name, rows.measure_kill(bench, broker))
    finally:
        broker.remove()


def measure(bench, only):
    samples = {name: {} for name in ("ottla", "kafka", "floor", "libottla", "librdkafka")}
    for number in range(bench.plan["rounds"]):
        rows.note(f"Round {number + 1} of {bench.plan['rounds']}")
        for make in (Kafka, Ottla):
            turn(bench, make, number, only, samples)
        if only("bytes") or only("requests"):
            rows.note("  floor")
            add(samples, "floor", rows.measure_floor(bench))
    return samples


def parse():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--quick", action="store_true",
                        help="a few minutes, to see that it runs; its figures are worth little")
    parser.add_argument("--rounds", type=int, help="turns of each broker")
    parser.add_argument("--only", help="some of idle,bytes,requests,latency,compaction,clients,kill")
    parser.add_argument("--build", default=os.path.join(ROOT, "build"), help="the build folder")
    parser.add_argument("--results", help="where JSON, table and picture go "
                                          "(bench-results in the build folder)")
    parser.add_argument("--folder", help="where the brokers keep their data")
    parser.add_argument("-o", dest="output", choices=["table", "json"], default="table")
    return parser.parse_args()


def main():
    arguments = parse()
    plan = dict(QUICK if arguments.quick else FULL)
    plan["rounds"] = arguments.rounds or plan["rounds"]
    chosen = arguments.only.split(",") if arguments.only else None
    folder = tempfile.mkdtemp(prefix="ottla-bench-", dir=arguments.folder)
    bench = rows.Bench(os.path.abspath(arguments.build), folder, plan)
    try:
        samples = measure(bench, lambda name: chosen is None or name in chosen)
    except rows.Wrong as error:
        sys.exit(f"bench: {error}")
    finally:
        shutil.rmtree(folder, ignore_errors=True)

    words = sys.argv[1:]
    result = report.make(" ".join(["make bench" if not words else "bench/bench.py", *words]),
                         plan, samples, rows)
    results = arguments.results or os.path.join(bench.build, "bench-results")
    os.makedirs(results, exist_ok=True)
    for name, text in (("bench.json", json.dumps(result, indent=2) + "\n"),
                       ("bench.md", report.table(result)), ("bench.svg", report.picture(result))):
        with open(os.path.join(results, name), "w") as file:
            file.write(text)
    print(json.dumps(result, indent=2) if arguments.output == "json" else report.table(result))
    rows.note(f"JSON, table and picture: {os.path.relpath(results)}")


if __name__ == "__main__":
    main()
