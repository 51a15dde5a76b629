"""The two brokers of the bench, each as who installs it would start it, in a folder of its own."""
import os
import shutil
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path[:0] = [os.path.join(ROOT, "tests"), os.path.join(ROOT, "tools")]

import toolchain  # noqa: E402
from node import free_ports  # noqa: E402

KAFKA = os.path.join(ROOT, "tests", "kafka", "kafka")
CLUSTER = "AAAAAAAAAAAAAAAAAAAAAQ"
CLOCK = os.sysconf("SC_CLK_TCK")
STOP_S = 120


class Broker:
    """A formatted directory, and a process over it."""

    def __init__(self, folder, build):
        self.folder, self.build = folder, build
        os.makedirs(folder)
        self.port, controller = free_ports(2)
        self.bootstrap = f"127.0.0.1:{self.port}"
        self.properties = os.path.join(folder, "server.properties")
        self.log_path = os.path.join(folder, "server.log")
        self.process = None
        settings = {
            "process.roles": "broker,controller", "node.id": "1",
            "listeners": f"PLAINTEXT://{self.bootstrap},CONTROLLER://127.0.0.1:{controller}",
            "advertised.listeners": f"PLAINTEXT://{self.bootstrap}",
            "controller.listener.names": "CONTROLLER",
            "controller.quorum.bootstrap.servers": f"127.0.0.1:{controller}",
            "log.dirs": os.path.join(folder, "data"),
            "offsets.topic.replication.factor": "1",  # as in the file that Kafka ships with
            "transaction.state.log.replication.factor": "1",
            "transaction.state.log.min.isr": "1",
            **self.own_settings()}
        with open(self.properties, "w") as file:
            file.writelines(f"{key}={value}\n" for key, value in settings.items())
        self.run(self.format_command())

    def own_settings(self):
        return {}

    def run(self, command):
        with open(self.log_path, "ab") as log:
            subprocess.run(command, stdout=log, stderr=log, check=True)

    def launch(self):
        """Starts the process and returns at once."""
        with open(self.log_path, "ab") as log:
            self.process = subprocess.Popen(self.command(), stdout=log, stderr=log,
                                            start_new_session=True)
        return self

    @property
    def pid(self):
        return self.process.pid

    def cpu_seconds(self):
        with open(f"/proc/{self.pid}/stat") as stat:
            fields = stat.read().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / CLOCK

    def resident_mib(self):
        with open(f"/proc/{self.pid}/status") as status:
            for line in status:
                if line.startswith("VmRSS:"):
                    return int(line.split()[1]) / 1024
        raise RuntimeError(f"{self.name} has ended; see {self.log_path}")

    def pin(self, cores):
        """All threads that it has now, and those that they make."""
        for thread in os.listdir(f"/proc/{self.pid}/task"):
            try:
                os.sched_setaffinity(int(thread), cores)
            except ProcessLookupError:
                pass

    def kill(self):
        self.process.kill()
        self.process.wait()

    def stop(self):
        if self.process is None or self.process.poll() is not None:
            return
        self.process.terminate()
        try:
            self.process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            self.kill()

    def remove(self):
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)


class Ottla(Broker):
    name = "ottla"

    def own_settings(self):
        return {"ottla.http.listener": "none"}

    def binary(self):
        return os.path.join(self.build, "src", "bin", "ottla")

    def format_command(self):
        return [self.binary(), "storage", "format", "--standalone", "-t", CLUSTER,
                "-c", self.properties]

    def command(self):
        return [self.binary(), "server", self.properties]


class Kafka(Broker):
    """With the heap and the collector of Kafka's own start script."""
    name = "kafka"
    flags = ["-Xms1g", "-Xmx1g", "-server", "-XX:+UseG1GC", "-XX:MaxGCPauseMillis=20",
             "-XX:InitiatingHeapOccupancyPercent=35", "-XX:+ExplicitGCInvokesConcurrent",
             "-Djava.awt.headless=true"]

    def java(self):
        path = subprocess.run([KAFKA, "classpath"], check=True, capture_output=True, text=True)
        java = os.path.join(toolchain.java_home() or "/usr", "bin", "java")
        log4j = os.path.join(os.path.dirname(KAFKA), "log4j2.yaml")
        return [java, *self.flags, f"-Dlog4j2.configurationFile={log4j}",
                "-cp", path.stdout.strip()]

    def format_command(self):
        self.runtime = self.java()
        return [*self.runtime, "kafka.tools.StorageTool", "format", "--standalone", "-t", CLUSTER,
                "-c", self.properties]

    def command(self):
        return [*self.runtime, "kafka.Kafka", self.properties]
