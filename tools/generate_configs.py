#!/usr/bin/env python3
"""Makes the table of settings for src/config from schemas/configs/*.tsv.

    generate_configs.py OUTDIR TSV...

writes config_keys.h (enum config_key) and config_table.c (struct config_row by key). The kind of
settings is told from the file's name; see the comments in the files for their columns.
"""
import os
import re
import sys

PREFIXES = {"broker": "CONFIG_", "broker-dynamic-only": "CONFIG_", "ottla": "CONFIG_",
            "topic": "TOPIC_CONFIG_", "group": "GROUP_CONFIG_",
            "client-metrics": "CLIENT_METRICS_CONFIG_", "client": "CLIENT_CONFIG_"}
CLIENTS = ("producer", "consumer", "admin")
SCOPES = [("CONFIG_BROKER", ["broker", "broker-dynamic-only", "ottla"]),
          ("CONFIG_TOPIC", ["topic"]), ("CONFIG_GROUP", ["group"]),
          ("CONFIG_CLIENT_METRICS", ["client-metrics"]), ("CONFIG_CLIENT", ["client"])]
MODES = {"read-only": "CONFIG_READ_ONLY", "per-broker": "CONFIG_PER_BROKER",
         "cluster-wide": "CONFIG_CLUSTER_WIDE"}
RANGE = re.compile(r"^\[(-?[\d.]+),\.\.\.(?:,(-?[\d.]+))?\](?: or (-?\d+))?$")
FALLBACK = re.compile(r"^([a-z0-9.]+)(?:\(1->(\d+)\))?$")


def read(path):
    with open(path, encoding="utf-8") as file:
        lines = [line.rstrip("\n") for line in file if not line.startswith("#") and line.strip()]
    head = lines[0].split("\t")
    rows = []
    for line in lines[1:]:
        cells = line.split("\t")
        if len(cells) != len(head):
            sys.exit(f"{path}: {len(cells)} cells instead of {len(head)}: {line}")
        rows.append(dict(zip(head, cells)))
    return rows


def merge_clients(files):
    """The settings of Kafka's three clients as one list, with what client.tsv says about each."""
    ours = {row["name"]: row for row in files["client"]}
    merged = {}
    for kind in CLIENTS:
        for row in files.pop(kind):
            merged.setdefault(row["name"], []).append(row)
    if set(ours) != set(merged):
        sys.exit(f"client.tsv: lacks or has too many: {sorted(set(ours) ^ set(merged))}")
    files["client"] = []
    for name, rows in merged.items():
        own = ours[name]
        if any(row["type"] != rows[0]["type"] or row["valid"] != rows[0]["valid"] for row in rows):
            sys.exit(f"{name}: Kafka's clients disagree about it")
        default = rows[0]["default"] if own["default"] == "-" else own["default"]
        files["client"].append({**rows[0], "default": default, "class": own["class"],
                                "doc": own["doc"], "list": "-"})


def c_text(text):
    return "NULL" if text is None else '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def symbol(kind, name):
    return PREFIXES[kind] + re.sub(r"[^A-Za-z0-9]", "_", name).upper()


def check_of(name, valid):
    """The check, its choices, minimum, maximum and extra value."""
    none = ("CONFIG_CHECK_NONE", None, "-INFINITY", "INFINITY", "INT64_MIN")
    if valid in ("-", "non-empty list") or valid.startswith("[partitionId]"):
        return none
    if valid == "non-empty string":
        return ("CONFIG_CHECK_NOT_EMPTY",) + none[1:]
    if valid == "non-null string":
        return ("CONFIG_CHECK_NOT_NULL",) + none[1:]
    match = RANGE.match(valid)
    if match:
        low, high, extra = match.groups()
        return ("CONFIG_CHECK_RANGE", None, low, high or "INFINITY", extra or "INT64_MIN")
    any_case = valid.startswith("ci ")
    match = re.match(r"^(?:ci )?\[([^\[\]]+)\]$", valid)
    if not match:
        sys.exit(f"{name}: cannot read what is valid: {valid}")
    choices = match.group(1)
    if "by_duration:" in choices:
        return ("CONFIG_CHECK_OFFSET_RESET", choices) + none[2:]
    return ("CONFIG_CHECK_ONE_OF_ANY_CASE" if any_case else "CONFIG_CHECK_ONE_OF", choices) + none[2:]


def fallbacks_of(row, names):
    text = row.get("broker_synonyms", row.get("broker_synonym", "-"))
    out = []
    for item in [] if text == "-" else text.split(","):
        match = FALLBACK.match(item)
        if not match or match.group(1) not in names:
            sys.exit(f"{row['name']}: unknown fallback {item}")
        out.append(f"{{{names[match.group(1)]}, {match.group(2) or 1}}}")
    return "{" + (", ".join(out) or "{0}") + "}"


def row_text(scope, kind, row, names):
    check, choices, low, high, extra = check_of(row["name"], row["valid"])
    default = row["default"]
    required = default == "(required)"
    default = None if required or default == "null" else "" if default == '""' else default
    fields = {
        "name": c_text(row["name"]), "default_text": c_text(default),
        "valid": c_text(None if row["valid"] == "-" else row["valid"]), "choices": c_text(choices),
        "doc": c_text(None if row["doc"] == "-" else row["doc"]), "min": low, "max": high,
        "extra": extra, "fallbacks": fallbacks_of(row, names), "scope": scope,
        "type": "CONFIG_TYPE_" + row["type"].upper(), "class": "CONFIG_" + row["class"].upper(),
        "update_mode": MODES[row.get("update_mode", "cluster-wide")], "check": check,
        "list": "CONFIG_LIST_" + (row["list"].upper().replace("-", "_") if row["list"] != "-" else "ANY"),
        "required": str(required).lower(), "internal": str(row["internal"] == "yes").lower(),
        "ours": str(kind == "ottla").lower(),
        "dynamic_only": str(kind == "broker-dynamic-only").lower(),
    }
    return "{" + ", ".join(f".{key} = {value}" for key, value in fields.items()) + "}"


def main():
    out, paths = sys.argv[1], sys.argv[2:]
    files = {os.path.basename(path)[:-4]: read(path) for path in paths}
    if set(files) != set(PREFIXES) | set(CLIENTS):
        sys.exit(f"expected the files {sorted(set(PREFIXES) | set(CLIENTS))}")
    merge_clients(files)
    names = {row["name"]: symbol(kind, row["name"])
             for kind in ("broker", "broker-dynamic-only", "ottla") for row in files[kind]}
    keys, rows, firsts = [], [], []
    for scope, kinds in SCOPES:
        firsts.append(len(keys))
        both = sorted(((kind, row) for kind in kinds for row in files[kind]),
                      key=lambda pair: pair[1]["name"])
        for kind, row in both:
            keys.append(symbol(kind, row["name"]))
            rows.append(f"    [{keys[-1]}] = {row_text(scope, kind, row, names)},")
    assert len(set(keys)) == len(keys)
    firsts.append(len(keys))
    note = "/* Generated by tools/generate_configs.py from schemas/configs; not to be edited. */\n"
    with open(os.path.join(out, "config_keys.h"), "w", encoding="utf-8") as file:
        file.write(note + "#pragma once\n\n/* By scope, and sorted by name within. */\n"
                   "enum config_key {\n" + "".join(f"    {key},\n" for key in keys)
                   + "    CONFIG_KEY_COUNT\n};\n")
    with open(os.path.join(out, "config_table.c"), "w", encoding="utf-8") as file:
        file.write(note + '#include <math.h>\n\n#include "config/config_int.h"\n\n'
                   "const int16_t config_scope_starts[] = {" + ", ".join(map(str, firsts)) + "};\n\n"
                   "const struct config_row config_rows[CONFIG_KEY_COUNT] = {\n"
                   + "\n".join(rows) + "\n};\n")


if __name__ == "__main__":
    main()
