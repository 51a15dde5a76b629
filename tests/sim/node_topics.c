#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "audit_compaction.h"
#include "node_int.h"

enum { TOMBSTONE_ONE_IN = 8 };

bool topic_is_usable(const struct node_topic *topic) {
    return topic->state == TOPIC_PRESENT && topic->id_known;
}

struct bytes topic_key(const struct node_topic *topic, uint64_t value, char text[TOPIC_KEY_MAX]) {
    if (!topic->compacted) {
        return (struct bytes){0};
    }
    int size = snprintf(text, TOPIC_KEY_MAX, "key-%u", audit_compaction_key(value));
    return (struct bytes){.data = (const uint8_t *)text, .size = (size_t)size};
}

bool topic_is_tombstone(const struct node_topic *topic, uint64_t value) {
    return topic->tombstones_ms >= 0 && value % TOMBSTONE_ONE_IN == 0;
}

static void read_line(struct node_sim *sim, struct scenario_line *line) {
    assert(sim->topic_count < SIM_TOPICS_MAX);
    struct node_topic *topic = &sim->topics[sim->topic_count++];
    *topic = (struct node_topic){
        .sim = sim,
        .first_partition_count = (int32_t)node_draw(sim, scenario_range(line, "partitions", "1")),
        .synced = scenario_flag(line, "synced", false),
        .comes_and_goes = scenario_flag(line, "comes_and_goes", false),
        .deletes_records = scenario_flag(line, "deletes_records", false),
        .grows = scenario_flag(line, "grows", false),
        .compacted = scenario_flag(line, "compacted", false),
        .changes_policy = scenario_flag(line, "changes_policy", false),
        .segment_bytes = node_draw(sim, scenario_range(line, "segment", "16KiB")),
        .retention_bytes = node_draw(sim, scenario_range(line, "retention", "-1")),
        .tombstones_ms = -1,
        .setting = -1,
        .setting_asked = -1,
    };
    snprintf(topic->name, sizeof topic->name, "%s", line->name);
    if (scenario_text(line, "tombstones", NULL) != NULL) {
        topic->tombstones_ms = node_draw(sim, scenario_range(line, "tombstones", "1s")) / 1000;
    }
    assert(topic->first_partition_count <= SIM_PARTITIONS_MAX);
}

void topics_read(struct node_sim *sim) {
    struct scenario_line *line = NULL;
    while ((line = scenario_next(sim->run->scenario, SCENARIO_TOPIC, NULL, line)) != NULL) {
        read_line(sim, line);
    }
}

struct node_topic *topic_by_id(struct node_sim *sim, struct uuid id) {
    for (int i = 0; i < sim->topic_count; i++) {
        if (sim->topics[i].id_known && uuid_equal(sim->topics[i].id, id)) {
            return &sim->topics[i];
        }
    }
    return NULL;
}

struct node_topic *topic_by_name(struct node_sim *sim, struct str name) {
    for (int i = 0; i < sim->topic_count; i++) {
        if (str_equal(str_from_c(sim->topics[i].name), name)) {
            return &sim->topics[i];
        }
    }
    return NULL;
}

void topic_note_id(struct node_topic *topic, struct uuid id) {
    if (!topic->id_known) {
        topic->id_known = true;
        topic->id = id;
    } else if (!uuid_equal(topic->id, id)) {
        node_fail(topic->sim, "topic %s has another id than before", topic->name);
    }
}

static void add_partitions(struct node_topic *topic, int32_t count) {
    char name[80];
    snprintf(name, sizeof name, "%s#%" PRIu32, topic->name, topic->incarnation);
    for (int32_t p = topic->partition_count; p < count; p++) {
        topic->partitions[p] = (struct topic_partition){
            .audit = audit_partition(topic->sim->run->audit, name, p), .final_end = -1};
        if (topic->compacted) {
            audit_compacted(topic->partitions[p].audit);
        }
    }
    topic->partition_count = count;
}

void topic_begin(struct node_topic *topic) {
    topic->state = TOPIC_CREATING;
    topic->incarnation++;
    topic->id_known = false;
    topic->partition_count = 0;
    topic->partitions_asked = topic->first_partition_count;
    topic->setting = topic->setting_asked = -1;
    add_partitions(topic, topic->first_partition_count);
    node_members_topic_begins(topic);
}

void topic_set_partition_count(struct node_topic *topic, int32_t count) {
    if (count > topic->partition_count) {
        add_partitions(topic, count);
    }
}

void topic_note_high_watermark(struct node_topic *topic, int32_t partition, int64_t offset) {
    if (offset > topic->partitions[partition].high_watermark) {
        topic->partitions[partition].high_watermark = offset;
    }
}
