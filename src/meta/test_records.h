#pragma once

#include "meta/delta.h"
#include "wire/messages.h"

/*
 * For tests: a history that uses every record type there is, and small helpers to apply records.
 */

struct record_sink {
    void (*add)(void *arg, int16_t type, const void *message);
    void *arg;
};

/* Calls the sink with records of all 26 types, in an order that a controller could have written. */
void test_history(const struct record_sink *sink);

/* Applies one record in its newest version; fails the test when it is refused. */
void test_apply(struct meta_delta *delta, int16_t type, const void *message);

/* The image after the whole history; the caller's. */
struct meta_image *test_history_image(void);

struct uuid test_id(int number);
