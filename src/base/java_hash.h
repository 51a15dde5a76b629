#pragma once

#include <stdint.h>

#include "base/bytes.h"

/* The hash that Java gives a string, by which Kafka places groups and transactional ids. Bytes that
 * are no UTF-8 count as U+FFFD. */
int32_t java_hash(struct str text);

/* Which of `count` places that is. */
int32_t java_hash_place(struct str text, int32_t count);
