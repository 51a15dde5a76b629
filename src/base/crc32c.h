#pragma once

#include <stddef.h>
#include <stdint.h>

/* CRC-32C (Castagnoli), as record batches have it. Start with crc 0; feed the result back in to go
 * on. Uses the instructions of SSE4.2 where the machine has them, tables elsewhere. */
uint32_t crc32c(uint32_t crc, const void *data, size_t size);

/* CRC-32 (IEEE 802.3), as message sets of magic 0 and 1 have it. */
uint32_t crc32_ieee(uint32_t crc, const void *data, size_t size);

/* The same by tables on every machine; for tests. */
uint32_t crc32c_by_table(uint32_t crc, const void *data, size_t size);
