#pragma once

#include "wire/record_batch.h"

/* All of a record behind its length; false when it is malformed. Sets what the bytes themselves
 * say: neither offset, timestamp nor size. */
bool record_body_read(struct bytes body, int64_t *ret_timestamp_delta, struct record *ret_record);
