"""errors.txt says which errors each API has and which transcript shows them; here it is held against
the transcripts and against what the node advertises. No transcript is played."""
import os
import re
import subprocess
from collections import defaultdict

import pytest

from node import OTTLA, Node
from normal import read_table
from transcript import Transcript, transcripts

NONE, NEVER, ANY = "NONE", "-", "*"


class Row:
    def __init__(self, api, error, versions, recipe):
        self.api, self.error, self.recipe = api, error, recipe
        self.versions = [] if versions == NEVER else [int(version) for version in versions.split()]
        self.files = re.split(r", ", recipe.partition(":")[0]) if self.versions else []

    def __str__(self):
        return f"{self.api} {self.error}"


rows = [Row(*row) for row in read_table("errors.txt", 4)]


# --- what there is ---

def error_codes(value):
    """Of an answer, at any depth."""
    if isinstance(value, list):
        return {code for item in value for code in error_codes(item)}
    if not isinstance(value, dict):
        return set()
    codes = {code for item in value.values() for code in error_codes(item)}
    return codes | {value[name] for name in ("errorCode", "partitionErrorCode") if name in value}


def is_success(answer):
    """Something was asked for, and all of it is well."""
    lists = [item for item in answer.values() if isinstance(item, list)]
    return error_codes(answer) <= {NONE} and (not lists or any(lists))


def named_api(step):
    """Name and version of the API; a frame by hand says whose answer it gets."""
    if step.api != "frame":
        return step.api, step.version
    return step.request.get("answer", "").partition(":")[0], step.request.get("apiVersion")


@pytest.fixture(scope="module")
def shown():
    """(API, error) -> version -> names of transcripts. The error of a success is NONE."""
    found = defaultdict(lambda: defaultdict(set))
    for path in transcripts():
        name = os.path.basename(path)[:-len(".txt")]
        for step in Transcript(path).steps():
            if not isinstance(step.answer, dict):
                continue  # closed, or nothing: no version has a word for that
            api, version = named_api(step)
            api += "@controller" if step.connection.startswith("controller") else ""
            for error in error_codes(step.answer) - {NONE}:
                found[api, error][version].add(name)
            if is_success(step.answer):
                found[api, NONE][version].add(name)
    return found


@pytest.fixture(scope="module")
def advertised(tmp_path_factory):
    """API -> (oldest, newest), of both listeners of a node."""
    listed = subprocess.run([OTTLA, "rpc", "--list"], capture_output=True, text=True, check=True)
    names, oldest_served = {}, {}
    for key, name, versions in (line.split() for line in listed.stdout.splitlines()):
        names[int(key)], oldest_served[name] = name, int(versions.partition("-")[0])
    node = Node(tmp_path_factory.mktemp("coverage")).start()
    apis = {}
    for address, where in ((node.bootstrap, ""), (node.controller, "@controller")):
        for api in node.rpc("ApiVersions:4", {"clientSoftwareName": "test",
                                              "clientSoftwareVersion": "1"}, address)["apiKeys"]:
            name = names[api["apiKey"]]
            # Produce 0 to 2 are advertised only.
            apis[name + where] = max(api["minVersion"], oldest_served[name]), api["maxVersion"]
    node.stop()
    return apis


# --- the tests ---

def test_every_api_is_shown_to_work(shown, advertised):
    excepted = {row.api for row in rows if row.error == NONE}
    missing = [f"{api}:{version}" for api, versions in sorted(advertised.items())
               for version in sorted(set(versions))
               if api not in excepted and version not in shown[api, NONE]]
    assert not missing, f"no transcript shows a success of {missing}; record one"


def test_every_error_has_its_recipe(shown, advertised):
    listed = {(row.api, row.error) for row in rows if row.versions}
    unlisted = sorted({(api, error) for api, error in shown if api in advertised}
                      - {(api, NONE) for api in advertised} - listed)
    assert not unlisted, f"errors.txt has no row of {unlisted}"


def test_every_recipe_is_carried_out(shown):
    wrong = []
    for row in rows:
        for version in row.versions:
            if not shown[row.api, row.error][version] & set(row.files):
                wrong.append(f"{row} is not shown in version {version} by {row.files}")
        for file in row.files:
            if not any(file in files for files in shown[row.api, row.error].values()):
                wrong.append(f"{row} is not shown by {file}")
    assert not wrong, "\n".join(wrong)


def test_what_cannot_be_is_nowhere(shown):
    wrong = [str(row) for row in rows if not row.versions and any(
        files for (api, error), versions in shown.items() for files in versions.values()
        if row.api in (ANY, api) and row.error == error)]
    assert not wrong, f"errors.txt says they cannot be, and transcripts show them: {wrong}"


def test_oldest_and_newest_versions_are_shown(advertised):
    wrong = []
    for row in rows:
        if row.api not in advertised and row.api != ANY:
            wrong.append(f"{row.api} is not advertised")
        elif row.versions and row.versions[-1] <= advertised[row.api][1]:
            oldest, newest = advertised[row.api]
            for version, limit, word in ((row.versions[0], oldest, "since"),
                                         (row.versions[-1], newest, "up to")):
                if version != limit and f"{word} {version}" not in row.recipe:
                    wrong.append(f"{row}: {limit} is not shown, and there is no `{word} {version}`")
    assert not wrong, "\n".join(wrong)


def test_rows_are_there_once():
    names = [str(row) for row in rows]
    assert sorted(set(names)) == sorted(names)
