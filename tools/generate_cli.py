#!/usr/bin/env python3
"""Generates syntax_table.c, the options of Apache Kafka's tools, from schemas/cli.tsv.

usage: generate_cli.py OUT_DIR CLI_TSV
"""
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from generate_configs import c_text, read  # noqa: E402

NEEDS = {'yes': 'TOOL_REQUIRED', 'one-of': 'TOOL_ONE_OF', 'either': 'TOOL_EITHER'}
TYPES = {'-': 'TOOL_TEXT', 'int': 'TOOL_INT', 'long': 'TOOL_LONG'}


def identifier(tool, subcommand):
    words = tool if subcommand == '-' else f'{tool} {subcommand}'
    return words.replace('-', '_').replace(' ', '_') + '_options'


def option_row(row):
    parts = [f'.name = {c_text(row["option"])}', f'.argument = TOOL_{row["argument"].upper()}']
    if row['letter'] != '-':
        parts.append(f".letter = '{row['letter']}'")
    if row['type'] != '-':
        parts.append(f'.type = {TYPES[row["type"]]}')
    if row['required'] in NEEDS:
        parts.append(f'.need = {NEEDS[row["required"]]}')
    if row['default'] != '-':
        parts.append(f'.otherwise = {c_text(row["default"])}')
    return f'    {{{", ".join(parts)}}},'


def main():
    out_dir, tsv_path = sys.argv[1:]
    groups = {}
    words = {}
    for row in read(tsv_path):
        key = (row['tool'], row['subcommand'])
        options = groups.setdefault(key, [])
        if row['argument'] == 'words':
            words[key] = row['option'].replace('|', ',')
        else:
            options.append(row)
    out = ['/* Generated from schemas/ by tools/generate_cli.py. */\n', '#include <stddef.h>\n',
           '#include "cli/kafka/syntax.h"\n']
    for key, options in groups.items():
        out.append(f'static const struct tool_option {identifier(*key)}[] = {{')
        out += [option_row(row) for row in options]
        out.append('    {.name = NULL},\n};\n')
    out.append('const struct tool_syntax tool_syntaxes[] = {')
    for (tool, subcommand), options in groups.items():
        sub = 'NULL' if subcommand == '-' else c_text(subcommand)
        out.append(f'    {{{c_text(tool)}, {sub}, {c_text(words.get((tool, subcommand)))}, '
                   f'{identifier(tool, subcommand)}, {len(options)}}},')
    out.append('    {NULL, NULL, NULL, NULL, 0},\n};\n')
    with open(os.path.join(out_dir, 'syntax_table.c'), 'w', encoding='utf-8') as file:
        file.write('\n'.join(out))


if __name__ == '__main__':
    main()
