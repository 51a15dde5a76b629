#!/usr/bin/env python3
"""Prints src/base/crc_tables.h: tables for CRC-32C (Castagnoli) and CRC-32 (IEEE 802.3)."""
def table(poly):
    t=[]
    for i in range(256):
        c=i
        for _ in range(8): c=(c>>1)^(poly if c&1 else 0)
        t.append(c)
    return t
def slices(poly):
    t=[table(poly)]
    for k in range(1,8):
        t.append([ (t[k-1][i]>>8)^t[0][t[k-1][i]&255] for i in range(256)])
    return t
def emit(name,tabs):
    out=f"static const uint32_t {name}[8][256] = {{\n"
    for t in tabs:
        out+="    {"
        for i,v in enumerate(t):
            if i%8==0: out+="\n        "
            out+=f"0x{v:08x}, "
        out=out.rstrip()+"\n    },\n"
    return out+"};\n"
# shift tables for zeros: operator advancing crc by n zero bytes, as 4x256 tables
def matmul(m,v):
    r=0;i=0
    while v:
        if v&1: r^=m[i]
        v>>=1;i+=1
    return r
def square(m): return [matmul(m,m[i]) for i in range(32)]
def zeros_op(poly,n):
    odd=[poly]+[1<<i for i in range(31)]   # one zero bit
    m=odd
    # raise to 8n bits
    bits=8*n
    result=[1<<i for i in range(32)]
    while bits:
        if bits&1: result=[matmul(m,result[i]) for i in range(32)]
        m=square(m); bits>>=1
    return result
def zeros_table(poly,n):
    op=zeros_op(poly,n)
    return [[matmul(op,i<<(8*k)) for i in range(256)] for k in range(4)]
def emit4(name,tabs):
    out=f"static const uint32_t {name}[4][256] = {{\n"
    for t in tabs:
        out+="    {"
        for i,v in enumerate(t):
            if i%8==0: out+="\n        "
            out+=f"0x{v:08x}, "
        out=out.rstrip()+"\n    },\n"
    return out+"};\n"
C=0x82f63b78; I=0xedb88320
print("/* Tables of CRC-32C and CRC-32, made by tools/generate_crc.py. */\n#pragma once\n\n#include <stdint.h>\n")
print("/* [k][byte]: the CRC of the byte followed by k zero bytes. */")
print(emit("crc32c_slices",slices(C)))
print(emit("crc32_ieee_slices",slices(I)))
print("/* What a CRC becomes when 8192, or 256, zero bytes follow; by its four bytes. */")
print(emit4("crc32c_zeros_8192",zeros_table(C,8192)))
print(emit4("crc32c_zeros_256",zeros_table(C,256)))
