#!/usr/bin/env python3
"""Generates wire/messages.h and wire/messages.c from schemas/*.kschema.

Per message a C struct, and the tables of src/wire/schema.h that describe it. Runs at build time;
the output is never committed. Equal programs (one struct in several versions) are written once.

usage: generate_messages.py OUT_DIR SCHEMA...
"""

import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from kschema import PRIMITIVES, SchemaError, read_all, snake  # noqa: E402

C_TYPES = {'bool': 'bool', 'int8': 'int8_t', 'int16': 'int16_t', 'uint16': 'uint16_t',
           'int32': 'int32_t', 'uint32': 'uint32_t', 'int64': 'int64_t', 'float64': 'double',
           'uuid': 'struct uuid', 'string': 'struct str', 'bytes': 'struct bytes',
           'records': 'struct bytes'}
WIRE_SIZES = {'bool': 1, 'int8': 1, 'int16': 2, 'uint16': 2, 'int32': 4, 'uint32': 4, 'int64': 8,
              'float64': 8, 'uuid': 16}
C_KEYWORDS = {'default', 'register', 'struct', 'union', 'switch', 'case', 'int', 'long', 'short'}
DEPTH_MAX = 8  # WIRE_DEPTH_MAX

GENERATED = '/* Generated from schemas/ by tools/generate_messages.py. */\n'


def struct_name(message, struct):
    outer, inner = snake(message.name), snake(struct.name)
    if struct is message.root:
        return outer
    return inner if inner.startswith(outer + '_') else f'{outer}_{inner}'


def field_name(field):
    name = snake(field.name)
    return name + '_' if name in C_KEYWORDS else name


def json_name(field):
    return field.name[0].lower() + field.name[1:]


def kind_of(field):
    if field.struct is None:
        return 'WIRE_' + field.type.upper()
    return 'WIRE_POINTER' if field.is_pointer else 'WIRE_STRUCT'


def c_type(message, field):
    return C_TYPES.get(field.type) or 'struct ' + struct_name(message, field.struct)


# --- messages.h ---------------------------------------------------------------------------------

def declare_struct(message, struct, out):
    out.append(f'struct {struct_name(message, struct)} {{')
    for field in struct.fields:
        name, text = field_name(field), c_type(message, field)
        if field.is_array:
            out.append(f'    {text} *{name};')
            out.append(f'    int32_t {name}_count;')
        elif field.is_pointer:
            out.append(f'    {text} *{name};')
        else:
            out.append(f'    {text} {name};')
    if not struct.fields:
        out.append('    uint8_t no_fields;')
    out.append('};\n')


def write_header(messages):
    out = [GENERATED, '#pragma once\n', '#include <stdbool.h>', '#include <stdint.h>\n',
           '#include "base/bytes.h"', '#include "base/uuid.h"', '#include "wire/codec.h"\n']
    for message in messages:
        versions = f'{message.valid.low}-{message.valid.high}'
        key = '' if message.key is None else f', key {message.key}'
        out.append(f'/* {message.name}: {message.kind}{key}, versions {versions} */')
        for struct in message.structs:
            declare_struct(message, struct, out)
        out.append(f'extern const struct wire_type {snake(message.name)}_type;\n')
    return '\n'.join(out)


# --- messages.c ---------------------------------------------------------------------------------

def default_value(message, field):
    """The C initialiser of a field's default."""
    null = field.default == 'null'
    if field.is_pointer:
        if null:
            return 'NULL'
        name = struct_name(message, field.struct)
        return f'(struct {name} *)(uintptr_t)&{name}_defaults'
    if field.struct is not None:
        return initialiser(message, field.struct)
    if field.type in ('string', 'bytes', 'records'):
        if null:
            return '{NULL, 0}'
        if field.default not in (None, '""'):
            raise SchemaError(f'{message.name}.{field.name}: only "" and null are defaults of text')
        return '{"", 0}' if field.type == 'string' else '{(const uint8_t *)"", 0}'
    if field.type == 'uuid':
        return '{{0}}'
    if field.type == 'bool':
        return field.default or 'false'
    value = int(field.default or 0)
    if value == -2**31:
        return 'INT32_MIN'
    if value == 2**63 - 1:
        return 'INT64_MAX'
    return str(value)


def initialiser(message, struct):
    parts = []
    for field in struct.fields:
        name = field_name(field)
        if field.is_array:
            parts.append(f'.{name}_count = {-1 if field.default == "null" else 0}')
        else:
            parts.append(f'.{name} = {default_value(message, field)}')
    return '{' + (', '.join(parts) or '.no_fields = 0') + '}'


def versions_text(versions):
    return f'{{{versions.low}, {versions.high}}}'


def write_fields(message, struct, out):
    name = struct_name(message, struct)
    out.append(f'static const struct {name} {name}_defaults = {initialiser(message, struct)};')
    if struct.fields:
        out.append(f'static const struct wire_field {name}_fields[] = {{')
    for field in struct.fields:
        member = field_name(field)
        parts = [f'.name = "{json_name(field)}"', f'.kind = {kind_of(field)}']
        if field.is_array:
            parts += ['.array = true', f'.count_offset = offsetof(struct {name}, {member}_count)']
        if field.ignorable:
            parts.append('.ignorable = true')
        if field.never_flexible:
            parts.append('.never_flexible = true')
        parts.append(f'.tag = {-1 if field.tag is None else field.tag}')
        parts.append(f'.offset = offsetof(struct {name}, {member})')
        parts.append(f'.versions = {versions_text(field.versions)}')
        parts.append(f'.null_versions = {versions_text(field.null)}')
        parts.append(f'.tag_versions = {versions_text(field.tag_versions)}')
        if field.struct is not None:
            parts.append(f'.shape = &{struct_name(message, field.struct)}_shape')
        out.append('    {' + ', '.join(parts) + '},')
    if struct.fields:
        out.append('};')
    fields = f'{name}_fields' if struct.fields else 'NULL'
    out.append(f'static const struct wire_struct {name}_shape = {{.name = "{struct.name}", '
               f'.size = sizeof(struct {name}), .field_count = {len(struct.fields)}, '
               f'.fields = {fields}, .defaults = &{name}_defaults}};\n')


class Programs:
    """The programs of one message's structs; equal ones share a name."""

    def __init__(self, message, out):
        self.message, self.out = message, out
        self.names = {}       # text of a program -> its name
        self.least_size = {}  # name -> fewest bytes of the struct on the wire

    def value_size(self, field, program, compact):
        if field.struct is not None:
            return 1 if field.is_pointer and not field.is_array else self.least_size[program]
        if field.type in WIRE_SIZES:
            return WIRE_SIZES[field.type]
        return 1 if compact else 2 if field.type == 'string' else 4

    def op(self, struct, field, version):
        """One op as C text, and the fewest bytes the whole field takes."""
        message, name, member = self.message, struct_name(self.message, struct), field_name(field)
        compact = version in message.flexible and not field.never_flexible
        nullable = version in field.null
        program = self.program(field.struct, version) if field.struct is not None else None
        value_size = self.value_size(field, program, compact)
        if field.is_pointer and not nullable:
            raise SchemaError(f'{message.name}.{field.name}: null is legal in some versions only')
        flags = [flag for on, flag in ((field.is_array, 'WIRE_OP_ARRAY'),
                                       (nullable, 'WIRE_OP_NULLABLE'),
                                       (compact, 'WIRE_OP_COMPACT'),
                                       (version in field.tag_versions, 'WIRE_OP_TAGGED')) if on]
        parts = [f'.kind = {kind_of(field)}', f'.flags = {" | ".join(flags) or 0}',
                 f'.offset = offsetof(struct {name}, {member})',
                 f'.field = {struct.fields.index(field)}', f'.wire_size = {value_size}',
                 f'.element_size = sizeof({c_type(message, field)})']
        if field.is_array:
            parts.append(f'.count_offset = offsetof(struct {name}, {member}_count)')
        if version in field.tag_versions:
            parts.append(f'.tag = {field.tag}')
        if program is not None:
            parts.append(f'.program = &{program}')
        least = (1 if compact else 4) if field.is_array else value_size
        return '{' + ', '.join(parts) + '}', least

    def program(self, struct, version):
        flexible = version in self.message.flexible
        ops, tagged, refused, least = [], [], [], 1 if flexible else 0
        for index, field in enumerate(struct.fields):
            if version not in field.versions:
                if not field.ignorable:
                    refused.append(index)
                continue
            text, size = self.op(struct, field, version)
            if flexible and version in field.tag_versions:
                tagged.append((field.tag, text))
            else:
                ops.append(text)
                least += size
        tagged = [text for _, text in sorted(tagged)]
        return self.emit(struct, version, flexible, ops, tagged, refused, least)

    def emit(self, struct, version, flexible, ops, tagged, refused, least):
        key = repr((struct.name, flexible, ops, tagged, refused))
        if key in self.names:
            return self.names[key]
        base = struct_name(self.message, struct)
        name = f'{base}_v{version}'
        parts = [f'.shape = &{base}_shape', f'.flexible = {str(flexible).lower()}']
        for member, count, items, c_type_text in (
                ('ops', 'op_count', ops, 'struct wire_op'),
                ('tagged', 'tagged_count', tagged, 'struct wire_op'),
                ('refused', 'refused_count', [str(index) for index in refused], 'uint16_t')):
            if items:
                rows = ''.join(f'    {item},\n' for item in items)
                self.out.append(f'static const {c_type_text} {name}_{member}[] = {{\n{rows}}};')
                parts.append(f'.{member} = {name}_{member}, .{count} = {len(items)}')
        self.out.append(f'static const struct wire_program {name} = {{{", ".join(parts)}}};\n')
        self.names[key], self.least_size[name] = name, least
        return name


def check(message):
    def depth(struct):
        return 1 + max((depth(f.struct) for f in struct.fields if f.struct), default=0)

    if depth(message.root) > DEPTH_MAX:
        raise SchemaError(f'{message.name} is nested deeper than WIRE_DEPTH_MAX')
    for struct in message.structs:
        if sum(field.tag is not None for field in struct.fields) > 32:
            raise SchemaError(f'{message.name}: the writer can take 32 tags in a struct')
        for field in struct.fields:
            if field.tag is not None and field.type == 'records':
                raise SchemaError(f'{message.name}.{field.name}: a gap cannot be in a tagged field')
            if field.type not in PRIMITIVES and field.struct is None:
                raise SchemaError(f'{message.name}.{field.name}: no type {field.type}')


def write_message(message, out):
    check(message)
    for struct in message.structs:
        write_fields(message, struct, out)
    programs = Programs(message, out)
    names = [programs.program(message.root, version)
             for version in range(message.valid.low, message.valid.high + 1)]
    name = snake(message.name)
    out.append(f'static const struct wire_program *const {name}_programs[] = '
               f'{{{", ".join("&" + n for n in names)}}};')
    kind = 'WIRE_' + message.kind.upper().replace('-', '_')
    key = -1 if message.key is None else message.key
    out.append(f'_Static_assert(sizeof(struct {name}) <= WIRE_MESSAGE_SIZE_MAX, "raise it");')
    out.append(f'const struct wire_type {name}_type = {{.name = "{message.name}", '
               f'.family = "{message.family}", .kind = {kind}, .key = {key}, '
               f'.versions = {versions_text(message.valid)}, '
               f'.flexible = {versions_text(message.flexible)}, '
               f'.shape = &{name}_shape, .programs = {name}_programs}};\n')


def write_source(messages):
    out = [GENERATED, '#include "wire/messages.h"\n', '#include <stddef.h>\n',
           '#include "wire/schema.h"\n']
    for message in messages:
        write_message(message, out)
    out.append('const struct wire_type *const wire_types[] = {')
    out += [f'    &{snake(message.name)}_type,' for message in messages]
    out.append('};\n')
    out.append(f'const size_t wire_type_count = {len(messages)};\n')
    return '\n'.join(out)


def main():
    out_dir, schemas = sys.argv[1], sys.argv[2:]
    messages = [message for message in read_all(schemas) if message.valid]
    for name, text in (('messages.h', write_header(messages)),
                       ('messages.c', write_source(messages))):
        with open(os.path.join(out_dir, name), 'w', encoding='utf-8') as file:
            file.write(text)


if __name__ == '__main__':
    main()
