#!/usr/bin/env python3
"""Prints base/crc_tables.h: CRC-32C (Castagnoli) and CRC-32 (IEEE 802.3), eight tables each."""

POLYNOMIALS = {"crc32c_tables": 0x82F63B78, "crc32_ieee_tables": 0xEDB88320}  # bits reflected


def first_table(polynomial):
    table = []
    for byte in range(256):
        crc = byte
        for _ in range(8):
            crc = crc >> 1 ^ (polynomial if crc & 1 else 0)
        table.append(crc)
    return table


def tables_of(polynomial):
    tables = [first_table(polynomial)]
    for _ in range(7):
        tables.append([crc >> 8 ^ tables[0][crc & 255] for crc in tables[-1]])
    return tables


def main():
    print("#pragma once\n\n#include <stdint.h>\n")
    print("/* [k][byte]: the CRC of the byte followed by k zero bytes. */")
    for name, polynomial in POLYNOMIALS.items():
        rows = ",\n".join("{" + ", ".join(f"0x{crc:08x}" for crc in table) + "}"
                          for table in tables_of(polynomial))
        print(f"static const uint32_t {name}[8][256] = {{\n{rows}}};")


if __name__ == "__main__":
    main()
