"""The library as it is installed: its names, its pkg-config file, its headers in C and C++, shared and
static. A program that has names like ours inside links with it all the same."""
import os
import re
import shlex
import subprocess

import pytest

from node import OTTLA, Node

BUILD = os.path.dirname(OTTLA)
PREFIX = "/usr/local"

# It defines functions that the library has inside, too.
PROGRAM = """
#include <ottla/client.h>
#include <stdio.h>
#include <stdlib.h>

int list_init(int x);
int list_init(int x) { return x + 1; }
int client_ask(int x);
int client_ask(int x) { return x + 1; }
int arena_init(int x);
int arena_init(int x) { return x + 1; }

int main(int argc, char **argv) {
    struct ottla_error error;
    struct ottla_config *config = ottla_config_new();
    struct ottla_client *client;
    int32_t count = 0;
    int code = ottla_config_set(config, "bootstrap.servers", argv[argc - 1], &error);
    if (code == OTTLA_OK) {
        code = ottla_client_new(config, &client, &error);
    }
    if (code == OTTLA_OK) {
        code = ottla_client_partition_count(client, "counted", 30000, &count, &error);
        ottla_client_free(client);
    }
    ottla_config_free(config);
    if (code != OTTLA_OK) {
        fprintf(stderr, "%s: %s\\n", ottla_code_name(code), error.text);
        return 1;
    }
    printf("%d\\n", (int)count + list_init(0) + client_ask(0) + arena_init(0) - 3);
    return 0;
}
"""


def run(command, **more):
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, **more)
    assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    return done.stdout


@pytest.fixture(scope="module")
def installed(tmp_path_factory):
    """A folder with what `meson install` puts there."""
    root = str(tmp_path_factory.mktemp("installed"))
    run(["meson", "install", "-C", BUILD, "--no-rebuild", "--quiet", "--destdir", root])
    return root


@pytest.fixture(scope="module")
def node(tmp_path_factory):
    node = Node(tmp_path_factory.mktemp("node")).start()
    yield node
    assert node.stop() == 0, node.log()


def libdir(installed):
    for folder, _, names in os.walk(installed + PREFIX):
        if "libottla.so.0" in names:
            return folder
    raise AssertionError("libottla.so.0 was not installed")


def pkg_config(installed, *options):
    environment = {**os.environ, "PKG_CONFIG_SYSROOT_DIR": installed,
                   "PKG_CONFIG_PATH": os.path.join(libdir(installed), "pkgconfig")}
    return shlex.split(run(["pkg-config", *options, "libottla"], env=environment))


def names(path, *options):
    return {line.split()[-1].split("@")[0] for line in run(["nm", *options, path]).splitlines()
            if len(line.split()) == 3}


def test_only_its_own_names_are_seen(installed):
    shared = names(os.path.join(libdir(installed), "libottla.so"), "-D", "--defined-only")
    static = names(os.path.join(libdir(installed), "libottla.a"), "-g", "--defined-only")
    assert shared
    assert shared == static
    assert all(name.startswith("ottla_") for name in shared), shared


def test_every_public_function_is_there(installed):
    shared = names(os.path.join(libdir(installed), "libottla.so"), "-D", "--defined-only")
    include = os.path.join(installed + PREFIX, "include", "ottla")
    preprocessed = "".join(
        run(["cc", "-E", "-P", "-I", os.path.dirname(include), os.path.join(include, name)])
        for name in sorted(os.listdir(include)))
    declared = set(re.findall(r"\b(ottla_\w+)\s*\((?!\*)", preprocessed))
    assert declared == shared


@pytest.mark.parametrize("compiler", [["cc", "-std=c11", "-xc"], ["clang++-14", "-std=c++17", "-xc++"]],
                         ids=["c", "c++"])
def test_headers_stand_alone(installed, tmp_path, compiler):
    for name in sorted(os.listdir(os.path.join(installed + PREFIX, "include", "ottla"))):
        source = tmp_path / "one.c"
        source.write_text(f"#include <ottla/{name}>\nint main(void) {{ return 0; }}\n")
        run([*compiler, "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-fsyntax-only",
             *pkg_config(installed, "--cflags"), str(source)])


@pytest.mark.parametrize("static", [False, True], ids=["shared", "static"])
def test_a_program_links_and_runs(installed, node, tmp_path, static):
    source, program = tmp_path / "program.c", tmp_path / "program"
    source.write_text(PROGRAM)
    libraries = pkg_config(installed, "--libs", *(["--static"] if static else []))
    if static:
        libraries = [os.path.join(libdir(installed), "libottla.a") if each == "-lottla" else each
                     for each in libraries]
    run(["cc", "-Wall", "-Werror", *pkg_config(installed, "--cflags"), str(source), "-o",
         str(program), *libraries])
    environment = {**os.environ, "LD_LIBRARY_PATH": libdir(installed)}
    assert run([str(program), node.bootstrap], env=environment) == "1\n"


def test_the_manual_is_installed(installed):
    page = os.path.join(installed + PREFIX, "share", "man", "man3", "ottla-client.3")
    with open(page) as text:
        assert "bootstrap.servers" in text.read()
