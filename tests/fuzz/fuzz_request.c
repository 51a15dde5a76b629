/*
 * Frames as a broker gets them, without their size: a request header, whose version follows from
 * the api key and version at its start, and the request behind it.
 */
#include "codec_check.h"
#include "wire/api.h"
#include "wire/messages.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A planted bug: a length from the wire is trusted. The fuzzer must find it. */
static void canary(const uint8_t *data, size_t size) {
#ifdef WIRE_FUZZ_CANARY
    uint8_t sum = 0;
    if (size >= 10) {
        size_t client_id_size = get_be16(data + 8);
        for (size_t i = 0; i < client_id_size; i++) {
            sum ^= data[10 + i];
        }
    }
    volatile uint8_t used = sum; /* or the loop would be optimised away */
    (void)used;
#else
    (void)data, (void)size;
#endif
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 4) {
        return 0;
    }
    canary(data, size);
    int16_t key = (int16_t)get_be16(data);
    int16_t version = (int16_t)get_be16(data + 2);
    const struct wire_api *api = wire_api(key);
    if (api == NULL || api->request == NULL) {
        return 0;
    }
    size_t used;
    int16_t header_version = wire_request_header_version(key, version);
    fuzz_check_codec(&request_header_type, header_version,
                     (struct bytes){.data = data, .size = size}, &used);
    if (used > 0) {
        struct bytes body = {.data = data + used, .size = size - used};
        fuzz_check_codec(api->request, version, body, &used);
    }
    return 0;
}
