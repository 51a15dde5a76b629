"""What Apache Kafka answered, Ottla answers. README.md says how to read the transcripts."""
import difflib
import os
from concurrent.futures import ThreadPoolExecutor

import pytest

from node import Node
from normal import NO_ID, Differences, Normaliser, Volatile, compare, is_now, same
from player import play
from transcript import Action, Transcript, show, transcripts

SETTLE_S = 0.06
PLAYERS = 3  # transcripts that are played at a time; most of the time they wait
volatile = Volatile()
differences = Differences()


def show_outcome(outcome, api, names):
    return Normaliser(volatile, names).show_outcome(api, outcome)


def replay(path, folder):
    """[(step, outcome, names before it was shown)]"""
    outcomes = []

    def keep(step, outcome, names):
        outcomes.append((step, outcome, names.copy()))
        show_outcome(outcome, step.api, names)

    node = Node(folder)
    play(Transcript(path), node, SETTLE_S, keep)
    assert node.process.returncode == 0, node.log()
    return outcomes


def waiting_s(path):
    """How long a transcript waits by its own account."""
    return sum(float(item.words[1]) for item in Transcript(path).items
               if isinstance(item, Action) and item.words[0] == "wait")


@pytest.fixture(scope="session")
def replays(request, tmp_path_factory):
    """Of each transcript that a test of this run asks for: path -> future of its replay."""
    parameters = (getattr(item, "callspec", None) for item in request.session.items)
    paths = dict.fromkeys(call.params["path"] for call in parameters if call is not None)
    with ThreadPoolExecutor(PLAYERS) as pool:
        yield {path: pool.submit(replay, path, tmp_path_factory.mktemp(name_of(path)))
               for path in sorted(paths, key=waiting_s, reverse=True)}
        pool.shutdown(cancel_futures=True)


def name_of(path):
    return os.path.basename(path)[:-len(".txt")]


def explain(found, wanted, ours):
    """The places that differ, and both answers as a diff."""
    lines = [f"    {place or 'all'}" for place, _, _ in found[:8]]
    pair = [show(answer).split("\n") for answer in (wanted, ours)]
    diff = list(difflib.unified_diff(*pair, "Apache Kafka", "Ottla", n=1, lineterm=""))
    return "\n".join(lines + ["    " + line for line in diff[2:]])


@pytest.mark.parametrize("path", transcripts(), ids=name_of)
def test_answers_as_apache_kafka_does(path, replays):
    failures = []
    for step, outcome, names in replays[path].result():
        ours = show_outcome(outcome, step.api, names.copy())
        assert step.answer is not None, f"{path}:{step.line} was never recorded (make record)"
        wanted = differences.expect(name_of(path), step.api, step.answer, ours)
        found = compare(wanted, ours)
        if found:
            failures.append(f"{os.path.relpath(path)}:{step.line} {step.name}\n"
                            + explain(found, wanted, ours))
    assert not failures, f"{len(failures)} answers differ\n" + "\n".join(failures)


# --- the self-test: every field that is not volatile counts ---

def flips(name, value):
    """Other values of the same place."""
    if name == "records" and value:
        return [flip_base64(value, place) for place in (0, len(value) // 2)] + ["AAAA", None]
    if value is None:
        return ["flipped"]
    if isinstance(value, bool):
        return [not value, None]
    if isinstance(value, (int, float)):
        return [value + 1, None]
    if isinstance(value, str):
        return [value + "x", "x" + value, None] if name != "records" else ["AAAA", None]
    return []


def flip_base64(value, place):
    return value[:place] + ("B" if value[place] != "B" else "C") + value[place + 1:]


def flipped_trees(tree, path=()):
    """Changes the tree in one place after the other, yielding where; puts everything back."""
    places = list(tree.items()) if isinstance(tree, dict) else list(enumerate(tree))
    for key, value in places:
        below = path + (key,) if isinstance(tree, dict) else path
        for flip in flips(key, value):
            tree[key] = flip
            yield below, value
            tree[key] = value
        if isinstance(value, list):
            for other in ([value[:-1]] if value else []) + [value + value[-1:] or [{}]]:
                tree[key] = other
                yield below, value
                tree[key] = value
        if isinstance(value, (dict, list)):
            yield from flipped_trees(value, below)


def is_hidden(api, path, value, names):
    """Whether a flip of this field may go unseen: anything goes, or an id is seen first."""
    rule = volatile.find(api, path, names.file)
    if rule is None or value in NO_ID:
        return False
    kind = rule.partition(" ")[0]
    if kind == "now":
        return is_now(value) and is_now(value + 1)
    return kind == "any" or (kind, value) not in names.shown


@pytest.mark.parametrize("path", transcripts(), ids=name_of)
def test_every_flip_is_seen(path, replays):
    unseen, count = [], 0
    for step, outcome, names in replays[path].result():
        tree = outcome.get("answer")
        ours = tree and show_outcome(outcome, step.api, names.copy())
        wanted = differences.expect(name_of(path), step.api, step.answer, ours)
        if not tree or not same(wanted, ours):
            continue  # closed, or differs already: the test above tells
        for place, value in flipped_trees(tree):
            flipped = show_outcome(outcome, step.api, names.copy())
            seen = not same(wanted, flipped)
            count += 1
            if not seen and not is_hidden(step.api, place, value, names):
                unseen.append(f"{step.line} {step.name} {'.'.join(map(str, place))}")
    assert not unseen, f"{len(unseen)} of {count} flips are not seen:\n" + "\n".join(unseen)


def test_lists_have_nothing_superfluous(replays):
    if len(replays) < len(transcripts()):
        pytest.skip("only with all transcripts")
    assert not volatile.unused()
    assert not differences.unused()
