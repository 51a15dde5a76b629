#!/usr/bin/env python3
"""Makes the manual page of the client library: its text with the settings of schemas/configs.

    generate_man.py VERSION PAGE.in TSV... > PAGE
"""
import os
import sys

import generate_configs


def roff(text):
    return text.replace("\\", "\\e").replace("-", "\\-").replace("…", "...")


def default_of(row):
    if row["default"] in ("(required)", "null"):
        return "none"
    return {'""': "empty"}.get(row["default"], row["default"])


def paragraph(row):
    valid = "" if row["valid"] == "-" else f"; {roff(row['valid'].removeprefix('ci '))}"
    return (f".TP\n.B {roff(row['name'])}\n{roff(row['doc'])}.\n"
            f"({row['type']}; default {roff(default_of(row))}{valid})")


def names(rows, kind):
    return ",\n".join(roff(row["name"]) for row in rows if row["class"] == kind)


def main():
    version, page, paths = sys.argv[1], sys.argv[2], sys.argv[3:]
    files = {os.path.basename(path)[:-4]: generate_configs.read(path) for path in paths}
    generate_configs.merge_clients(files)
    rows = sorted(files["client"], key=lambda row: row["name"])
    with open(page, encoding="utf-8") as file:
        text = file.read()
    for mark, value in (("@VERSION@", version),
                        ("@SETTINGS@", "\n".join(paragraph(row) for row in rows
                                                 if row["class"] == "live")),
                        ("@INERT@", names(rows, "inert")),
                        ("@PROTECTIVE@", names(rows, "protective"))):
        text = text.replace(mark, value)
    sys.stdout.write(text)


if __name__ == "__main__":
    main()
