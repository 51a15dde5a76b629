"""The tools that tests use, whatever the machine's PATH says: Debian's, a JDK 17 from Debian, and
Python, Go and Node as pinned in tests/requirements.txt.

    import toolchain; toolchain.use()          from Python
    eval "$(/usr/bin/python3 tools/toolchain.py)"    from a shell

Where packages are fetched from is left to the environment (proxies, mirrors, certificates).
"""
import glob
import os
import shlex

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
VENV = os.path.join(ROOT, ".cache", "venv")
# What would change how things are built or run.
UNWANTED = ("CFLAGS", "CPPFLAGS", "LDFLAGS", "CLASSPATH", "GOROOT", "GOFLAGS", "GOBIN", "GOWORK",
            "NODE_OPTIONS", "NODE_PATH", "PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV",
            "PYTEST_ADDOPTS", "MAKEFLAGS", "MAKELEVEL", "MFLAGS", "OTTLA", "KAFKA_LIBS",
            "KAFKA_TEST_HOME", "KAFKA_TEST_PORT")


def java_home():
    """Debian's JDK 17, or None."""
    homes = sorted(home for home in glob.glob("/usr/lib/jvm/java-17-openjdk-*")
                   if os.path.exists(os.path.join(home, "bin", "javac")))
    return homes[0] if homes else None


def settings():
    home = java_home()
    path = [os.path.join(VENV, "bin")] + ([os.path.join(home, "bin")] if home else [])
    path += ["/usr/sbin", "/usr/bin", "/sbin", "/bin"]
    found = {"PATH": ":".join(path), "CC": "gcc", "GOTOOLCHAIN": "local", "LC_ALL": "C.UTF-8",
             "PYTHONDONTWRITEBYTECODE": "1"}
    if home:
        found["JAVA_HOME"] = home
    return found


def environment():
    """The environment that a test command gets."""
    kept = {name: value for name, value in os.environ.items() if name not in UNWANTED}
    return {**kept, **settings()}


def use():
    """For this process and those it starts. What a caller set on purpose (OTTLA=...) stays."""
    os.environ.update(settings())


if __name__ == "__main__":
    for item in settings().items():
        print("export {}={}".format(*map(shlex.quote, item)))
