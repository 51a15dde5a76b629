"""Reads the .kschema notation of schemas/README.md into plain objects.

Struct types are resolved here: every field of a struct type points at its Struct, and a message's
structs are listed so that one is defined before it is used.
"""

import os
import re

PRIMITIVES = ('bool', 'int8', 'int16', 'uint16', 'int32', 'uint32', 'int64', 'float64', 'string',
              'uuid', 'bytes', 'records')
MESSAGE_KINDS = ('request', 'response', 'header', 'data', 'metadata', 'coordinator-key',
                 'coordinator-value')
VERSION_MAX = 32767


class SchemaError(Exception):
    pass


class Versions:
    """A closed range of versions; empty when it is `none`."""

    def __init__(self, low, high):
        self.low, self.high = low, high

    @classmethod
    def parse(cls, text):
        if text == 'none':
            return cls(0, -1)
        match = re.fullmatch(r'(\d+)(?:(\+)|-(\d+))?', text)
        if not match:
            raise SchemaError(f'bad version range {text!r}')
        low = int(match[1])
        high = VERSION_MAX if match[2] else int(match[3]) if match[3] else low
        return cls(low, high)

    def __contains__(self, version):
        return self.low <= version <= self.high

    def __bool__(self):
        return self.low <= self.high


NO_VERSIONS = Versions(0, -1)


class Field:
    def __init__(self, name, type_text, versions, attrs):
        self.name = name
        self.is_array = type_text.startswith('[]')
        self.type = type_text[2:] if self.is_array else type_text
        self.versions = versions
        self.null = Versions.parse(attrs['null']) if 'null' in attrs else NO_VERSIONS
        self.tag, self.tag_versions = None, NO_VERSIONS
        if 'tag' in attrs:
            tag, versions_text = attrs['tag'].split('@')
            self.tag, self.tag_versions = int(tag), Versions.parse(versions_text)
        self.default = attrs.get('default')
        self.ignorable = 'ignorable' in attrs
        self.never_flexible = attrs.get('flex') == 'none'
        self.struct = None  # set for struct types once the message is whole

    @property
    def is_pointer(self):
        """A struct that may be null is a pointer in C."""
        return self.struct is not None and not self.is_array and bool(self.null)


class Struct:
    def __init__(self, name):
        self.name = name
        self.fields = []


class Message:
    def __init__(self, kind, name, attrs, family):
        self.kind, self.name, self.family = kind, name, family
        self.key = int(attrs['key']) if 'key' in attrs else None
        self.valid = Versions.parse(attrs['valid'])
        self.flexible = Versions.parse(attrs['flex']) if 'flex' in attrs else NO_VERSIONS
        self.root = Struct(name)
        self.structs = []  # those used, inner ones first, the root last


def _parse_attrs(tokens):
    attrs = {}
    for token in tokens:
        key, _, value = token.partition('=')
        attrs[key] = value
    return attrs


def _parse_message(lines, where, family):
    """lines: [(indent, tokens, line number)] of one message, its own line first."""
    _, head, _ = lines[0]
    if head[0] not in MESSAGE_KINDS:
        raise SchemaError(f'{where}: {head[0]!r} is no kind of message')
    message = Message(head[0], head[1], _parse_attrs(head[2:]), family)
    structs = {}
    open_fields = {0: message.root}  # indent of the parent -> the struct that takes the children
    for indent, tokens, number in lines[1:]:
        if tokens[0] == 'struct' and indent == 1:
            open_fields[1] = structs.setdefault(tokens[1], Struct(tokens[1]))
            continue
        field = Field(tokens[0], tokens[1], Versions.parse(tokens[2]), _parse_attrs(tokens[3:]))
        parent = open_fields.get(indent - 1)
        if parent is None:
            raise SchemaError(f'{where}:{number}: a field has no struct above it')
        parent.fields.append(field)
        open_fields = {depth: s for depth, s in open_fields.items() if depth < indent}
        if field.type not in PRIMITIVES:
            open_fields[indent] = structs.setdefault(field.type, Struct(field.type))
    _resolve(message, structs, where)
    return message


def _resolve(message, structs, where):
    def visit(struct, path):
        if struct in path:
            raise SchemaError(f'{where}: {message.name}: struct {struct.name} contains itself')
        for field in struct.fields:
            if field.type in PRIMITIVES:
                continue
            field.struct = structs[field.type]
            if not field.struct.fields:
                raise SchemaError(f'{where}: {message.name}: struct {field.type} has no fields')
            visit(field.struct, path + [struct])
        if struct not in message.structs:
            message.structs.append(struct)

    visit(message.root, [])


def read_file(path):
    family = os.path.basename(path).removesuffix('.kschema')
    messages, lines = [], []
    with open(path, encoding='utf-8') as file:
        for number, line in enumerate(file, 1):
            text = line.rstrip('\n')
            if not text.strip() or text.lstrip().startswith('#'):
                continue
            indent = (len(text) - len(text.lstrip(' '))) // 2
            if indent == 0 and lines:
                messages.append(_parse_message(lines, path, family))
                lines = []
            lines.append((indent, text.split(), number))
    if lines:
        messages.append(_parse_message(lines, path, family))
    return messages


def read_all(paths):
    """All messages; one of an overlay file replaces its namesake and keeps its place."""
    by_name = {}
    for path in sorted(paths, key=lambda p: ('overlay' in os.path.basename(p), p)):
        for message in read_file(path):
            old = by_name.get(message.name)
            if old is not None:
                message.family = old.family
            elif message.family.startswith('overlay'):
                message.family = 'clients'
            by_name[message.name] = message
    return list(by_name.values())


def snake(name):
    """TransactionalId -> transactional_id, KRaftVersion -> kraft_version, config-offset ->
    config_offset."""
    name = name.replace('-', '_').replace('.', '_').replace('KRaft', 'Kraft')
    name = re.sub(r'([a-z0-9])([A-Z])', r'\1_\2', name)
    name = re.sub(r'([A-Z])([A-Z][a-z])', r'\1_\2', name)
    return name.lower()


def read_tsv(path):
    with open(path, encoding='utf-8') as file:
        rows = [line.rstrip('\n').split('\t') for line in file
                if line.strip() and not line.startswith('#')]
    return [dict(zip(rows[0], row)) for row in rows[1:]]
