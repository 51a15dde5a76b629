"""A real node for tests: starts build/ottla on free ports with data in a folder of its own."""
import collections
import json
import os
import random
import signal
import socket
import subprocess
import time
import urllib.request

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
OTTLA = os.environ.get("OTTLA", os.path.join(ROOT, "build", "ottla"))


PORTS_KEPT = 1000
PORT_MIN = 10000
given_ports = collections.deque(maxlen=PORTS_KEPT)  # to nodes that may not listen on them yet


def port_max():
    """Below those that the kernel gives to clients: one of them could get the port of a node that is
    down for a moment."""
    try:
        with open("/proc/sys/net/ipv4/ip_local_port_range") as ports:
            first = int(ports.read().split()[0])
    except OSError:
        first = 32768
    return first - 1 if first > PORT_MIN + PORTS_KEPT else 65535


def is_free(port):
    with socket.socket() as tried:
        try:
            tried.bind(("127.0.0.1", port))
            return True
        except OSError:
            return False


def free_ports(count, adjacent=False):
    """Ports nobody listens on now."""
    last = port_max() - count
    while True:
        first = random.randint(PORT_MIN, last)
        ports = (list(range(first, first + count)) if adjacent
                 else random.sample(range(PORT_MIN, last), count))
        if not set(ports) & set(given_ports) and all(map(is_free, ports)):
            given_ports.extend(ports)
            return ports


class Node:
    """ottla server over `folder`. Keys given are settings over the defaults of a test."""

    def __init__(self, folder, environment=None, **settings):
        self.folder = str(folder)
        os.makedirs(self.folder, exist_ok=True)
        self.port, self.controller_port, self.http_port = free_ports(3)
        self.log_path = os.path.join(self.folder, "server.log")
        self.environment = environment or {}
        self.settings = {
            "process.roles": "broker,controller",
            "node.id": "1",
            "listeners": f"PLAINTEXT://127.0.0.1:{self.port},"
                         f"CONTROLLER://127.0.0.1:{self.controller_port}",
            "advertised.listeners": f"PLAINTEXT://127.0.0.1:{self.port}",
            "controller.listener.names": "CONTROLLER",
            "controller.quorum.bootstrap.servers": f"127.0.0.1:{self.controller_port}",
            "log.dirs": os.path.join(self.folder, "data"),
            "ottla.http.listener": f"127.0.0.1:{self.http_port}",
            "ottla.auto.format": "true",
        }
        self.settings.update({key.replace("__", "."): str(value)
                              for key, value in settings.items()})
        self.process = None

    @property
    def bootstrap(self):
        return f"127.0.0.1:{self.port}"

    @property
    def controller(self):
        return f"127.0.0.1:{self.controller_port}"

    def launch(self, *arguments):
        """Starts the process and returns at once."""
        path = os.path.join(self.folder, "server.properties")
        with open(path, "w") as file:
            file.write("".join(f"{key}={value}\n" for key, value in self.settings.items()))
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen([OTTLA, "server", path, *arguments],
                                            stdout=log, stderr=log,
                                            env={**os.environ, **self.environment})
        return self

    def start(self, *arguments, timeout=30):
        self.launch(*arguments)
        deadline = time.monotonic() + timeout
        while not self.ready():
            if self.process.poll() is not None:
                raise RuntimeError(f"the node ended with {self.process.returncode}:\n{self.log()}")
            if time.monotonic() > deadline:
                raise RuntimeError(f"the node is not ready:\n{self.log()}")
            time.sleep(0.01)
        return self

    def ready(self):
        try:
            return self.http("/ready")[0] == 200
        except OSError:
            return False

    def http(self, path):
        request = urllib.request.Request(f"http://127.0.0.1:{self.http_port}{path}")
        try:
            with urllib.request.urlopen(request, timeout=10) as response:
                return response.status, response.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()

    def metric(self, name, **labels):
        """The sum of a metric's series that carry these labels."""
        total = 0.0
        for line in self.http("/metrics")[1].splitlines():
            if line.startswith("#"):
                continue
            series, value = line.rsplit(" ", 1)
            if series.split("{")[0] == name and all(f'{key}="{want}"' in series
                                                   for key, want in labels.items()):
                total += float(value)
        return total

    def log(self):
        with open(self.log_path, errors="replace") as log:
            return log.read()

    def kill(self):
        self.process.kill()
        self.process.wait()

    def stop(self, timeout=30):
        """A controlled shutdown; returns the exit code."""
        if self.process is None or self.process.poll() is not None:
            return self.process.returncode if self.process else None
        self.process.send_signal(signal.SIGTERM)
        try:
            return self.process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.kill()
            raise

    def rpc(self, api, request=None, address=None, check=True):
        """ottla rpc: the answer as Python values."""
        run = subprocess.run([OTTLA, "rpc", address or self.bootstrap, api,
                              json.dumps(request or {})],
                             capture_output=True, text=True, timeout=60)
        if check and run.returncode != 0:
            raise RuntimeError(f"rpc {api}: {run.stderr}")
        return json.loads(run.stdout) if run.returncode == 0 else run

    def create_topic(self, name, partitions=1, **configs):
        answer = self.rpc("CreateTopics:7", {"timeoutMs": 30000, "topics": [{
            "name": name, "numPartitions": partitions, "replicationFactor": 1,
            "configs": [{"name": key.replace("_", "."), "value": str(value)}
                        for key, value in configs.items()]}]})
        assert answer["topics"][0]["errorCode"] == 0, answer
        return name
