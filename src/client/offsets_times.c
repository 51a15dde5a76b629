/* Offsets for times, for the application. */
#include <stdio.h>
#include <stdlib.h>

#include "client/consumer_int.h"
#include "client/leader_query.h"

struct waiting {
    struct ottla_position *positions;
    bool done;
    err_t err;
    char place[300];
};

static void on_answered(void *arg, const struct leader_item *item) {
    struct waiting *waiting = arg;
    struct ottla_position *position = &waiting->positions[item->tag];
    position->code = (int)item->err;
    position->offset = item->offset >= 0 ? item->offset : OTTLA_OFFSET_NONE;
    position->leader_epoch = item->leader_epoch;
    if (item->err != ERR_OK && waiting->err == ERR_OK) {
        waiting->err = item->err;
        (void)snprintf(waiting->place, sizeof waiting->place, "%.*s-%d", STR_ARGS(item->topic),
                       (int)item->partition);
    }
}

static void on_finished(void *arg, struct leader_query *query) {
    (void)query;
    struct waiting *waiting = arg;
    waiting->done = true;
}

static struct leader_query *ask(struct ottla_consumer *consumer, struct waiting *waiting,
                                size_t count, int64_t deadline_ms) {
    struct leader_item *items = calloc(count + 1, sizeof *items);
    if (items == NULL) {
        abort();
    }
    for (size_t i = 0; i < count; i++) {
        items[i] = (struct leader_item){.topic = str_from_c(waiting->positions[i].topic),
                                        .partition = waiting->positions[i].partition,
                                        .timestamp = waiting->positions[i].offset,
                                        .tag = i};
    }
    struct leader_query_settings settings = {
        .client = consumer->client,
        .kind = LEADER_QUERY_TIMES,
        .isolation = consumer->settings->isolation_level,
        .deadline_ms = deadline_ms,
        .answered = on_answered,
        .finished = on_finished,
        .arg = waiting,
    };
    struct leader_query *query = leader_query_new(&settings, items, count);
    free(items);
    return query;
}

int ottla_consumer_offsets_for_times(struct ottla_consumer *consumer,
                                     struct ottla_position *positions, size_t count,
                                     int64_t timeout_ms, struct ottla_error *ret_error) {
    for (size_t i = 0; i < count; i++) {
        if (positions[i].topic == NULL || positions[i].partition < 0 ||
            positions[i].offset < OTTLA_OFFSET_EARLIEST) {
            return client_error_set(ret_error, OTTLA_INVALID,
                                    "a time of 0 or more is wanted, or OTTLA_OFFSET_EARLIEST or "
                                    "_LATEST, for a topic and partition");
        }
    }
    int64_t timeout = timeout_ms < 0 ? consumer->settings->default_api_timeout_ms : timeout_ms;
    int64_t deadline = consumer_now_ms(consumer) + timeout;
    struct waiting waiting = {.positions = positions};
    struct leader_query *query = ask(consumer, &waiting, count, deadline);
    /* The query itself gives up at the deadline; the wait is a little longer, to hear of it. */
    err_t err = client_wait(consumer->client, &waiting.done, deadline + 100);
    leader_query_free(query);
    if (!waiting.done) {
        return client_error_set(ret_error, (int)err, "offsets for times: %s", err_text(err));
    }
    return waiting.err == ERR_OK
               ? OTTLA_OK
               : client_error_set(ret_error, (int)waiting.err, "offsets for times of %s: %s",
                                  waiting.place, err_text(waiting.err));
}
