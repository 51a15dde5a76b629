"""ottla bench on Ottla and on Apache Kafka: what it says of records is true."""
import json
import signal
import time

FAILED, USAGE, NOT_FOUND, INTERRUPTED = 1, 2, 3, 130


def test_what_is_produced_is_read(broker, ottla):
    made = ottla.json("bench", "produce", "bench-a", "-n", 3000, "-s", 200, "-w", "100ms", "-p", 3,
                      "--broker-pid", broker.process.pid)
    assert (made["records"], made["bytes"], made["failed"]) == (3000, 600000, 0)
    assert made["acknowledged"] >= 3000 and made["partitions"] == 3
    assert 0 < made["requests"] <= 3000
    assert made["ownCpuSeconds"] > 0 and made["brokerCpuSeconds"] > 0
    assert made["brokerResidentMaxMib"] >= made["brokerResidentMib"] > 1
    latencies = made["acknowledgedMs"]
    assert 0 < latencies["p50"] <= latencies["p95"] <= latencies["p99"] <= latencies["p999"]
    assert latencies["p999"] <= latencies["max"]

    read = ottla.json("bench", "consume", "bench-a")
    assert (read["read"], read["checksum"]) == (made["acknowledged"], made["checksum"])
    assert read["damaged"] + read["lost"] + read["doubled"] == 0

    again = ottla.json("bench", "produce", "bench-a", "-n", 500, "-w", "0s")
    read = ottla.json("bench", "consume", "bench-a")
    assert read["read"] == made["acknowledged"] + 500
    assert int(read["checksum"], 16) == int(made["checksum"], 16) + int(again["checksum"], 16)


def test_a_fixed_rate_is_kept(ottla):
    made = ottla.json("bench", "produce", "bench-rate", "-r", "2k", "-d", "1500ms", "-w", "200ms",
                      "-s", 100, "-X", "compression.type=zstd", "--data", "text")
    assert 2900 <= made["records"] <= 3001
    assert made["rate"] == 2000
    assert ottla.json("bench", "consume", "bench-rate")["checksum"] == made["checksum"]


def test_end_to_end(ottla):
    run = ottla.json("bench", "end-to-end", "bench-e", "-r", 500, "-d", "1s", "-w", "300ms")
    assert 450 <= run["records"] <= 501
    assert run["read"] == run["acknowledged"]
    assert run["latencyMs"]["p50"] >= run["acknowledgedMs"]["p50"] * 0.5
    text = ottla.out("bench", "end-to-end", "bench-e", "-n", 10, "-w", "0s")
    assert "p99.9" in text and "Own CPU s" in text


def test_in_a_group_and_without_checks(ottla):
    ottla.run("bench", "produce", "bench-g", "-n", 1000, "-w", "0s")
    assert ottla.json("bench", "consume", "bench-g", "-g", "bench", "-n", 1000)["records"] >= 1000
    ottla.run("produce", "bench-g", "-V", "of another origin")
    run = ottla.run("bench", "consume", "bench-g", code=FAILED)
    assert "--no-verify" in run.stderr and "1 are damaged" in run.stderr
    assert ottla.json("bench", "consume", "bench-g", "--no-verify")["records"] == 1001


def test_what_is_missing_is_told(ottla):
    ottla.run("bench", "produce", "bench-lost", "-n", 1000, "-w", "0s", "-p", 1)
    ottla.run("topic", "create", "bench-copy", "-p", 1)
    lines = ottla.out("consume", "bench-lost", "-e", "-f", "%v", text=False)
    size = len(lines) // 1000
    values = [lines[i * size:(i + 1) * size] for i in range(1000)]
    assert b"".join(values) == lines
    for index in [*range(0, 10), *range(12, 20), 19]:
        ottla.run("produce", "bench-copy", "--whole", "-p", 0, input=values[index], text=False)
    told = ottla.json("bench", "consume", "bench-copy", code=FAILED)
    assert (told["read"], told["lost"], told["doubled"], told["damaged"]) == (19, 2, 1, 0)


def test_mistakes(ottla):
    for words in (["produce", "bench-x", "-s", 10], ["produce", "bench-x", "-d", "soon"],
                  ["consume", "bench-x", "-g", "bench"], ["produce", "bench-x", "-X", "acks=9"]):
        ottla.run("bench", *words, code=USAGE)
    ottla.run("bench", "produce", "bench-x", "--dry-run")
    assert "bench-x" not in ottla.out("topic", "list")
    ottla.run("bench", "produce", "bench-x", "--broker-pid", 2 ** 22 + 1, code=NOT_FOUND)


def test_an_interruption_ends_it_with_what_there_is(ottla):
    ottla.run("topic", "create", "bench-i", "-p", 1)
    run = ottla.start("bench", "produce", "bench-i", "-r", 100, "-w", "0s", "-d", "1h", "-o", "json")
    try:
        deadline = time.monotonic() + 30
        while ottla.json("bench", "consume", "bench-i")["read"] < 10:
            assert time.monotonic() < deadline
        run.send_signal(signal.SIGINT)
        out, _ = run.communicate(timeout=30)
    finally:
        run.kill()
    assert run.returncode == INTERRUPTED
    assert json.loads(out)["failed"] == 0 and json.loads(out)["records"] >= 10
