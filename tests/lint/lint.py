#!/usr/bin/env python3
"""Checks what a compiler does not: the order of the layers, the format, and that no file outgrew
what a person reads. Prints each finding as file:line and ends with the counts."""
import os
import re
import shutil
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

# A folder may include only itself and folders that stand before it.
LAYERS = ["base", "metrics", "config", "sys", "wire", "log", "raft", "auth", "net", "http", "meta",
          "client", "access", "strand", "quorum", "replica", "controller", "coord", "server",
          "cli", "bin"]

# Folders that may use less than all that stands before them.
ONLY = {
    "raft": {"base", "metrics", "config", "sys", "wire"},
    "meta": {"base", "metrics", "config", "sys", "wire", "log"},
    "client": {"base", "metrics", "config", "sys", "wire", "auth", "net"},
    "controller": set(LAYERS[:LAYERS.index("controller")]) - {"replica"},
    "cli": {"base", "metrics", "config", "sys", "wire", "auth", "net", "http", "client", "log",
            "meta"},
}

# System headers that only sys (and, for their library, the modules named) may include. http stands
# outside sys and the simulator, because its library brings threads and sockets of its own.
OUTSIDE = {
    r"sys/(socket|epoll|eventfd|stat|file|mman|time|resource|sendfile|statvfs|syscall)\.h":
        {"sys", "http"},
    r"(unistd|fcntl|pthread|dirent|netdb|poll|signal|time)\.h": {"sys", "http"},
    r"(arpa|netinet)/.*\.h": {"sys", "http"},
    r"microhttpd\.h": {"http"},
    r"jansson\.h": {"wire", "meta", "raft", "cli", "server", "config", "log", "quorum"},
}

LINES_MAX = 900


def sources():
    listed = subprocess.run(["git", "ls-files", "--cached", "--others", "--exclude-standard",
                             "src", "include", "tests"], cwd=ROOT, capture_output=True, text=True,
                            check=True).stdout.split()
    return [path for path in listed
            if path.endswith((".c", ".h")) and os.path.exists(os.path.join(ROOT, path))]


def module_of(path):
    parts = path.split("/")
    return parts[1] if parts[0] == "src" else None


def is_test(path):
    return path.endswith(("_test.c", "_bench.c")) or "_test_" in path


def check_layers(paths):
    for path in paths:
        module = module_of(path)
        if module is None:
            continue
        # Tests stand beside the code and may build fixtures from any layer's world.
        test = is_test(path)
        allowed = ONLY.get(module, set(LAYERS[:LAYERS.index(module)])) | {module}
        with open(os.path.join(ROOT, path)) as text:
            for number, line in enumerate(text, 1):
                match = re.match(r'\s*#include\s+["<]([^">]+)[">]', line)
                if not match:
                    continue
                included = match.group(1)
                folder = included.split("/")[0]
                if line.lstrip().startswith('#include "') and "/" in included:
                    if folder in LAYERS and folder not in allowed and not test:
                        yield f"{path}:{number}: {module} must not include {included}"
                elif not test and not line.lstrip().startswith('#include "'):
                    for pattern, modules in OUTSIDE.items():
                        if re.fullmatch(pattern, included) and module not in modules:
                            yield f"{path}:{number}: only {sorted(modules)} may include <{included}>"


def check_format(paths):
    formatter = shutil.which("clang-format-14")
    if formatter is None:
        return None
    found = []
    run = subprocess.run([formatter, "--dry-run"] + paths, cwd=ROOT, capture_output=True,
                         text=True)
    seen = set()
    for line in run.stderr.splitlines():
        match = re.match(r"(\S+?):(\d+):\d+: warning: code should be clang-formatted", line)
        if match and match.group(1) not in seen:
            seen.add(match.group(1))
            found.append(f"{match.group(1)}:{match.group(2)}: not formatted; run clang-format-14 -i")
    return found


def check_size(paths):
    for path in paths:
        with open(os.path.join(ROOT, path)) as text:
            count = sum(1 for _ in text)
        if count > LINES_MAX:
            yield f"{path}:{LINES_MAX}: {count} lines; split it"


def check_globals(paths):
    """Rule 1: no mutable global state in the libraries (file-scope variables that are not const)."""
    pattern = re.compile(r"^(static\s+)?(?!const\b)[A-Za-z_][\w ]*[\s*]+\w+(\[[^\]]*\])?\s*(=[^=].*)?;\s*$")
    for path in paths:
        if module_of(path) is None or is_test(path):
            continue
        depth = 0
        with open(os.path.join(ROOT, path)) as text:
            for number, line in enumerate(text, 1):
                if depth == 0 and line.startswith("static ") and "(" not in line.split("=")[0]:
                    if pattern.match(line) and not re.search(r"\bconst\b|_Thread_local|__thread", line):
                        yield f"{path}:{number}: a global that may change: {line.strip()}"
                depth += line.count("{") - line.count("}")


def main():
    paths = sources()
    passed = failed = skipped = 0
    checks = [("layers", check_layers), ("format", check_format), ("size", check_size),
              ("globals", check_globals)]
    for name, check in checks:
        found = check(paths)
        if found is None:
            print(f"{name}: skipped, clang-format-14 is not installed")
            skipped += 1
            continue
        found = list(found)
        for finding in found:
            print(finding)
        failed += 1 if found else 0
        passed += 0 if found else 1
    print(f"{passed} passed, {failed} failed, {skipped} skipped")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
