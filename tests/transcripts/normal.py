"""From an answer to what a transcript shows of it.

Most of an answer is shown as it is. Ids that a node makes up get names in the order in which they
are first seen (`$topic_id(orders)`), so it is still checked that it is the same id everywhere. Values that nobody
can foretell are shown as `*`; volatile.txt lists both kinds. Error codes are shown by name and record
batches as batches.py shows them.
"""
import base64
import json
import os
import re
import time

import batches

FOLDER = os.path.dirname(os.path.abspath(__file__))
ERR_H = os.path.join(FOLDER, "..", "..", "src", "base", "err.h")
NO_ID = (None, -1, 0, "", "A" * 22)
NAMING = ("name", "topicName", "topic")


def read_errors():
    with open(ERR_H) as file:
        found = re.findall(r"\bERR_([A-Z_0-9]+) = (-?\d+)", file.read())
    errors = {int(code): name for name, code in found if int(code) < 1000}
    errors[0] = "NONE"
    return errors


ERRORS = read_errors()


def read_table(name, columns):
    """The rows of a reviewed list: columns stand two or more spaces apart."""
    rows = []
    with open(os.path.join(FOLDER, name)) as file:
        for number, line in enumerate(file, 1):
            if line.strip() and not line.startswith("#"):
                row = re.split(r"\s{2,}", line.strip())
                if len(row) != columns:
                    raise SyntaxError(f"{name}:{number}: {columns} columns are wanted")
                rows.append(row)
    return rows


def matches(pattern, api, path, file=None):
    """[file/]Api.a.b: in that file, that API (or `*`), and a path that ends so. Indexes are no part
    of a path."""
    want_file, _, rest = pattern.rpartition("/")
    want_api, *want = rest.split(".")
    return (want_file in ("", file) and want_api in ("*", api)
            and tuple(want) == path[len(path) - len(want):])


class Volatile:
    """The list of volatile fields. A rule that was never needed is a mistake."""

    def __init__(self):
        self.rules = read_table("volatile.txt", 3)
        self.used = set()
        self.cache = {}

    def find(self, api, path, file):
        """None, "any", or the name of a kind of id."""
        key = api, path, file
        if key not in self.cache:
            self.cache[key] = next((index for index, rule in enumerate(self.rules)
                                    if matches(rule[0], api, path, file)), None)
        index = self.cache[key]
        if index is None:
            return None
        self.used.add(index)
        return self.rules[index][1]

    def unused(self):
        return [rule[0] for index, rule in enumerate(self.rules) if index not in self.used]


class Names:
    """Values that have a name in this run, of a transcript."""

    def __init__(self, file=None):
        self.file = file
        self.shown = {}   # (kind, value) -> "$name"
        self.actual = {}  # "$name" -> value
        self.texts = {}   # text that stands inside of others -> what is shown for it

    def copy(self):
        other = Names(self.file)
        other.shown, other.actual = dict(self.shown), dict(self.actual)
        other.texts = dict(self.texts)
        return other

    def bind(self, kind, value, name):
        shown, number = name, 2
        while shown in self.actual:
            shown, number = f"{name}#{number}", number + 1
        self.shown[kind, value] = shown
        self.actual[shown] = value
        if isinstance(value, str):
            self.texts[value] = shown
        return shown

    def name(self, kind, value, owner):
        if (kind, value) in self.shown:
            return self.shown[kind, value]
        whose = next((owner[key] for key in NAMING if owner.get(key)), None)
        return self.bind(kind, value, f"${kind}({whose})" if whose else f"${kind}")

    def hide(self, text):
        for value, shown in self.texts.items():
            if value in text:
                text = text.replace(value, shown)
        return text

    def fill(self, value):
        """A request as it is sent."""
        if isinstance(value, dict):
            return {key: self.fill(item) for key, item in value.items()}
        if isinstance(value, list):
            return [self.fill(item) for item in value]
        if isinstance(value, str) and "$" in value:
            if value in self.actual:
                return self.actual[value]
            for name in sorted(self.actual, key=len, reverse=True):
                value = value.replace(name, str(self.actual[name]))
        return value


def request_to_wire(value):
    """Lists of batches become the bytes that stand for them in JSON."""
    if isinstance(value, dict):
        return {key: encode_records(item) if key == "records" else request_to_wire(item)
                for key, item in value.items()}
    if isinstance(value, list):
        return [request_to_wire(item) for item in value]
    return value


def encode_records(value):
    data = batches.build(value) if isinstance(value, list) else batches.to_bytes(value)
    return None if data is None else base64.b64encode(data).decode()


def sort_key(fields):
    """The order of an array says nothing: it is sorted by the first of these fields there is, or, where
    its items have no fields, by themselves."""
    def key(item):
        found = item if not isinstance(item, dict) else next(
            (item[field] for field in fields.split(",") if item.get(field)), "")
        return f"{found:10}" if type(found) is int else str(found)
    return key


def is_now(value):
    """A time of the node's clock. Times in transcripts are of long ago."""
    return type(value) is int and abs(value - time.time() * 1000) < 3600000


def is_made_up(pattern, value):
    """Whether an id was made by the node, not chosen by the client: it has a form of its own."""
    return not pattern or re.search(pattern, value) is not None


class Normaliser:
    def __init__(self, volatile, names):
        self.volatile, self.names = volatile, names

    def show_outcome(self, api, outcome):
        """What a transcript says of what Player yielded."""
        kind, value = next(iter(outcome.items()))
        if kind == "answer":
            return self.show(api, value)
        return outcome if kind in ("frame", "error") else kind

    def show(self, api, tree):
        return self.show_value(api, (), tree, {})

    def show_value(self, api, path, value, owner):
        if isinstance(value, dict):
            return {key: self.show_value(api, path + (key,), item, value)
                    for key, item in value.items()}
        how, _, what = (self.volatile.find(api, path, self.names.file) or "").partition(" ")
        if isinstance(value, list):
            items = [self.show_value(api, path, item, owner) for item in value]
            return sorted(items, key=sort_key(what)) if how == "by" else items
        name = path[-1] if path else ""
        if name == "records" and isinstance(value, str):
            value = batches.show(base64.b64decode(value))
            return self.show_value(api, path, value, owner)
        if name in ("errorCode", "partitionErrorCode") and type(value) is int:
            return ERRORS.get(value, value)
        if isinstance(value, str):
            value = re.sub(what, "*", value) if how == "mask" else value
        if how == "now":
            return "*" if is_now(value) else value
        if how not in ("", "by", "mask") and value not in NO_ID and is_made_up(what, value):
            return "*" if how == "any" else self.names.name(how, value, owner)
        return self.names.hide(value) if isinstance(value, str) else value


# --- comparing ---

class Differences:
    """The list of values in which Ottla differs from Apache Kafka on purpose."""

    def __init__(self):
        self.rules = [(pattern, json.loads(theirs), json.loads(ours))
                      for pattern, theirs, ours, _ in read_table("differences.txt", 4)]
        self.used = set()

    def expect(self, file, api, theirs, ours, path=()):
        """What Ottla should answer where Apache Kafka answers `theirs`. `ours` only says which of
        the rules that are about something left out are needed."""
        if isinstance(theirs, dict) and isinstance(ours, dict):
            return {key: self.expect(file, api, item, ours.get(key), path + (key,))
                    for key, item in theirs.items()}
        for index, (pattern, want_theirs, want_ours) in enumerate(self.rules):
            if (matches(pattern, api, path, file) and same(theirs, want_theirs)
                    and same(ours, want_ours)):
                self.used.add(index)
                return ours
        if isinstance(theirs, list) and isinstance(ours, list):
            theirs = self.leave_out(file, api, path, theirs, ours)
            ours = ours + [None] * (len(theirs) - len(ours))
            return [self.expect(file, api, *pair, path) for pair in zip(theirs, ours)]
        return theirs

    def leave_out(self, file, api, path, theirs, ours):
        """Their array without what ours lacks on purpose: a rule `{"field": [values]}  null`."""
        for index, (pattern, what, none) in enumerate(self.rules):
            if isinstance(what, dict) and none is None and matches(pattern, api, path, file):
                field, values = next(iter(what.items()))
                have = [item.get(field) for item in ours if isinstance(item, dict)]
                kept = [item for item in theirs
                        if item.get(field) in have or item.get(field) not in values]
                if len(kept) < len(theirs):
                    self.used.add(index)
                theirs = kept
        return theirs

    def unused(self):
        return [rule[0] for index, rule in enumerate(self.rules) if index not in self.used]


def same(a, b):
    """Equal, and of the same types throughout, with fields in the same order."""
    return json.dumps(a) == json.dumps(b)


def compare(theirs, ours, place=""):
    """The places in which two answers differ: (place, theirs, ours)."""
    if isinstance(theirs, dict) and isinstance(ours, dict) and list(theirs) == list(ours):
        return [found for key in theirs
                for found in compare(theirs[key], ours[key], f"{place}.{key}")]
    if isinstance(theirs, list) and isinstance(ours, list) and len(theirs) == len(ours):
        return [found for index, pair in enumerate(zip(theirs, ours))
                for found in compare(*pair, f"{place}[{index}]")]
    return [] if same(theirs, ours) else [(place, theirs, ours)]
