"""What is measured. Each function takes a broker that runs and returns {key: value}."""
import contextlib
import glob
import json
import os
import subprocess
import sys
import time

from brokers import ROOT

PARTITIONS = 4
GIB = 1 << 30
BATCHES = ["-X", "linger.ms=5", "-X", "batch.size=1000000"]  # "large batches"
SINGLE = ["-X", "linger.ms=0", "-X", "batch.size=0"]  # a request per record

# key, text (with numbers of the plan), unit, whether less is better
ROWS = [
    ("produce_1k", "broker CPU per GiB produced, 1 KiB records", "s", True),
    ("produce_100", "broker CPU per GiB produced, 100 B records", "s", True),
    ("consume_1k", "broker CPU per GiB consumed, 1 KiB records", "s", True),
    ("consume_100", "broker CPU per GiB consumed, 100 B records", "s", True),
    ("request", "broker CPU per request with one record", "µs", True),
    ("latency_p50", "record to consumer at 20,000/s, linger.ms=5, p50", "ms", True),
    ("latency_p99", "record to consumer at 20,000/s, linger.ms=5, p99", "ms", True),
    ("latency_p999", "record to consumer at 20,000/s, linger.ms=5, p99.9", "ms", True),
    ("eager_p50", "record to consumer at 20,000/s, linger.ms=0, p50", "ms", True),
    ("eager_p99", "record to consumer at 20,000/s, linger.ms=0, p99", "ms", True),
    ("eager_p999", "record to consumer at 20,000/s, linger.ms=0, p99.9", "ms", True),
    ("acknowledged_p50", "record acknowledged at 20,000/s, linger.ms=0, p50", "ms", True),
    ("acknowledged_p99", "record acknowledged at 20,000/s, linger.ms=0, p99", "ms", True),
    ("acknowledged_p999", "record acknowledged at 20,000/s, linger.ms=0, p99.9", "ms", True),
    ("idle_memory", "resident memory, idle", "MiB", True),
    ("load_memory", "resident memory, after the load", "MiB", True),
    ("idle_cpu", "CPU, idle", "%", True),
    ("start", "start to first acknowledged record", "ms", True),
    ("back_first", "back after SIGKILL, {many:,} partitions: first record", "ms", True),
    ("back_all", "back after SIGKILL, {many:,} partitions: a record in each", "ms", True),
    ("produce_rate_1k", "produced, 1 KiB records", "MiB/s", False),
    ("produce_rate_100", "produced, 100 B records", "MiB/s", False),
    ("consume_rate_1k", "consumed, 1 KiB records", "MiB/s", False),
    ("consume_rate_100", "consumed, 100 B records", "MiB/s", False),
]
CLIENT_ROWS = [
    ("produce_1k", "client CPU per million produced, 1 KiB", "s", True),
    ("produce_100", "client CPU per million produced, 100 B", "s", True),
    ("consume_1k", "client CPU per million consumed, 1 KiB", "s", True),
    ("consume_100", "client CPU per million consumed, 100 B", "s", True),
]
BESIDE = [(f"{phase}_{what}_{key}", f"{text}, {words}, {name}", unit, True)
          for what, text in (("produce", "record acknowledged"), ("fetch", "fetch answered"))
          for phase, words, unit in (("rest", "log at rest", "ms"),
                                     ("busy", "log being compacted", "ms"),
                                     ("times", "compacted / at rest", "×"))
          for key, name in (("p50", "p50"), ("p99", "p99"), ("p999", "p99.9"), ("max", "most"))]
COMPACTION_ROWS = [*BESIDE, ("cleanings", "compactions of the log meanwhile", "", False)]


class Wrong(Exception):
    """The measurement is worth nothing: a record is missing, or an order of ours failed."""


class Bench:
    """The load generator and the programs beside it, from one build."""

    def __init__(self, build, folder, plan):
        self.build, self.folder, self.plan = build, folder, plan
        self.ottla = os.path.join(build, "src", "bin", "ottla")
        self.client_cores = None

    def program(self, name):
        return os.path.join(self.build, "bench", name)

    def environment(self):
        return {"PATH": os.environ["PATH"], "HOME": self.folder}

    def pin_client(self):
        if self.client_cores:
            os.sched_setaffinity(0, self.client_cores)

    def run(self, command, check=True, **options):
        run = subprocess.run(list(map(str, command)), capture_output=True, text=True,
                             env=self.environment(), preexec_fn=self.pin_client, **options)
        if check and run.returncode != 0:
            raise Wrong(f"{' '.join(map(str, command))}: {run.stderr.strip()}")
        return run.stdout

    def command(self, broker, *words):
        return [self.ottla, *words, "-b", broker.bootstrap]

    def bench(self, broker, what, topic, *words):
        os.sync()  # what was written before is not written back meanwhile
        return json.loads(self.run(self.command(broker, "bench", what, topic, *words, "-o", "json",
                                                "--broker-pid", broker.pid)))

    def create(self, broker, topic, partitions=PARTITIONS):
        self.run(self.command(broker, "topic", "create", topic, "-p", partitions))

    def delete(self, broker, *topics):
        self.run(self.command(broker, "topic", "delete", *topics, "--if-exists"))

    def floor(self, *words):
        os.sync()
        return json.loads(self.run([self.program("floor"), words[0], self.folder, *words[1:]]))

    def librdkafka(self, *words):
        libraries = glob.glob(os.path.join(ROOT, ".cache", "venv", "lib", "python3*",
                                           "site-packages", "confluent_kafka.libs",
                                           "librdkafka-*.so.1"))
        if not libraries:
            raise Wrong("librdkafka is not there; tools/venv.sh installs it")
        os.sync()
        return json.loads(self.run([self.program("librdkafka"), libraries[0], *words]))


def note(text):
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


# --- start and life -------------------------------------------------------------------------------

def launch_and_wait(bench, broker, topic, partitions):
    """A client that asks all the time is there before the broker is. Returns the ms from the
    process's start until a record is acknowledged, and one in each partition."""
    client = subprocess.Popen([bench.program("first"), broker.bootstrap, topic, str(partitions)],
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
                              env=bench.environment())
    time.sleep(0.2)
    started = time.monotonic()
    broker.launch()
    times = []
    for expected in ("first\n", "all\n"):
        if client.stdout.readline() != expected:
            client.wait()
            raise Wrong(f"{broker.name}: no {expected.strip()} record was acknowledged: "
                        f"{client.stderr.read().strip()}")
        times.append((time.monotonic() - started) * 1e3)
    client.communicate()
    return times


def measure_start(bench, broker):
    return {"start": launch_and_wait(bench, broker, "first", 1)[0]}


def measure_idle(bench, broker):
    time.sleep(bench.plan["settle_s"])
    before = broker.cpu_seconds()
    time.sleep(bench.plan["idle_s"])
    used = broker.cpu_seconds() - before
    return {"idle_memory": broker.resident_mib(), "idle_cpu": used / bench.plan["idle_s"] * 100}


def warm(bench, broker):
    """Each kind of work that comes later, at rates that leave the disk alone."""
    part = f"{bench.plan['warm_s'] / 5:.0f}s"
    bench.bench(broker, "produce", "warm", "-d", part, "-r", 50000, *BATCHES)
    bench.bench(broker, "produce", "warm-100", "-d", part, "-r", 200000, "-s", 100, *BATCHES)
    bench.bench(broker, "produce", "warm-single", "-d", part, "-r", 10000, "-s", 100, *SINGLE)
    bench.bench(broker, "end-to-end", "warm-travel", "-d", part, "-r", 20000, "-X", "linger.ms=5")
    until = time.monotonic() + bench.plan["warm_s"] / 5
    while time.monotonic() < until:
        bench.bench(broker, "consume", "warm")
    bench.delete(broker, "warm", "warm-100", "warm-single", "warm-travel")


def measure_kill(bench, broker):
    """SIGKILL after some records in each partition; then one more into each."""
    many = bench.plan["many"]
    bench.bench(broker, "produce", "many", "-p", many, "-n", many * 10, "-s", 100, "-w", "0s")
    broker.kill()
    first, everywhere = launch_and_wait(bench, broker, "many", many)
    return {"back_first": first, "back_all": everywhere}


# --- load -----------------------------------------------------------------------------------------

def check(written, read, broker):
    if (written["checksum"], written["acknowledged"]) != (read["checksum"], read["read"]):
        raise Wrong(f"{broker.name}: what was read is not what was written: {written} {read}")


def measure_bytes(bench, broker, name, size):
    """Produced and read back, with the same count and checksum."""
    topic = f"bytes-{name}"
    count = bench.plan["bytes"] // size
    written = bench.bench(broker, "produce", topic, "-p", PARTITIONS, "-s", size, "-n", count,
                          *BATCHES)
    read = bench.bench(broker, "consume", topic, "-X", "max.poll.records=10000")
    check(written, read, broker)
    bench.delete(broker, topic)
    return {f"produce_{name}": written["brokerCpuSecondsPerGib"],
            f"consume_{name}": read["brokerCpuSecondsPerGib"],
            f"produce_rate_{name}": written["mibPerSecond"],
            f"consume_rate_{name}": read["mibPerSecond"]}


def measure_requests(bench, broker):
    made = bench.bench(broker, "produce", "requests", "-p", 1, "-s", 100, "-n",
                       bench.plan["requests"], *SINGLE)
    if made["requests"] != made["records"]:
        raise Wrong(f"{made['requests']} requests for {made['records']} records")
    check(made, bench.bench(broker, "consume", "requests"), broker)
    bench.delete(broker, "requests")
    return {"request": made["brokerCpuSeconds"] / made["requests"] * 1e6}


@contextlib.contextmanager
def pinned(bench, broker):
    """The broker on the first core, the client on the last."""
    cores = sorted(os.sched_getaffinity(0))
    if len(cores) > 1:
        broker.pin({cores[0]})
        bench.client_cores = {cores[-1]}
    try:
        yield
    finally:
        bench.client_cores = None
        broker.pin(set(cores))


def measure_latency(bench, broker):
    """With what clients linger by default, and with requests as fast as they can be made."""
    runs = {}
    with pinned(bench, broker):
        for linger in ("5", "0"):
            runs[linger] = bench.bench(broker, "end-to-end", f"travel-{linger}", "-p", PARTITIONS,
                                       "-r", 20000, "-w", "2s", "-d", f"{bench.plan['latency_s']}s",
                                       "-X", f"linger.ms={linger}")
            bench.delete(broker, f"travel-{linger}")
    return {f"{name}_{key}": runs[linger][group][key]
            for name, linger, group in (("latency", "5", "latencyMs"), ("eager", "0", "latencyMs"),
                                        ("acknowledged", "0", "acknowledgedMs"))
            for key in ("p50", "p99", "p999")}


# --- beside a compaction --------------------------------------------------------------------------

BESIDE_WRITES, BESIDE_READS = 4000, 500  # a second
BESIDE_TOPIC = {"cleanup.policy": "compact", "segment.bytes": 4 << 20,
                "min.cleanable.dirty.ratio": 1}  # 1: it is left alone


def cleaned_to(broker, topic):
    """The line of the topic's first partition in the cleaner's checkpoint."""
    try:
        with open(os.path.join(broker.folder, "data", "cleaner-offset-checkpoint")) as file:
            return next((line for line in file if line.startswith(f"{topic} 0 ")), None)
    except FileNotFoundError:
        return None


def measure_beside(bench, broker, topic):
    """Latencies by what they are of, and how often the log was compacted meanwhile."""
    os.sync()
    plan = bench.plan
    client = subprocess.Popen(
        [bench.program("beside"), broker.bootstrap, topic, "load", str(plan["keys"]),
         str(BESIDE_WRITES), str(BESIDE_READS), str(plan["beside_s"])],
        stdout=subprocess.PIPE, text=True, env=bench.environment(), preexec_fn=bench.pin_client)
    seen = {cleaned_to(broker, topic)}
    while client.poll() is None:
        seen.add(cleaned_to(broker, topic))
        time.sleep(0.1)
    if client.returncode != 0:
        raise Wrong(f"{broker.name}: produce and fetch beside a compaction failed")
    return json.loads(client.stdout.read()), len(seen) - 1


def measure_compaction(bench, broker):
    """The same load on the same log twice: left alone, then compacted again and again, because
    each segment of 4 MiB that is full makes it dirty."""
    topic = "beside"
    settings = [word for key, value in BESIDE_TOPIC.items() for word in ("-c", f"{key}={value}")]
    bench.run(bench.command(broker, "topic", "create", topic, "-p", 1, *settings))
    bench.run(bench.command(broker, "config", "set", "broker/", "log.cleaner.backoff.ms=100"))
    bench.run([bench.program("beside"), broker.bootstrap, topic, "fill", bench.plan["keys"]])
    with pinned(bench, broker):
        rest, none = measure_beside(bench, broker, topic)
        bench.run(bench.command(broker, "config", "set", f"topic/{topic}",
                                "min.cleanable.dirty.ratio=0"))
        busy, cleanings = measure_beside(bench, broker, topic)
    if none > 0 or cleanings < 2:
        raise Wrong(f"{broker.name}: compacted {none} times at rest, {cleanings} times else")
    bench.run(bench.command(broker, "config", "unset", "broker/", "log.cleaner.backoff.ms"))
    bench.delete(broker, topic)
    result = {"cleanings": cleanings}
    for what in ("produce", "fetch"):
        for key in ("p50", "p99", "p999", "max"):
            before, during = rest[f"{what}Ms"][key], busy[f"{what}Ms"][key]
            result.update({f"rest_{what}_{key}": before, f"busy_{what}_{key}": during,
                           f"times_{what}_{key}": during / before})
    return result


def measure_floor(bench):
    mib, requests = bench.plan["bytes"] >> 20, bench.plan["requests"]
    written = bench.floor("receive", mib, 1000000)["cpuSecondsPerGib"]
    sent = bench.floor("send", mib, 1 << 20)["cpuSecondsPerGib"]
    return {"produce_1k": written, "produce_100": written, "consume_1k": sent, "consume_100": sent,
            "request": bench.floor("request", requests, 200)["cpuMicrosecondsPerRequest"]}


# --- the clients ----------------------------------------------------------------------------------

def compare_clients(bench, broker, name, size):
    """libottla and librdkafka, the same records to and from the same broker. Each reads what the
    other has written."""
    count = bench.plan["client_bytes"] // size
    topics = {"libottla": f"clients-o-{name}", "librdkafka": f"clients-r-{name}"}
    for topic in topics.values():
        bench.create(broker, topic)
    ours = bench.bench(broker, "produce", topics["libottla"], "-s", size, "-w", "1s", "-n", count,
                       *BATCHES)
    theirs = bench.librdkafka("produce", broker.bootstrap, topics["librdkafka"], PARTITIONS, size,
                              1, count, "linger.ms=5", "batch.size=1000000",
                              "enable.idempotence=true", "queue.buffering.max.kbytes=32768",
                              "queue.buffering.max.messages=1000000")
    read = bench.bench(broker, "consume", topics["librdkafka"], "-X", "max.poll.records=10000")
    read_theirs = bench.librdkafka("consume", broker.bootstrap, topics["libottla"], PARTITIONS,
                                   ours["acknowledged"], "group.id=bench",
                                   "enable.auto.commit=false", "check.crcs=true")
    check(theirs, read, broker)
    if read_theirs["checksum"] != ours["checksum"] or read_theirs["failed"]:
        raise Wrong("librdkafka has not read what libottla has written")
    bench.delete(broker, *topics.values())
    cost = "ownCpuSecondsPerMillion"
    return ({f"produce_{name}": ours[cost], f"consume_{name}": read[cost]},
            {f"produce_{name}": theirs[cost], f"consume_{name}": read_theirs[cost]})
