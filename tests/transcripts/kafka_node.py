"""Apache Kafka in the place of a node of ours."""
import contextlib
import os
import subprocess

from node import OTTLA, ROOT, Node

KAFKA = os.path.join(ROOT, "tests", "kafka", "kafka")


class KafkaNode(Node):
    """Like Node, with the same settings."""

    def java(self, *arguments):
        log4j = os.path.join(os.path.dirname(KAFKA), "log4j2.yaml")
        path = subprocess.run([KAFKA, "classpath"], check=True, capture_output=True, text=True)
        return ["java", "-Xmx512m", f"-Dlog4j2.configurationFile={log4j}", "-cp",
                path.stdout.strip(), *arguments]

    def launch(self, *arguments):
        path = os.path.join(self.folder, "server.properties")
        with open(path, "w") as file:
            file.write("".join(f"{key}={value}\n" for key, value in self.settings.items()
                               if not key.startswith("ottla.")))
        with open(self.log_path, "ab") as log:
            if not os.path.exists(self.settings["log.dirs"].split(",")[0]):
                subprocess.run(self.java("kafka.tools.StorageTool", "format", "--standalone",
                                         "-t", "AAAAAAAAAAAAAAAAAAAAAQ", "-c", path),
                               check=True, stdout=log, stderr=log)
            self.process = subprocess.Popen(self.java("kafka.Kafka", path, *arguments),
                                            stdout=log, stderr=log)
        return self

    def start(self, *arguments, timeout=60):
        return super().start(*arguments, timeout=timeout)

    def ready(self):
        """The broker is there, unfenced. (Its controller answers before.)"""
        run = subprocess.run([OTTLA, "rpc", self.bootstrap, "DescribeCluster:0"],
                             capture_output=True, text=True, timeout=60)
        return run.returncode == 0 and '"brokerId"' in run.stdout


@contextlib.contextmanager
def in_turns(folder, settings):
    """Ottla and Apache Kafka with the same settings, directory and ports; one runs at a time."""
    subprocess.run([KAFKA, "install"], check=True)
    ottla, kafka = Node(folder), KafkaNode(folder)
    ottla.settings.update(settings)
    kafka.settings = dict(ottla.settings)
    for name in ("port", "controller_port", "http_port"):
        setattr(kafka, name, getattr(ottla, name))
    try:
        yield ottla, kafka
    finally:
        for node in (ottla, kafka):
            if node.process is not None and node.process.poll() is None:
                node.kill()
