#pragma once

#include <stddef.h>
#include <stdint.h>

/* CRC-32C (Castagnoli), as record batches have it. Start with crc 0; feed the result back in to go
 * on. Uses SSE4.2 or the ARMv8 instruction where the machine has it. */
uint32_t crc32c(uint32_t crc, const void *data, size_t size);

/* CRC-32 (IEEE 802.3), as message sets of magic 0 and 1 have it. */
uint32_t crc32_ieee(uint32_t crc, const void *data, size_t size);
