#include "client/fetch_fake_test_int.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "wire/batch_builder.h"

static struct fetch_fake_log *log_of(struct fetch_fake *fake, int32_t partition) {
    return partition >= 0 && partition < fake->topic->partition_count ? &fake->logs[partition]
                                                                      : NULL;
}

/* --- Fetch --- */

static struct bytes make_records(const struct fetch_fake_log *log, int32_t epoch, int64_t from,
                                 struct arena *arena) {
    struct buffer out = {0};
    struct batch_options options = {BATCH_OPTIONS_DEFAULT, .base_offset = from};
    struct batch_builder builder;
    options.leader_epoch = epoch;
    batch_builder_init(&builder, &out, &options);
    for (int64_t offset = from; offset < log->end && offset < from + FETCH_FAKE_BATCH; offset++) {
        char value[24];
        int size = snprintf(value, sizeof value, "%lld", (long long)offset);
        batch_builder_add(&builder, offset, (struct bytes){.data = NULL},
                          (struct bytes){(const uint8_t *)value, (size_t)size}, NULL, 0);
    }
    batch_builder_finish(&builder, NULL);
    struct bytes records = arena_bytes(arena, buffer_bytes(&out));
    buffer_done(&out);
    return records;
}

static void answer_partition(struct fetch_fake *fake, struct fake_call *call, int32_t index,
                             int64_t offset, struct fetch_response_partition_data *data) {
    const struct fetch_fake_log *log = &fake->logs[index];
    int32_t leader = fake->topic->leaders[index];
    bool leads = leader == call->broker_id;
    *data = (struct fetch_response_partition_data){
        .partition_index = index,
        .high_watermark = log->end,
        .last_stable_offset = log->end,
        .log_start_offset = log->start,
        .diverging_epoch = {-1, -1},
        .current_leader = {-1, -1},
        .snapshot_id = {-1, -1},
        .aborted_transactions_count = -1,
        .preferred_read_replica = -1,
    };
    if (!leads && log->follower != call->broker_id) {
        data->error_code = ERR_NOT_LEADER_OR_FOLLOWER;
        data->current_leader.leader_id = leader;
        data->current_leader.leader_epoch = fake->topic->leader_epochs[index];
    } else if (leads && log->preferred > 0) {
        data->preferred_read_replica = log->preferred;
    } else if (offset < log->start || offset > log->end) {
        data->error_code = ERR_OFFSET_OUT_OF_RANGE;
    } else if (offset < log->end) {
        data->records = make_records(log, fake->topic->leader_epochs[index], offset, call->arena);
    }
}

static bool session_fits(struct fetch_fake *fake, struct fetch_fake_session *session,
                         const struct fetch_request *request) {
    bool full = request->session_epoch == 0 || request->session_epoch == -1;
    if (full) {
        fake->full += request->session_epoch == 0;
        *session = (struct fetch_fake_session){.id = fake->no_sessions ? 0 : ++fake->next_session,
                                               .epoch = 1};
        return true;
    }
    fake->incremental++;
    if (request->session_id != session->id || request->session_epoch != session->epoch) {
        fake->mistakes++;
        return false;
    }
    session->epoch++;
    return true;
}

/* As brokers do: what is named is added, then what is to be forgotten goes. */
static void take_changes(struct fetch_fake *fake, struct fetch_fake_session *session,
                         const struct fetch_request *request) {
    for (int32_t t = 0; t < request->topics_count; t++) {
        const struct fetch_request_fetch_topic *topic = &request->topics[t];
        fake->mistakes += !uuid_equal(topic->topic_id, fake->topic->id);
        for (int32_t p = 0; p < topic->partitions_count; p++) {
            int32_t index = topic->partitions[p].partition;
            fake->mistakes += log_of(fake, index) == NULL;
            session->in[index] = true;
            session->offset[index] = topic->partitions[p].fetch_offset;
            fake->partitions += request->session_epoch > 0;
        }
    }
    for (int32_t t = 0; t < request->forgotten_topics_data_count; t++) {
        const struct fetch_request_forgotten_topic *topic = &request->forgotten_topics_data[t];
        for (int32_t p = 0; p < topic->partitions_count; p++) {
            fake->mistakes += !session->in[topic->partitions[p]];
            session->in[topic->partitions[p]] = false;
            fake->forgotten++;
        }
    }
}

static bool is_news(const struct fetch_response_partition_data *data) {
    return data->records.size > 0 || data->error_code != 0 || data->preferred_read_replica >= 0;
}

static void answer_fetch(struct fetch_fake *fake, struct fake_call *call) {
    const struct fetch_request *request = call->request;
    struct fetch_response *response = call->response;
    struct fetch_fake_session *session = &fake->sessions[call->broker_id];
    if (!session_fits(fake, session, request)) {
        response->error_code = ERR_INVALID_FETCH_SESSION_EPOCH;
        return;
    }
    take_changes(fake, session, request);
    struct fetch_response_fetchable_topic_response *topic =
        ARENA_NEW(call->arena, struct fetch_response_fetchable_topic_response);
    topic->topic = str_from_c(fake->topic->name);
    topic->topic_id = fake->topic->id;
    topic->partitions =
        ARENA_ARRAY(call->arena, struct fetch_response_partition_data, FETCH_FAKE_PARTITIONS);
    for (int32_t i = 0; i < fake->topic->partition_count; i++) {
        struct fetch_response_partition_data *data = &topic->partitions[topic->partitions_count];
        if (session->in[i]) {
            answer_partition(fake, call, i, session->offset[i], data);
            topic->partitions_count += request->session_epoch == 0 || is_news(data);
        }
    }
    response->session_id = session->id;
    response->responses = topic;
    response->responses_count = topic->partitions_count > 0;
}

/* --- offsets --- */

static void answer_times(struct fetch_fake *fake, struct fake_call *call) {
    const struct list_offsets_request *request = call->request;
    struct list_offsets_response *response = call->response;
    const struct list_offsets_request_list_offsets_topic *from = request->topics;
    struct list_offsets_response_list_offsets_topic_response *topic =
        ARENA_NEW(call->arena, struct list_offsets_response_list_offsets_topic_response);
    topic->name = from->name;
    topic->partitions =
        ARENA_ARRAY(call->arena, struct list_offsets_response_list_offsets_partition_response,
                    (size_t)from->partitions_count);
    topic->partitions_count = from->partitions_count;
    for (int32_t i = 0; i < from->partitions_count; i++) {
        int32_t index = from->partitions[i].partition_index;
        int64_t time = from->partitions[i].timestamp;
        const struct fetch_fake_log *log = &fake->logs[index];
        bool leads = fake->topic->leaders[index] == call->broker_id;
        topic->partitions[i] = (struct list_offsets_response_list_offsets_partition_response){
            .partition_index = index,
            .error_code = leads ? ERR_OK : ERR_NOT_LEADER_OR_FOLLOWER,
            .timestamp = -1,
            .leader_epoch = fake->topic->leader_epochs[index],
            .offset = time == OTTLA_OFFSET_EARLIEST ? log->start
                      : time == OTTLA_OFFSET_LATEST ? log->end
                      : time < log->end             ? time /* records are at their offset */
                                                    : -1,
        };
    }
    response->topics = topic;
    response->topics_count = 1;
}

static void answer_epochs(struct fetch_fake *fake, struct fake_call *call) {
    const struct offset_for_leader_epoch_request *request = call->request;
    struct offset_for_leader_epoch_response *response = call->response;
    const struct offset_for_leader_epoch_request_offset_for_leader_topic *from = request->topics;
    struct offset_for_leader_epoch_response_offset_for_leader_topic_result *topic = ARENA_NEW(
        call->arena, struct offset_for_leader_epoch_response_offset_for_leader_topic_result);
    topic->topic = from->topic;
    topic->partitions =
        ARENA_ARRAY(call->arena, struct offset_for_leader_epoch_response_epoch_end_offset,
                    (size_t)from->partitions_count);
    topic->partitions_count = from->partitions_count;
    for (int32_t i = 0; i < from->partitions_count; i++) {
        int32_t index = from->partitions[i].partition;
        int32_t epoch = from->partitions[i].leader_epoch;
        int64_t end = epoch >= 0 && epoch < 8 ? fake->logs[index].epoch_ends[epoch] : 0;
        topic->partitions[i] = (struct offset_for_leader_epoch_response_epoch_end_offset){
            .partition = index,
            .leader_epoch = epoch,
            .end_offset = end > 0 ? end : fake->logs[index].end,
        };
    }
    response->topics = topic;
    response->topics_count = 1;
}

static void answer_committed(struct fetch_fake *fake, struct fake_call *call) {
    const struct offset_fetch_request *request = call->request;
    struct offset_fetch_response *response = call->response;
    const struct offset_fetch_request_topics *from = request->groups[0].topics;
    struct offset_fetch_response_group *group =
        ARENA_NEW(call->arena, struct offset_fetch_response_group);
    struct offset_fetch_response_topics *topic =
        ARENA_NEW(call->arena, struct offset_fetch_response_topics);
    group->group_id = request->groups[0].group_id;
    group->topics = topic;
    group->topics_count = 1;
    topic->name = from->name;
    topic->topic_id = from->topic_id;
    topic->partitions = ARENA_ARRAY(call->arena, struct offset_fetch_response_partitions,
                                    (size_t)from->partition_indexes_count);
    topic->partitions_count = from->partition_indexes_count;
    for (int32_t i = 0; i < from->partition_indexes_count; i++) {
        topic->partitions[i] = (struct offset_fetch_response_partitions){
            .partition_index = from->partition_indexes[i],
            .committed_offset = fake->logs[from->partition_indexes[i]].committed,
            .committed_leader_epoch = -1,
            .metadata = STR(""),
        };
    }
    response->groups = group;
    response->groups_count = 1;
}

static void answer_commit(struct fetch_fake *fake, struct fake_call *call) {
    const struct offset_commit_request *request = call->request;
    struct offset_commit_response *response = call->response;
    const struct offset_commit_request_topic *from = request->topics;
    struct offset_commit_response_topic *topic =
        ARENA_NEW(call->arena, struct offset_commit_response_topic);
    topic->name = from->name;
    topic->topic_id = from->topic_id;
    topic->partitions = ARENA_ARRAY(call->arena, struct offset_commit_response_partition,
                                    (size_t)from->partitions_count);
    topic->partitions_count = from->partitions_count;
    for (int32_t i = 0; i < from->partitions_count; i++) {
        topic->partitions[i].partition_index = from->partitions[i].partition_index;
        fake->logs[from->partitions[i].partition_index].committed =
            from->partitions[i].committed_offset;
        fake->commits++;
    }
    response->topics = topic;
    response->topics_count = 1;
}

static enum fake_do hook(void *arg, struct fake_call *call) {
    struct fetch_fake *fake = arg;
    switch (call->api_key) {
    case API_FETCH:
        answer_fetch(fake, call);
        break;
    case API_LIST_OFFSETS:
        answer_times(fake, call);
        break;
    case API_OFFSET_FOR_LEADER_EPOCH:
        answer_epochs(fake, call);
        break;
    case API_OFFSET_FETCH:
        answer_committed(fake, call);
        break;
    case API_OFFSET_COMMIT:
        answer_commit(fake, call);
        break;
    default:
        break;
    }
    return fake->twist == NULL ? FAKE_ANSWER : fake->twist(fake->arg, call);
}

/* --- life --- */

struct fetch_fake *fetch_fake_new(uint64_t seed, int broker_count, int32_t partitions,
                                  int64_t count) {
    struct fetch_fake *fake = calloc(1, sizeof *fake);
    assert(fake != NULL);
    fake->cluster = fake_cluster_new(seed, broker_count);
    fake->topic = fake_cluster_topic(fake->cluster, "t", partitions);
    fake->cluster->hook = hook;
    fake->cluster->arg = fake;
    for (int32_t i = 0; i < partitions; i++) {
        fake->logs[i].end = count;
        fake->logs[i].committed = -1;
    }
    return fake;
}

void fetch_fake_free(struct fetch_fake *fake) {
    fake_cluster_free(fake->cluster);
    free(fake);
}

void fetch_fake_lead(struct fetch_fake *fake, int32_t partition, int32_t leader, int32_t epoch) {
    fake->topic->leaders[partition] = leader;
    fake->topic->leader_epochs[partition] = epoch;
}
