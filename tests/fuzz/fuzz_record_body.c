/* All other messages, which come from disk, from record values and from other members of a group:
 * their place in wire_types and the version (2 bytes each), then the message. */
#include "codec_check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 4) {
        return 0;
    }
    size_t place = get_be16(data) % wire_type_count;
    int16_t version = (int16_t)get_be16(data + 2);
    const struct wire_type *type = wire_types[place];
    if (type->kind == WIRE_REQUEST || type->kind == WIRE_RESPONSE) {
        return 0;
    }
    size_t used;
    fuzz_check_codec(type, version, (struct bytes){.data = data + 4, .size = size - 4}, &used);
    return 0;
}
