/*
 * The walker: reads every log from its start to its end and tells the auditor. It walks once after
 * each power cut, so that what was lost is known before more is lost, and at the end of the run.
 *
 *   for each partition:  start ──► audit_walk_begin ──► end ──► fetch until the end is reached
 *
 * A walk is one life of the node long: when it goes down, the walk begins anew.
 */
#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>

#include "node_int.h"
#include "wire/api.h"

enum { WAIT_MS = 50, FETCH_BYTES = 256 * 1024, VERSION = 17 };

enum step { ASK_START, ASK_END, FETCH };

struct walker {
    struct node_client client;
    struct node_link link;
    struct sys_timer timer;
    struct node_records *records;
    bool busy;

    bool walking;
    bool final;          /* nothing is written while it walks */
    uint32_t walked_cut; /* run->power_cut_count of the last whole walk */
    uint32_t cut;        /* and of this one */
    uint32_t down_count;
    int topic; /* where it is */
    uint32_t incarnation;
    int32_t partition;
    enum step step;
    int64_t offset;
    int64_t end_offset;
};

static struct node_topic *topic_of(const struct walker *walker) {
    return &walker->client.sim->topics[walker->topic];
}

static struct topic_partition *partition_of(const struct walker *walker) {
    return &topic_of(walker)->partitions[walker->partition];
}

static void again(struct walker *walker, int64_t delay_ms) {
    node_timer_in(walker->client.sim, &walker->timer, delay_ms);
}

static bool is_same_life(const struct walker *walker) {
    const struct node_sim *sim = walker->client.sim;
    return walker->down_count == sim->down_count && walker->cut == sim->run->power_cut_count &&
           topic_of(walker)->incarnation == walker->incarnation;
}

static void next_partition(struct walker *walker) {
    struct node_sim *sim = walker->client.sim;
    walker->partition++;
    walker->step = ASK_START;
    while (walker->topic < sim->topic_count &&
           (!topic_is_usable(topic_of(walker)) ||
            walker->partition >= topic_of(walker)->partition_count)) {
        walker->topic++;
        walker->partition = 0;
    }
    if (walker->topic < sim->topic_count) {
        walker->incarnation = topic_of(walker)->incarnation;
        return;
    }
    walker->walking = false;
    walker->walked_cut = walker->cut;
    if (walker->final) {
        sim->final_walk_done = true;
        walker->client.over = true;
    }
}

static void begin(struct walker *walker) {
    struct node_sim *sim = walker->client.sim;
    walker->walking = true;
    walker->final = sim->final_walk;
    walker->cut = sim->run->power_cut_count;
    walker->down_count = sim->down_count;
    walker->topic = 0;
    walker->partition = -1;
    walker->incarnation = sim->topics[0].incarnation;
    next_partition(walker);
}

/* --- start and end --- */

static void take_offset(struct walker *walker, int64_t offset) {
    struct node_topic *topic = topic_of(walker);
    if (walker->step == ASK_START) {
        if (topic->retention_bytes >= 0) {
            audit_delete(partition_of(walker)->audit, offset);
        }
        audit_walk_begin(partition_of(walker)->audit, offset);
        walker->offset = offset;
        walker->step = ASK_END;
    } else {
        walker->end_offset = offset;
        walker->step = FETCH;
    }
}

static void offset_answered(void *arg, const struct client_response *response) {
    struct walker *walker = arg;
    walker->busy = false;
    const struct list_offsets_response *message = response->message;
    int64_t wait_ms = WAIT_MS;
    if (response->err == ERR_OK && walker->walking && is_same_life(walker)) {
        const struct list_offsets_response_list_offsets_partition_response *answer =
            &message->topics[0].partitions[0];
        if (answer->error_code == ERR_OK) {
            take_offset(walker, answer->offset);
            wait_ms = 0;
        } else if (!node_error_passes(answer->error_code)) {
            node_fail(walker->client.sim, "ListOffsets is answered with %s",
                      err_name(answer->error_code));
        }
    }
    again(walker, wait_ms);
}

static void ask_offset(struct walker *walker) {
    struct list_offsets_request_list_offsets_partition partition = {
        .partition_index = walker->partition,
        .current_leader_epoch = -1,
        .timestamp = walker->step == ASK_START ? -2 : -1,
    };
    struct list_offsets_request_list_offsets_topic topic = {
        .name = str_from_c(topic_of(walker)->name),
        .partitions = &partition,
        .partitions_count = 1,
    };
    struct list_offsets_request request;
    wire_init(&list_offsets_request_type, &request);
    request.replica_id = -1;
    request.topics = &topic;
    request.topics_count = 1;
    if (walker->step == ASK_START) {
        audit_walk_ask(partition_of(walker)->audit);
    }
    walker->busy = node_link_send(&walker->link, API_LIST_OFFSETS, 7, &request, offset_answered,
                                  walker) == ERR_OK;
}

/* --- records --- */

static void take_record(void *arg, const struct node_fetched *fetched, int64_t offset,
                        uint64_t value) {
    struct walker *walker = arg;
    if (offset < walker->end_offset) {
        audit_walk_record(fetched->topic->partitions[fetched->partition].audit, offset, value);
    }
}

static void take_marker(void *arg, const struct node_fetched *fetched,
                        const struct record_batch *batch) {
    struct walker *walker = arg;
    int64_t offset = record_batch_base_offset(batch->data);
    if (offset < walker->end_offset) {
        audit_walk_marker(fetched->topic->partitions[fetched->partition].audit, offset);
    }
}

static int64_t take_partition(struct walker *walker,
                              const struct fetch_response_partition_data *data) {
    struct node_topic *topic = topic_of(walker);
    if (data->error_code == ERR_OFFSET_OUT_OF_RANGE &&
        (topic->deletes_records || topic->retention_bytes >= 0)) {
        walker->step = ASK_START; /* deleted meanwhile */
        return 0;
    }
    if (data->error_code != ERR_OK) {
        if (!node_error_passes(data->error_code)) {
            node_fail(topic->sim, "%s-%d: walking at offset %" PRId64 " is answered with %s",
                      topic->name, walker->partition, walker->offset, err_name(data->error_code));
        }
        return WAIT_MS;
    }
    struct node_fetched fetched = {
        .topic = topic,
        .partition = walker->partition,
        .records = data->records,
        .high_watermark = data->high_watermark,
        .take = take_record,
        .marker = take_marker,
        .arg = walker,
    };
    int64_t before = walker->offset;
    (void)node_records_read(walker->records, &fetched, &walker->offset);
    return walker->offset > before ? 0 : WAIT_MS;
}

static void fetched(void *arg, const struct client_response *response) {
    struct walker *walker = arg;
    walker->busy = false;
    const struct fetch_response *message = response->message;
    int64_t wait_ms = WAIT_MS;
    if (response->err == ERR_OK && walker->walking && is_same_life(walker) &&
        message->error_code == ERR_OK && message->responses_count == 1) {
        wait_ms = take_partition(walker, &message->responses[0].partitions[0]);
    }
    again(walker, wait_ms);
}

static void fetch(struct walker *walker) {
    struct fetch_request_fetch_partition partition = {
        .partition = walker->partition,
        .current_leader_epoch = -1,
        .fetch_offset = walker->offset,
        .last_fetched_epoch = -1,
        .log_start_offset = -1,
        .partition_max_bytes = FETCH_BYTES,
        .high_watermark = INT64_MAX,
    };
    struct fetch_request_fetch_topic topic = {
        .topic = STR(""),
        .topic_id = topic_of(walker)->id,
        .partitions = &partition,
        .partitions_count = 1,
    };
    struct fetch_request request;
    wire_init(&fetch_request_type, &request);
    request.max_wait_ms = 500;
    request.min_bytes = 1;
    request.max_bytes = FETCH_BYTES;
    request.session_epoch = -1;
    request.topics = &topic;
    request.topics_count = 1;
    walker->busy =
        node_link_send(&walker->link, API_FETCH, VERSION, &request, fetched, walker) == ERR_OK;
}

static void go_on(struct walker *walker) {
    if (walker->step != FETCH) {
        ask_offset(walker);
    } else if (walker->offset < walker->end_offset) {
        fetch(walker);
    } else {
        struct topic_partition *partition = partition_of(walker);
        if (walker->offset > walker->end_offset) {
            walker->offset = walker->end_offset; /* it grew meanwhile */
        }
        if (walker->final) {
            audit_walk_last(partition->audit);
        }
        audit_walk_end(partition->audit, walker->end_offset);
        partition->final_end = walker->end_offset;
        next_partition(walker);
        again(walker, 0);
    }
}

static void turn(struct sys_timer *timer) {
    struct walker *walker = container_of(timer, struct walker, timer);
    struct node_sim *sim = walker->client.sim;
    if (walker->client.over || walker->busy) {
        return;
    }
    if (walker->walking && (!is_same_life(walker) || walker->final != sim->final_walk)) {
        walker->walking = false;
    }
    bool due = sim->final_walk || walker->walked_cut != sim->run->power_cut_count;
    if (!walker->walking && due && walker->link.is_up) {
        begin(walker);
    }
    if (walker->walking && walker->link.is_up) {
        go_on(walker);
    }
    if (!walker->busy && !sys_timer_is_set(&walker->timer)) {
        again(walker, WAIT_MS);
    }
}

static void walker_free(struct node_client *client) {
    struct walker *walker = container_of(client, struct walker, client);
    node_records_free(walker->records);
    free(walker);
}

void node_walker_new(struct node_sim *sim) {
    struct walker *walker = calloc(1, sizeof *walker);
    assert(walker != NULL);
    node_client_add(sim, &walker->client, "walker");
    walker->client.free = walker_free;
    walker->records = node_records_new();
    walker->timer.fire = turn;
    node_link_begin(&walker->link, sim);
    again(walker, WAIT_MS);
}
