/* Records to the application: poll, and the errors it tells. */
#include <assert.h>

#include "base/limits.h"
#include "client/consumer_int.h"
#include "sys/sys.h"

/* --- records --- */

/* All that can be had of one position. */
static size_t take_position(struct ottla_consumer *consumer, struct position *position,
                            size_t have) {
    size_t count = have;
    struct fetched_place place = {.topic = position->topic->name.data,
                                  .partition = position->partition,
                                  .offset = position->offset,
                                  .epoch = position->offset_epoch};
    struct list *link;
    err_t err = ERR_NOT_FOUND;
    while (err == ERR_NOT_FOUND && (link = list_first(&position->fetched)) != NULL) {
        struct fetched *fetched = container_of(link, struct fetched, link);
        size_t taken, size;
        err = fetched_take(fetched, &consumer->pool, &place, consumer->records + count,
                           consumer->record_max - count, &taken, &size);
        count += taken;
        fetch_consumed(consumer, position, size);
        if (err == ERR_NOT_FOUND) {
            fetched_retire(fetched, &consumer->pool);
        }
    }
    position->offset = place.offset;
    position->offset_epoch = place.epoch;
    if (err == ERR_NOT_FOUND) {
        list_remove(&position->ready_link); /* all was taken */
        if (position->fetch_offset < position->offset) {
            position->fetch_offset = position->offset;
        }
    } else if (err != ERR_OK) {
        position_fail(consumer, position, err);
        fetch_drop(consumer, position);
        position_rest(consumer, position);
    }
    return count;
}

static size_t take_records(struct ottla_consumer *consumer) {
    size_t count = 0;
    struct list *link;
    while (count < consumer->record_max && (link = list_first(&consumer->ready)) != NULL) {
        struct position *position = container_of(link, struct position, ready_link);
        size_t before = count;
        count = take_position(consumer, position, count);
        if (list_linked(&position->ready_link)) {
            list_remove(&position->ready_link);
            list_add_last(&consumer->ready, &position->ready_link);
            if (count == before) {
                break; /* the pool lends no more in this poll */
            }
        }
    }
    return count;
}

/* --- errors --- */

static const char *reset_advice(err_t err) {
    return err == ERR_NOT_FOUND
               ? "no offset is committed, and auto.offset.reset is none: seek, or change the "
                 "setting"
               : "the offset is out of range, and auto.offset.reset is none: seek, or change the "
                 "setting";
}

static int tell_position(struct position *position, struct ottla_error *ret_error) {
    err_t err = position->error;
    const char *topic = position->topic->name.data;
    int partition = (int)position->partition;
    long long offset = (long long)position->error_offset;
    list_remove(&position->error_link);
    switch (err) {
    case ERR_NOT_FOUND:
        return client_error_set(ret_error, (int)err, "%s-%d: %s", topic, partition,
                                reset_advice(err));
    case ERR_OFFSET_OUT_OF_RANGE:
        return client_error_set(ret_error, (int)err, "%s-%d, offset %lld: %s", topic, partition,
                                offset, reset_advice(err));
    case ERR_CORRUPT_MESSAGE:
        return client_error_set(ret_error, (int)err,
                                "%s-%d, offset %lld: what the broker sends is damaged; seek behind "
                                "it to go on",
                                topic, partition, offset);
    case ERR_MESSAGE_TOO_LARGE:
        return client_error_set(ret_error, (int)err,
                                "%s-%d, offset %lld: a batch, or its headers, would take too much "
                                "memory; seek behind it to go on",
                                topic, partition, offset);
    case ERR_UNSUPPORTED_COMPRESSION_TYPE:
        return client_error_set(ret_error, (int)err,
                                "%s-%d, offset %lld: a batch in a codec that is not known here",
                                topic, partition, offset);
    case ERR_TOPIC_AUTHORIZATION_FAILED:
        return client_error_set(ret_error, (int)err, "topic %s may not be read by this client",
                                topic);
    default:
        return client_error_set(ret_error, (int)err, "%s-%d, offset %lld: %s", topic, partition,
                                offset, err_text(err));
    }
}

static int tell_error(struct ottla_consumer *consumer, struct ottla_error *ret_error) {
    if (consumer->failed != ERR_OK) {
        return client_error_set(ret_error, (int)consumer->failed, "%s", consumer->failed_text);
    }
    struct list *link = list_first(&consumer->errors);
    return link == NULL ? OTTLA_OK
                        : tell_position(container_of(link, struct position, error_link), ret_error);
}

/* --- poll --- */

static int begin(struct ottla_consumer *consumer, struct ottla_error *ret_error) {
    int code = consumer_check(consumer, ret_error);
    if (code != OTTLA_OK) {
        return code;
    }
    arena_reset(&consumer->identity);
    consumer_let_go(consumer);
    return OTTLA_OK;
}

static int take(struct ottla_consumer *consumer, size_t *ret_count, struct ottla_error *ret_error) {
    consumer->woken = false;
    if (consumer->member != NULL) {
        client_member_polled(consumer->member);
    }
    commit_auto(consumer, false); /* nothing was handed out in this poll so far */
    consumer_tell(consumer);
    consumer_note_identity(consumer);
    int code = tell_error(consumer, ret_error);
    if (code == OTTLA_OK) {
        *ret_count = take_records(consumer);
        fetch_step(consumer);
    }
    return code;
}

int consumer_take(struct ottla_consumer *consumer, const struct ottla_record **ret_records,
                  size_t *ret_count, struct ottla_error *ret_error) {
    *ret_records = consumer->records;
    *ret_count = 0;
    int code = begin(consumer, ret_error);
    return code == OTTLA_OK ? take(consumer, ret_count, ret_error) : code;
}

/* Heartbeats and fetches go on also while the application finds records at each poll; a turn of the
 * loop per millisecond is enough for them. */
static bool turn_is_due(const struct ottla_consumer *consumer) {
    return consumer_now_ms(consumer) != consumer->turn_ms;
}

static void turn(struct ottla_consumer *consumer) {
    consumer->turn_ms = consumer_now_ms(consumer);
    sys_loop_turn(client_loop(consumer->client), 0); /* an interruption is for the wait */
}

/* A long poll commits in between, and says that it is still there. */
static int64_t next_look(const struct ottla_consumer *consumer, int64_t deadline) {
    int64_t commit = commit_auto_deadline(consumer);
    int64_t sign = consumer_now_ms(consumer) + consumer->settings->max_poll_interval_ms / 2;
    int64_t next = commit < deadline ? commit : deadline;
    return next < sign ? next : sign;
}

int ottla_consumer_poll(struct ottla_consumer *consumer, int64_t timeout_ms,
                        const struct ottla_record **ret_records, size_t *ret_count,
                        struct ottla_error *ret_error) {
    *ret_records = consumer->records;
    *ret_count = 0;
    int code = begin(consumer, ret_error);
    if (code == OTTLA_OK && sys_loop_is_current(client_loop(consumer->client))) {
        code = client_error_set(ret_error, OTTLA_BUSY,
                                "poll waits; it cannot be called from a function that is called by "
                                "the loop");
    }
    if (code != OTTLA_OK) {
        return code;
    }
    bool turned = turn_is_due(consumer);
    if (turned) {
        turn(consumer);
    }
    int64_t deadline = client_deadline_ms(consumer->client, timeout_ms);
    for (;;) {
        code = take(consumer, ret_count, ret_error);
        bool over = consumer_now_ms(consumer) >= deadline;
        if (code != OTTLA_OK || *ret_count > 0 || (over && turned)) {
            return code;
        }
        turned = true;
        if (over) { /* who asks without waiting, again and again, finds what has come by now */
            turn(consumer);
            continue;
        }
        err_t err = client_wait(consumer->client, &consumer->woken, next_look(consumer, deadline));
        if (err != ERR_OK && err != ERR_TIMED_OUT) {
            return client_error_set(ret_error, (int)err, "poll: %s", err_text(err));
        }
    }
}
