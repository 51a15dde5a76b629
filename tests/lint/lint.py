#!/usr/bin/env python3
"""Checks what a compiler does not: the order of the layers, the format, generated code, documents,
and that no file outgrew what a person reads. Prints each finding as file:line and ends with the
counts."""
import filecmp
import glob
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile

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


def all_files():
    listed = subprocess.run(["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
                            cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return sorted({path for path in listed.split("\0")
                   if path and os.path.isfile(os.path.join(ROOT, path))})


def sources():
    return [path for path in all_files() if path.endswith((".c", ".h"))
            and path.startswith(("src/", "include/", "tests/", "examples/", "bench/"))]


def lines_of(path):
    """(number, line) pairs; none for what is not text."""
    with open(os.path.join(ROOT, path), "rb") as file:
        content = file.read()
    if b"\0" in content:
        return []
    return enumerate(content.decode("utf-8", errors="replace").split("\n"), 1)


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


def check_public(paths):
    """The public headers stand on C's own, and on each other."""
    for path in paths:
        if not path.startswith("include/"):
            continue
        for number, line in lines_of(path):
            match = re.match(r'\s*#include\s+["<]([^">]+)[">]', line)
            if match and not re.fullmatch(r"ottla/\w+\.h|std(bool|def|int)\.h", match.group(1)):
                yield f"{path}:{number}: a public header must not include {match.group(1)}"


def check_format(paths):
    formatter = shutil.which("clang-format-14")
    if formatter is None:
        return [".clang-format:1: clang-format-14 is not installed"]
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


# --- the build ---

GENERATORS = ("tools/generate_apis.py", "tools/generate_cli.py", "tools/generate_configs.py",
              "tools/generate_crc.py", "tools/generate_man.py", "tools/generate_messages.py")


def introspect(*options):
    run = subprocess.run(["meson", "introspect", "build", *options], cwd=ROOT, capture_output=True,
                         text=True)
    return json.loads(run.stdout) if run.returncode == 0 else None


def check_built(paths):
    """Every .c file is part of some build: a source that no meson.build names is dead."""
    targets = introspect("--targets")
    if targets is None:
        return ["build: not set up; tools/build.sh build -Dtests=enabled"]
    built = {os.path.relpath(source, ROOT) for target in targets
             for group in target["target_sources"] for source in group["sources"]}
    # Fuzzers are built by another compiler; their rule names them.
    with open(os.path.join(ROOT, "tests/fuzz/meson.build")) as text:
        fuzzers = text.read()
    return [f"{path}:1: no meson.build names it" for path in paths
            if path.endswith(".c") and path not in built
            and not (path.startswith("tests/fuzz/")
                     and os.path.basename(path)[:-2].replace("fuzz_", "") in fuzzers)]


def generated_targets():
    """(generator, command, outputs) of everything that the build generates."""
    for target in introspect("--targets") or []:
        command = target["target_sources"][0].get("compiler", []) if target["target_sources"] else []
        name = os.path.relpath(os.path.normpath(command[0]), ROOT) if command else ""
        if name in GENERATORS:
            inputs = target["target_sources"][0]["sources"]
            whole = [each for part in command for each in (inputs if part == "@INPUT@" else [part])]
            yield name, whole, target["filename"]


def generate(command, outputs, folder, seed):
    """Runs a generator into another folder; it prints when it has no folder to write to."""
    run = subprocess.run([folder if part == "@OUTDIR@" else part for part in command],
                         capture_output=True, check=True,
                         env={**os.environ, "PYTHONHASHSEED": seed})
    if "@OUTDIR@" not in command:
        with open(os.path.join(folder, os.path.basename(outputs[0])), "wb") as file:
            file.write(run.stdout)


def check_generated(_):
    """What the build folder holds is what the generators make now, whatever the order of Python's
    hashes."""
    targets = list(generated_targets())
    if {name for name, _, _ in targets} != set(GENERATORS):
        yield f"build: generates with {sorted({name for name, _, _ in targets})}"
    for name, command, outputs in targets:
        for seed in ("1", "2"):
            with tempfile.TemporaryDirectory() as folder:
                generate(command, outputs, folder, seed)
                for output in outputs:
                    made = os.path.join(folder, os.path.basename(output))
                    if not (os.path.exists(output) and filecmp.cmp(made, output, shallow=False)):
                        yield f"{name}:1: a fresh run makes another {os.path.basename(output)}"


def check_pins(_):
    """Test packages are pinned: Python's by ==, Maven's plugins and dependencies by a version."""
    for number, line in lines_of("tests/requirements.txt"):
        if line and not line.startswith("#") and not re.fullmatch(r"[\w.-]+==[\w.]+", line):
            yield f"tests/requirements.txt:{number}: not pinned: {line}"
    for path in glob.glob("tests/**/pom.xml", root_dir=ROOT, recursive=True):
        text = "\n".join(line for _, line in lines_of(path))
        for block in re.findall(r"<(?:dependency|plugin)>(.*?)</(?:dependency|plugin)>", text, re.S):
            if not re.search(r"<version>[^<\[(]+</version>", block):
                yield f"{path}:1: without a version: {' '.join(block.split())}"
        if "maven-dependency-plugin" not in text:
            yield f"{path}:1: maven-dependency-plugin has no version"


# --- documents and words ---

# Words that mean something to those who wrote a change and nothing to those who read it.
WORDS = [
    (r"\b(TODO|FIXME|XXX)\b", "say it in docs/gaps.md or do it"),
    (r"(?<![\w.])/(work|root|home/\w+)/", "a path of somebody's machine"),
    (r"\b(pypi\.org|pythonhosted\.org|maven\.org|apache\.org/maven|proxy\.golang\.org|"
     r"deb\.debian\.org|npmjs\.org)\b", "where packages come from is left to the machine"),
    (r"\b[Ii]ssues? #?\d", "the text must stand without it"),
    (r"\b(this|last|previous|our) session\b", "the text must stand without it"),
    (r"\b([Ss]ub-?agents?|AI[- ]assist\w*)\b", "the text must stand without it"),
]
# Data and licences that are quoted as they are.
QUOTED = ("LICENSE", "schemas/", "tests/fixtures/", "tests/transcripts/", "tests/lint/lint.py")


def check_words(_):
    for path in all_files():
        if path.startswith(QUOTED) or path.endswith((".sum", ".bin")):
            continue
        for number, line in lines_of(path):
            for pattern, why in WORDS:
                found = re.search(pattern, line)
                if found:
                    yield f"{path}:{number}: {found.group(0)}: {why}"


def anchors_of(path):
    return {re.sub(r"[^\w\- ]", "", line.lstrip("#").strip().lower()).replace(" ", "-")
            for _, line in lines_of(path) if line.startswith("#")}


def check_links(_):
    """Links of documents lead somewhere."""
    for path in all_files():
        if not path.endswith(".md"):
            continue
        for number, line in lines_of(path):
            for link in re.findall(r"\]\(([^)\s]+)\)", re.sub(r"`[^`]*`", "", line)):
                if re.match(r"[a-z]+:", link):
                    continue
                name, _, anchor = link.partition("#")
                target = os.path.normpath(os.path.join(os.path.dirname(path), name)) if name else path
                if not os.path.exists(os.path.join(ROOT, target)):
                    yield f"{path}:{number}: leads nowhere: {link}"
                elif anchor and target.endswith(".md") and anchor not in anchors_of(target):
                    yield f"{path}:{number}: no such heading: {link}"


def check_gaps(_):
    """One line each, so that the list can be read."""
    for number, line in lines_of("docs/gaps.md"):
        if line and not re.match(r"# |- \S", line):
            yield f"docs/gaps.md:{number}: a gap is one line that begins with a dash"


def heads_of(folder, suffix, pattern):
    """For each number that a file's head names: the files' names."""
    found = {}
    for path in sorted(glob.glob(os.path.join(ROOT, folder, "*" + suffix))):
        with open(path) as file:
            named = re.search(pattern, file.read(), re.MULTILINE)
        for number in named.group(1).split() if named else []:
            found.setdefault(number, set()).add(os.path.basename(path)[:-len(suffix)])
    return found


def check_failures(_):
    """The table of failures in the simulator says what the heads of scenarios and mutants say, and
    each is brought back in three ways at least."""
    mutants = heads_of("tests/sim/mutants", ".patch", r"^failures: +(.*)$")
    scenarios = heads_of("tests/sim/scenarios", ".sim", r"^# Failures: +(.*)$")
    listed = set()
    for line, text in lines_of("docs/failures.md"):
        row = re.fullmatch(r"\| (T\d+) \| [^|]+ \| ([\w, ]+) \| ([\w\-, ]+) \|", text.rstrip())
        if not row:
            continue
        number = row.group(1)
        listed.add(number)
        for said, known, what in ((row.group(2), scenarios, "scenarios"), (row.group(3), mutants, "mutants")):
            differ = set(said.split(", ")) ^ known.get(number, set())
            if differ:
                yield f"docs/failures.md:{line}: {number}: {what} whose heads say otherwise: {sorted(differ)}"
        if len(mutants.get(number, ())) < 3:
            yield f"docs/failures.md:{line}: {number}: fewer than three mutants"
    for number in sorted((set(mutants) | set(scenarios)) - listed):
        yield f"docs/failures.md:1: {number} is named by a head, and is not in the table"


def check_readmes(paths):
    """Every module says what it is."""
    for module in sorted({module_of(path) for path in paths} - {None}):
        readme = os.path.join("src", module, "README.md")
        if not os.path.exists(os.path.join(ROOT, readme)):
            yield f"{readme}:1: is missing"


CHECKS = [("layers", check_layers), ("public headers", check_public), ("format", check_format), ("size", check_size),
          ("globals", check_globals), ("built", check_built), ("generated", check_generated),
          ("pins", check_pins), ("words", check_words), ("links", check_links), ("gaps", check_gaps),
          ("failures", check_failures), ("readmes", check_readmes)]


def main():
    paths = sources()
    passed = failed = 0
    for _, check in CHECKS:
        found = list(check(paths))
        for finding in found:
            print(finding)
        failed += 1 if found else 0
        passed += 0 if found else 1
    print(f"{passed} passed, {failed} failed, 0 skipped")
    return 1 if failed or not paths else 0


if __name__ == "__main__":
    sys.exit(main())
