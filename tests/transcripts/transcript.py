"""The text of a transcript: reading and writing. README.md says how it looks."""
import json
import os
import re

FOLDER = os.path.dirname(os.path.abspath(__file__))
COLUMNS = 120
HEAD = re.compile(r"^([a-z][a-z0-9-]*)?(>>?) (\S+)(?: (.*))?$")
AWAIT = re.compile(r"^([a-z][a-z0-9-]*)<$")
OUTCOMES = ("closed", "none")


class Step:
    """A request and its answer. `head` is the request as it was written, `api` its name (or
    "frame"), `answer` a tree, one of OUTCOMES, or None when it was never recorded."""

    def __init__(self, line, connection, head):
        self.line, self.connection, self.head = line, connection, head
        self.api, self.version, self.request = None, None, None
        self.sends, self.receives = True, True
        self.answer = None

    @property
    def name(self):
        return self.api if self.version is None else f"{self.api}:{self.version}"

    def text(self):
        if self.answer is None:
            return self.head
        return self.head + [self.answer] if isinstance(self.answer, str) \
            else self.head + show(self.answer).split("\n")


class Action:
    """Something that is done to the node: `! restart`."""

    def __init__(self, line, words):
        self.line, self.words = line, words

    def text(self):
        return ["! " + " ".join(self.words)]


class Lines:
    """Comments and empty lines, and the settings of the node."""

    def __init__(self, line):
        self.lines = [line]

    def text(self):
        return self.lines


class Transcript:
    def __init__(self, path):
        self.path = path
        self.name = os.path.basename(path)
        self.settings = {}
        self.items = []
        with open(path) as file:
            self.lines = file.read().split("\n")
        self.at = 0
        while self.at < len(self.lines):
            self.read_item()

    def steps(self):
        return [item for item in self.items if isinstance(item, Step)]

    def fail(self, text):
        raise SyntaxError(f"{self.path}:{self.at}: {text}")

    def read_item(self):
        line = self.lines[self.at]
        self.at += 1
        if line.startswith("! "):
            self.items.append(Action(self.at, line[2:].split()))
        elif HEAD.match(line):
            self.items.append(self.read_request(HEAD.match(line), line))
        elif AWAIT.match(line):
            self.items.append(self.read_await(AWAIT.match(line), line))
        elif line == "" or line.startswith("#"):
            self.items.append(Lines(line))
        elif line.startswith("node "):
            self.items.append(Lines(line))
            self.settings.update(word.split("=", 1) for word in line.split()[1:])
        else:
            self.fail(f"not a comment, request or action: {line}")

    def read_json(self, text, end_of_line):
        """A JSON value that starts with `text` and may go on in the lines that follow."""
        taken = [text]
        while True:
            try:
                return json.loads("\n".join(taken)), taken
            except json.JSONDecodeError as error:
                if self.at == len(self.lines) or self.lines[self.at] == "":
                    self.fail(f"{end_of_line}: {error}")
            taken.append(self.lines[self.at])
            self.at += 1

    def read_request(self, match, line):
        step = Step(self.at, match[1] or "broker", [line])
        step.receives = match[2] == ">"
        api, _, version = match[3].partition(":")
        step.api, step.version = api, int(version) if version else None
        if match[4]:
            step.request, lines = self.read_json(match[4], "the request")
            step.head += lines[1:]
        else:
            step.request = {}
        return self.read_answer(step) if step.receives else step

    def read_await(self, match, line):
        asked = [step for step in self.steps()
                 if step.connection == match[1] and not step.receives]
        if not asked:
            self.fail("nothing was asked on this connection")
        step = Step(self.at, match[1], [line])
        step.api, step.version, step.sends = asked[-1].api, asked[-1].version, False
        step.request = asked[-1].request
        return self.read_answer(step)

    def read_answer(self, step):
        line = self.lines[self.at] if self.at < len(self.lines) else ""
        if line in OUTCOMES:
            step.answer = line
            self.at += 1
        elif line.startswith("{"):
            self.at += 1
            if line == "{":  # ends with a brace of its own, whatever is in between
                end = self.lines.index("}", self.at)
                step.answer = json.loads("\n".join(self.lines[self.at - 1:end + 1]))
                self.at = end + 1
            else:
                step.answer = json.loads(line)
        return step

    def write(self):
        lines = [line for item in self.items for line in item.text()]
        with open(self.path, "w") as file:
            file.write("\n".join(lines))


# --- JSON for people: what fits on a line is on one line ---

def show(value, indent=0, used=0):
    """used: columns of the first line that are taken by what stands before the value."""
    line = json.dumps(value, ensure_ascii=False)
    if used + len(line) < COLUMNS or not isinstance(value, (dict, list)) or not value:
        return line
    inner = " " * (indent + 2)
    if isinstance(value, list):
        parts = [inner + show(item, indent + 2, indent + 2) for item in value]
        return "[\n" + ",\n".join(parts) + "\n" + " " * indent + "]"
    lines, open_line = [], False
    for name, item in value.items():
        label = json.dumps(name, ensure_ascii=False) + ": "
        text = label + show(item, indent + 2, indent + 2 + len(label))
        short = "\n" not in text and is_flat(item)
        if short and open_line and len(lines[-1]) + 2 + len(text) < COLUMNS:
            lines[-1] += ", " + text
        else:
            lines.append(inner + text)
        open_line = short
    return "{\n" + ",\n".join(lines) + "\n" + " " * indent + "}"


def is_flat(value):
    """Fields with such values share lines."""
    if isinstance(value, list):
        return not any(isinstance(item, (dict, list)) for item in value)
    return not isinstance(value, dict) or not value


def transcripts():
    """All transcripts, in order."""
    names = sorted(name for name in os.listdir(FOLDER) if name.endswith(".txt"))
    return [os.path.join(FOLDER, name) for name in names
            if name not in ("volatile.txt", "differences.txt", "errors.txt")]
