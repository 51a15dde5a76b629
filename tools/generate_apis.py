#!/usr/bin/env python3
"""Generates wire/api_keys.h, wire/api_table.c and wire/enums.h from schemas/*.tsv and *.kschema.

usage: generate_apis.py OUT_DIR APIS_TSV ENUMS_TSV SCHEMA...
"""

import os
import re
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from kschema import read_all, read_tsv, snake  # noqa: E402

GENERATED = '/* Generated from schemas/ by tools/generate_apis.py. */\n'


def versions_text(text):
    if text == '-':
        return '{0, -1}'
    low, _, high = text.partition('-')
    return f'{{{low}, {high or low}}}'


def write_keys(apis):
    width = max(len(snake(api['name'])) for api in apis)
    out = [GENERATED, '#pragma once\n', 'enum api_key {']
    out += [f'    API_{snake(api["name"]).upper():<{width}} = {api["key"]},' for api in apis]
    out += [f'    {"API_KEYS_MAX":<{width + 4}} = {max(int(a["key"]) for a in apis) + 1},', '};\n']
    return '\n'.join(out)


def headers_text(message, low, high, header):
    """What the column says when the header follows from being flexible: 1@3-8,2@9-13."""
    runs = []
    for version in range(low, high + 1):
        number = header(version in message.flexible)
        if runs and runs[-1][0] == number:
            runs[-1][2] = version
        else:
            runs.append([number, version, version])
    return ','.join(f'{n}@{a}' if a == b else f'{n}@{a}-{b}' for n, a, b in runs)


def check_headers(api, by_name):
    """api.c works header versions out instead of looking them up; here is why it may."""
    low, high = int(api['min']), int(api['max'])
    request, response = (by_name[api['name'] + kind] for kind in ('Request', 'Response'))
    always_zero = api['name'] == 'ApiVersions'
    requests = headers_text(request, low, high, lambda flexible: 2 if flexible else 1)
    responses = headers_text(response, low, high,
                             lambda flexible: 1 if flexible and not always_zero else 0)
    if (requests, responses) != (api['request_header_by_version'],
                                 api['response_header_by_version']):
        raise SystemExit(f'{api["name"]}: header versions do not follow the rule')


def api_row(api, by_name):
    parts = [f'.name = "{api["name"]}"', f'.key = {api["key"]}']
    removed = api['min'] == '-'
    span = '-' if removed else f'{api["min"]}-{api["max"]}'
    stable = '-' if removed or api['max_stable'] == '-' else f'{api["min"]}-{api["max_stable"]}'
    parts += [f'.versions = {versions_text(span)}', f'.stable_versions = {versions_text(stable)}',
              f'.broker_advertised = {versions_text(api["advertised_by_broker"])}',
              f'.controller_advertised = {versions_text(api["advertised_by_controller"])}']
    scope = api['listener_scope'].split(',')
    for member, on in (('on_broker', 'broker' in scope), ('on_controller', 'controller' in scope),
                       ('cluster_action', api['cluster_action'] == 'yes'),
                       ('forwardable', api['forwardable'] == 'yes')):
        if on:
            parts.append(f'.{member} = true')
    if not removed:
        check_headers(api, by_name)
        for member in ('request', 'response'):
            name = api['name'] + member.capitalize()
            if name not in by_name:
                raise SystemExit(f'no schema for {name}')
            parts.append(f'.{member} = &{snake(name)}_type')
    return f'    [{api["key"]}] = {{{", ".join(parts)}}},'


def record_table(name, messages):
    if not messages:
        raise SystemExit(f'no messages for {name}')
    rows = [f'    [{m.key}] = &{snake(m.name)}_type,' for m in sorted(messages, key=lambda m: m.key)]
    size = max(m.key for m in messages) + 1
    return [f'const struct wire_type *const {name}[] = {{'] + rows + \
        ['};', f'const int16_t {name}_count = {size};\n']


def write_table(apis, messages):
    by_name = {m.name: m for m in messages}
    out = [GENERATED, '#include "wire/api_int.h"', '#include "wire/messages.h"\n',
           'const struct wire_api wire_api_table[API_KEYS_MAX] = {']
    out += [api_row(api, by_name) for api in apis] + ['};\n']
    out += record_table('wire_metadata_table',
                        [m for m in messages if m.family == 'metadata'])
    for family in ('group', 'transaction', 'share'):
        for kind in ('key', 'value'):
            found = [m for m in messages if m.family == family and m.kind == f'coordinator-{kind}']
            out += record_table(f'wire_{family}_{kind}_table', found)
    return '\n'.join(out)


def enum_constant(prefix, name):
    return f'{prefix}_{re.sub(r"[^A-Za-z0-9]+", "_", name).strip("_").upper()}'


def write_enums(rows):
    """Kafka's codes inside fields."""
    groups = {}
    for row in rows:
        if row['value'] != '-':  # some go by name only
            groups.setdefault(row['enum'], []).append(row)
    out = [GENERATED, '#pragma once\n']
    for enum, members in groups.items():
        base, _, qualifier = enum.rstrip(')').partition('(')
        name = snake(base) if not qualifier else f'{qualifier}_{snake(base)}'
        out.append(f'enum kafka_{name} {{')
        out += [f'    {enum_constant("KAFKA_" + name.upper(), m["name"])} = {m["value"]},'
                for m in members]
        out.append('};\n')
    return '\n'.join(out)


def main():
    out_dir, apis_path, enums_path, schemas = sys.argv[1], sys.argv[2], sys.argv[3], sys.argv[4:]
    apis = read_tsv(apis_path)
    messages = [message for message in read_all(schemas) if message.valid]
    for name, text in (('api_keys.h', write_keys(apis)), ('api_table.c', write_table(apis, messages)),
                       ('enums.h', write_enums(read_tsv(enums_path)))):
        with open(os.path.join(out_dir, name), 'w', encoding='utf-8') as file:
            file.write(text)


if __name__ == '__main__':
    main()
