/* What is read by hand: assign, pause, seek, position, lag. */
#include <assert.h>
#include <stdlib.h>

#include "client/consumer_int.h"

static struct position *position_of(const struct ottla_consumer *consumer, const char *topic,
                                    int32_t partition) {
    return topic == NULL ? NULL : consumer_position(consumer, str_from_c(topic), partition);
}

/* --- assign --- */

static int check_position(const struct ottla_position *position, struct ottla_error *ret_error) {
    bool place = position->topic != NULL && *position->topic != '\0' && position->partition >= 0;
    if (!place) {
        return client_error_set(ret_error, OTTLA_INVALID,
                                "a position needs a topic and a partition of 0 or more");
    }
    int64_t offset = position->offset;
    if (offset < 0 && offset != OTTLA_OFFSET_EARLIEST && offset != OTTLA_OFFSET_LATEST &&
        offset != OTTLA_OFFSET_NONE) {
        return client_error_set(ret_error, OTTLA_INVALID, "%s-%d: there is no offset %lld",
                                position->topic, (int)position->partition, (long long)offset);
    }
    return OTTLA_OK;
}

/* An epoch of 0 may be a field that was not set, and is not compared. */
static void start_at(struct ottla_consumer *consumer, struct position *position, int64_t offset,
                     int32_t epoch) {
    if (offset >= 0) {
        position_set(consumer, position, offset, epoch > 0 ? epoch : -1);
    } else if (offset == OTTLA_OFFSET_NONE) {
        position_begin(consumer, position);
    } else {
        position_reset(consumer, position, offset);
    }
}

/* Those that stay go on where they are, unless an offset is given. */
static void replace_positions(struct ottla_consumer *consumer,
                              const struct ottla_position *positions, size_t count) {
    uint64_t before = consumer->last_turn;
    for (size_t i = 0; i < count; i++) {
        struct position *position =
            position_of(consumer, positions[i].topic, positions[i].partition);
        if (position == NULL) {
            position = consumer_position_add(consumer, str_from_c(positions[i].topic),
                                             positions[i].partition);
        }
        start_at(consumer, position, positions[i].offset, positions[i].leader_epoch);
    }
    struct list *link, *after;
    list_for_each_safe (link, after, &consumer->positions) {
        struct position *position = container_of(link, struct position, link);
        if (position->turn <= before) {
            consumer_position_remove(consumer, position);
        }
    }
}

int ottla_consumer_assign(struct ottla_consumer *consumer, const struct ottla_position *positions,
                          size_t count, struct ottla_error *ret_error) {
    int code = consumer_check(consumer, ret_error);
    for (size_t i = 0; i < count && code == OTTLA_OK; i++) {
        code = check_position(&positions[i], ret_error);
    }
    if (code != OTTLA_OK) {
        return code;
    }
    commit_auto(consumer, true);
    if (consumer->subscribed) {
        consumer_give_up(consumer);
    }
    replace_positions(consumer, positions, count);
    return OTTLA_OK;
}

size_t ottla_consumer_assignment(const struct ottla_consumer *consumer,
                                 struct ottla_partition *partitions, size_t size) {
    size_t at = 0;
    struct list *link;
    list_for_each (link, &consumer->positions) {
        if (at == size) {
            break;
        }
        const struct position *position = container_of(link, struct position, link);
        partitions[at++] =
            (struct ottla_partition){position->topic->name.data, position->partition};
    }
    return consumer->position_count;
}

/* --- pause, seek, position --- */

static int pause_all(struct ottla_consumer *consumer, const struct ottla_partition *partitions,
                     size_t count, bool pause) {
    for (size_t i = 0; i < count; i++) {
        if (position_of(consumer, partitions[i].topic, partitions[i].partition) == NULL) {
            return OTTLA_NOT_FOUND;
        }
    }
    for (size_t i = 0; i < count; i++) {
        fetch_pause(consumer, position_of(consumer, partitions[i].topic, partitions[i].partition),
                    pause);
    }
    return OTTLA_OK;
}

int ottla_consumer_pause(struct ottla_consumer *consumer, const struct ottla_partition *partitions,
                         size_t count) {
    return pause_all(consumer, partitions, count, true);
}

int ottla_consumer_resume(struct ottla_consumer *consumer, const struct ottla_partition *partitions,
                          size_t count) {
    return pause_all(consumer, partitions, count, false);
}

int ottla_consumer_seek(struct ottla_consumer *consumer, const struct ottla_position *to) {
    if (check_position(to, NULL) != OTTLA_OK || to->offset == OTTLA_OFFSET_NONE) {
        return OTTLA_INVALID;
    }
    struct position *position = position_of(consumer, to->topic, to->partition);
    if (position == NULL) {
        return OTTLA_NOT_FOUND;
    }
    start_at(consumer, position, to->offset, to->leader_epoch);
    return OTTLA_OK;
}

int ottla_consumer_position(const struct ottla_consumer *consumer,
                            const struct ottla_partition *partition,
                            struct ottla_position *ret_position) {
    const struct position *position = position_of(consumer, partition->topic, partition->partition);
    if (position == NULL || position->offset < 0) {
        return OTTLA_NOT_FOUND;
    }
    *ret_position = (struct ottla_position){.topic = position->topic->name.data,
                                            .partition = position->partition,
                                            .offset = position->offset,
                                            .leader_epoch = position->offset_epoch};
    return OTTLA_OK;
}

/* -1: no fetch has told. */
static int64_t end_of(const struct ottla_consumer *consumer, const struct position *position) {
    return consumer->settings->isolation_level == CLIENT_READ_COMMITTED
               ? position->last_stable_offset
               : position->high_watermark;
}

int64_t ottla_consumer_lag(const struct ottla_consumer *consumer,
                           const struct ottla_partition *partition) {
    const struct position *position = position_of(consumer, partition->topic, partition->partition);
    if (position == NULL || position->offset < 0 || end_of(consumer, position) < 0) {
        return -1;
    }
    int64_t lag = end_of(consumer, position) - position->offset;
    return lag > 0 ? lag : 0;
}

bool ottla_consumer_at_end(const struct ottla_consumer *consumer,
                           const struct ottla_partition *partition) {
    return ottla_consumer_lag(consumer, partition) == 0;
}
