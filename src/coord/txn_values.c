/*
 * What a record says of a transactional id, and transitions from one record to the next.
 *
 * A record does not say which epoch was the last one, and one of version 0 (transaction.version 0)
 * neither of the producer ids beside the current one nor the client's version. Apache Kafka has
 * these in memory until the coordinator moves, so they are taken over when the step is settled, and
 * stay when the log is said anew.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "coord/txn_int.h"

typedef struct transaction_log_value_partitions_schema record_topic;

/* --- partitions --- */

static int compare(const void *left, const void *right) {
    const struct txn_partition *a = left, *b = right;
    int order = str_compare(a->topic, b->topic);
    return order != 0 ? order : (a->partition > b->partition) - (a->partition < b->partition);
}

/* Returns how many there are when each is there once. */
static int32_t sort(struct txn_partition *partitions, int32_t count) {
    if (count == 0) {
        return 0;
    }
    qsort(partitions, (size_t)count, sizeof *partitions, compare);
    int32_t kept = 1;
    for (int32_t i = 1; i < count; i++) {
        if (compare(&partitions[i], &partitions[kept - 1]) != 0) {
            partitions[kept++] = partitions[i];
        }
    }
    return kept;
}

void txn_partitions_add(struct arena *arena, struct txn_values *values,
                        const struct txn_partition *more, int32_t more_count) {
    int32_t count = values->partition_count;
    struct txn_partition *all =
        ARENA_ARRAY(arena, struct txn_partition, (size_t)count + (size_t)more_count);
    if (count > 0) {
        memcpy(all, values->partitions, (size_t)count * sizeof *all);
    }
    if (more_count > 0) {
        memcpy(all + count, more, (size_t)more_count * sizeof *all);
    }
    values->partitions = all;
    values->partition_count = sort(all, count + more_count);
}

bool txn_partitions_have(const struct txn_values *values, struct str topic, int32_t partition) {
    const struct txn_partition sought = {.topic = topic, .partition = partition};
    return values->partition_count > 0 &&
           bsearch(&sought, values->partitions, (size_t)values->partition_count, sizeof sought,
                   compare) != NULL;
}

int32_t txn_partitions_run(const struct txn_partition *partitions, int32_t count, int32_t first) {
    int32_t end = first + 1;
    while (end < count && str_equal(partitions[end].topic, partitions[first].topic)) {
        end++;
    }
    return end - first;
}

/* --- from records --- */

/* One block: the partitions, behind them the names. Whatever a record says, an Empty one has none.
 */
static struct txn_partition *copy_partitions(const struct transaction_log_value *value,
                                             int32_t *ret_count) {
    size_t count = 0, text_size = 0;
    *ret_count = 0;
    if (value->transaction_status == TXN_EMPTY) {
        return NULL;
    }
    for (int32_t i = 0; i < value->transaction_partitions_count; i++) {
        count += (size_t)value->transaction_partitions[i].partition_ids_count;
        text_size += value->transaction_partitions[i].topic.size;
    }
    if (count == 0) {
        return NULL;
    }
    struct txn_partition *partitions = malloc(count * sizeof *partitions + text_size);
    assert(partitions != NULL);
    char *text = (char *)(partitions + count);
    int32_t filled = 0;
    for (int32_t i = 0; i < value->transaction_partitions_count; i++) {
        const record_topic *topic = &value->transaction_partitions[i];
        struct str name = {.data = text, .size = topic->topic.size};
        memcpy(text, topic->topic.data, name.size);
        text += name.size;
        for (int32_t k = 0; k < topic->partition_ids_count; k++) {
            partitions[filled++] =
                (struct txn_partition){.topic = name, .partition = topic->partition_ids[k]};
        }
    }
    *ret_count = sort(partitions, filled);
    return partitions;
}

static bool is_unclean(const struct groups *groups) {
    const struct coord_world *world = txns_of(groups)->world;
    return world != NULL && world->unclean;
}

static void apply(struct groups *groups, const struct coord_record *record) {
    const struct transaction_log_key *key = record->key;
    const struct transaction_log_value *value = record->value;
    if (record->again) {
        return;
    }
    struct txn *txn = txns_find(groups, key->transactional_id);
    if (value == NULL) {
        if (txn != NULL) {
            txns_remove(txn);
        }
        return;
    }
    if (value->transaction_status < TXN_EMPTY || value->transaction_status > TXN_COMPLETE_ABORT) {
        return; /* the others are in no record */
    }
    if (txn == NULL) {
        txn = txns_add(groups, key->transactional_id);
    }
    const struct txn_partition *before = txn->values.partitions; /* the record may borrow of it */
    bool same_id = txn->values.producer_id == value->producer_id;
    txn->unsure = groups->loading ? is_unclean(groups) : txn->unsure && same_id;
    txn->known = true;
    txn->values = (struct txn_values){
        .state = (enum txn_state)value->transaction_status,
        .producer_id = value->producer_id,
        .previous_producer_id = value->previous_producer_id,
        .next_producer_id = value->next_producer_id,
        .epoch = value->producer_epoch,
        .last_epoch = TXN_NO_EPOCH,
        .timeout_ms = value->transaction_timeout_ms,
        .start_ms = value->transaction_start_timestamp_ms,
        .update_ms = value->transaction_last_update_timestamp_ms,
        .client_version =
            record->value_version >= 1 ? value->client_transaction_version : TXN_CLIENT_UNKNOWN,
    };
    txn->values.partitions = copy_partitions(value, &txn->values.partition_count);
    free((void *)before);
    txn_past_note(groups, &txn->values);
}

static const struct coord_record_kind kinds[] = {
    {TXN_RECORD, "TRANSACTION_LOG", &transaction_log_key_type, &transaction_log_value_type, 1,
     apply},
    {GROUP_RECORD_FOREIGN, "FOREIGN", NULL, NULL, -1, groups_apply_foreign},
};

const struct coord_record_kind *txn_record_kind(int16_t type) {
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        if (kinds[i].type == type) {
            return &kinds[i];
        }
    }
    return NULL;
}

/* --- to records --- */

static void fill_partitions(struct arena *arena, const struct txn_values *values,
                            struct transaction_log_value *value) {
    int32_t count = values->partition_count;
    if (values->state == TXN_EMPTY) {
        assert(count == 0);
        value->transaction_partitions_count = -1; /* null, as in Apache Kafka */
        return;
    }
    record_topic *topics = ARENA_ARRAY(arena, record_topic, (size_t)count + 1);
    value->transaction_partitions = topics;
    for (int32_t first = 0; first < count;) {
        record_topic *topic = &topics[value->transaction_partitions_count++];
        topic->topic = values->partitions[first].topic;
        topic->partition_ids_count = txn_partitions_run(values->partitions, count, first);
        topic->partition_ids = ARENA_ARRAY(arena, int32_t, (size_t)topic->partition_ids_count);
        for (int32_t i = 0; i < topic->partition_ids_count; i++) {
            topic->partition_ids[i] = values->partitions[first + i].partition;
        }
        first += topic->partition_ids_count;
    }
}

static void add_record(struct group_step *step, struct str id, const struct txn_values *values) {
    int16_t version = txn_cluster_version(step->groups) >= 1 ? 1 : 0;
    void *made;
    struct transaction_log_key *key =
        step_record_version(step, (enum group_record)TXN_RECORD, version, &made);
    struct transaction_log_value *value = made;
    key->transactional_id = id;
    value->producer_id = values->producer_id;
    value->producer_epoch = values->epoch;
    value->transaction_timeout_ms = values->timeout_ms;
    value->transaction_status = (int8_t)values->state;
    value->transaction_last_update_timestamp_ms = values->update_ms;
    value->transaction_start_timestamp_ms = values->start_ms;
    if (version >= 1) {
        value->previous_producer_id = values->previous_producer_id;
        value->next_producer_id = values->next_producer_id;
        value->client_transaction_version = txn_client_version(values);
    }
    fill_partitions(step->arena, values, value);
}

void txn_say(struct group_step *step, const struct txn *txn) {
    add_record(step, txn->id, &txn->values);
    struct coord_record *record = step->output->records[step->output->record_count - 1];
    record->again = true;
}

/* --- transitions --- */

struct txn_values txn_next(const struct group_step *step, const struct txn *txn,
                           enum txn_state state) {
    struct txn_values values = txn->values;
    values.state = state;
    values.previous_producer_id = txn->values.producer_id;
    values.update_ms = step->wall_ms;
    return values;
}

struct transition {
    struct txn *txn; /* nobody removes it before the step is settled */
    struct txn_values values;
};

static void settled(struct group_step *step, err_t err) {
    const struct transition *transition = step->context;
    struct txn *txn = transition->txn;
    if (err != ERR_OK && !txn->known) {
        txns_remove(txn);
        return;
    }
    if (err != ERR_OK && txn_is_prepared(txn)) {
        txn_complete_later(step, txn);
        return;
    }
    if (err == ERR_OK) {
        txn->values.previous_producer_id = transition->values.previous_producer_id;
        txn->values.next_producer_id = transition->values.next_producer_id;
        txn->values.last_epoch = transition->values.last_epoch;
        txn->values.client_version = transition->values.client_version;
    }
    txn_follow_state(step, txn);
}

void txn_write(struct group_step *step, struct txn *txn, const struct txn_values *values) {
    struct transition *transition = ARENA_NEW(step->arena, struct transition);
    *transition = (struct transition){.txn = txn, .values = *values};
    add_record(step, txn->id, values);
    step->settled = settled;
    step->context = transition;
}

/* --- what a state asks for --- */

/* The check for timeouts happens on the ticks of its interval. */
static void set_timeout(const struct group_step *step, struct txn *txn) {
    const struct config *config = txn->groups->config;
    int64_t interval_ms =
        config_int(config, CONFIG_TRANSACTION_ABORT_TIMED_OUT_TRANSACTION_CLEANUP_INTERVAL_MS);
    int64_t end_ms, left_ms; /* not more than the timeout, whatever became of the clock */
    if (__builtin_add_overflow(txn->values.start_ms, txn->values.timeout_ms, &end_ms) ||
        __builtin_sub_overflow(end_ms, step->wall_ms, &left_ms) ||
        left_ms > txn->values.timeout_ms) {
        left_ms = txn->values.timeout_ms;
    }
    int64_t deadline_ms = step->mono_ms + (left_ms < 0 ? 0 : left_ms);
    txn->timer.fire = txn_timed_out;
    group_timer_set(txn->groups, &txn->timer, (deadline_ms / interval_ms + 1) * interval_ms);
}

void txn_follow_state(const struct group_step *step, struct txn *txn) {
    if (txn_is_prepared(txn)) {
        txn_end_begin(txn);
    } else if (txn->values.state != TXN_ONGOING) {
        group_timer_clear(txn->groups, &txn->timer);
    } else if (!group_timer_is_set(&txn->timer)) {
        set_timeout(step, txn);
    }
}
