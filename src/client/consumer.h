#pragma once

#include "ottla/consumer.h"

/*
 * A consumer on a loop that somebody else runs (the simulator's, above all). All of
 * ottla/consumer.h that does not wait may be used; in place of polling:
 */

/* Called from turns of the loop when consumer_take may have something. One function; NULL: none. */
void consumer_on_ready(struct ottla_consumer *consumer, void (*ready)(void *arg), void *arg);

/* ottla_consumer_poll without waiting and without running the loop. */
int consumer_take(struct ottla_consumer *consumer, const struct ottla_record **ret_records,
                  size_t *ret_count, struct ottla_error *ret_error);
