"""Programs of Apache Kafka beside a node, each a JVM of its own with the jars of tests/kafka."""
import json
import os
import signal
import subprocess
import time
import urllib.error
import urllib.request

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
KAFKA = os.path.join(ROOT, "tests", "kafka", "kafka")
LOG4J = os.path.join(ROOT, "tests", "kafka", "log4j2.yaml")


def wait_for(condition, timeout=60, what="it"):
    """Until condition() gives something true; returns that."""
    deadline = time.monotonic() + timeout
    while not (found := condition()):
        assert time.monotonic() < deadline, f"{what} did not come"
        time.sleep(0.1)
    return found


class Program:
    """A Java program that runs; what it prints is in its log."""

    class_path = None

    def __init__(self, folder, name, *arguments):
        if Program.class_path is None:
            Program.class_path = subprocess.run([KAFKA, "classpath"], capture_output=True,
                                                text=True, check=True, timeout=280).stdout.strip()
        self.name, self.log_path = name, os.path.join(folder, f"{name}.log")
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(
                ["java", "-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1",
                 f"-Dlog4j2.configurationFile={LOG4J}", "-cp", Program.class_path, *arguments],
                stdin=subprocess.PIPE, stdout=log, stderr=log)

    def log(self):
        with open(self.log_path, errors="replace") as log:
            return log.read()

    def check(self):
        """It runs; True, so that it can stand before what is waited for."""
        assert self.process.poll() is None, f"{self.name} has ended:\n{self.log()[-4000:]}"
        return True

    def kill(self):
        self.process.kill()
        self.process.wait()

    def stop(self, timeout=60):
        """As the user's Ctrl-C does; returns the exit code."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(timeout)
            except subprocess.TimeoutExpired:
                self.kill()
                raise
        return self.process.returncode


def write_properties(path, **settings):
    with open(path, "w") as file:
        file.writelines(f"{key.replace('__', '.')}={value}\n" for key, value in settings.items())
    return str(path)


class Rest:
    """The REST interface of a Connect worker."""

    def __init__(self, port):
        self.address = f"http://127.0.0.1:{port}"

    def call(self, method, path, body=None):
        """The answer, or None while there is none."""
        request = urllib.request.Request(self.address + path, method=method,
                                         data=None if body is None else json.dumps(body).encode(),
                                         headers={"Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=30) as response:
                return json.loads(response.read() or "{}")
        except (urllib.error.HTTPError, OSError):
            return None

    def runs(self, connector):
        """Whether the connector and all of its tasks run."""
        status = self.call("GET", f"/connectors/{connector}/status")
        if status is None:
            return False
        states = [status["connector"]["state"]] + [task["state"] for task in status["tasks"]]
        assert "FAILED" not in states, status
        return len(states) > 1 and set(states) == {"RUNNING"}


class Kafka:
    """One node of Apache Kafka."""

    def __init__(self, home, port):
        self.bootstrap = f"127.0.0.1:{port}"
        self.environment = {**os.environ, "KAFKA_TEST_HOME": str(home), "KAFKA_TEST_PORT": str(port),
                            "KAFKA_HEAP": "-Xmx512m"}

    def run(self, command, **options):
        # Its output is left alone: the node inherits it, and would keep a pipe open.
        subprocess.run([KAFKA, command], env=self.environment, check=True, timeout=120,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        return self

    def start(self):
        return self.run("start")

    def stop(self):
        self.run("stop")
