#pragma once

#include "base/buffer.h"
#include "wire/record_batch.h"

/* For tests: prints what is in a run of batches of any magic, in the form of
 * tests/compat/records/RecordTool.java, one line per batch and record, each followed by `end`.
 * Returns the error that the run ends with; OK at its end. */
err_t record_text_print(struct buffer *out, struct bytes run, struct compression *compression,
                        char end);
