/* Answers as a client gets them: api key and version (2 bytes each, from the request it sent), then
 * response header and response. */
#include "codec_check.h"
#include "wire/api.h"
#include "wire/messages.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    if (size < 4) {
        return 0;
    }
    int16_t key = (int16_t)get_be16(data);
    int16_t version = (int16_t)get_be16(data + 2);
    const struct wire_api *api = wire_api(key);
    if (api == NULL || api->response == NULL) {
        return 0;
    }
    struct bytes in = {.data = data + 4, .size = size - 4};
    size_t used;
    fuzz_check_codec(&response_header_type, wire_response_header_version(key, version), in, &used);
    if (used > 0) {
        struct bytes body = {.data = in.data + used, .size = in.size - used};
        fuzz_check_codec(api->response, version, body, &used);
    }
    return 0;
}
