/*
 * What members of the classic protocol send each other, and what the coordinator reads and writes
 * in their stead: the embedded protocol "consumer". A version stands before each message; of a
 * newer one than ours the part that we know is read.
 */
#include "base/limits.h"
#include "coord/consumer_int.h"
#include "wire/codec.h"

enum { VERSION_SIZE = 2 };

static err_t decode(const struct wire_type *type, struct bytes bytes, struct arena *arena,
                    void *ret_message) {
    if (bytes.size < VERSION_SIZE) {
        return ERR_MALFORMED;
    }
    int16_t version = (int16_t)get_be16(bytes.data);
    int16_t newest = wire_version_max(type);
    if (version < 0) {
        return ERR_MALFORMED;
    }
    struct bytes body = {.data = bytes.data + VERSION_SIZE, .size = bytes.size - VERSION_SIZE};
    size_t used;
    return wire_decode(type, version > newest ? newest : version, body, arena, ret_message, &used);
}

err_t consumer_read_subscription(struct bytes bytes, struct arena *arena,
                                 struct consumer_protocol_subscription *ret) {
    return decode(&consumer_protocol_subscription_type, bytes, arena, ret);
}

err_t consumer_read_assignment(struct bytes bytes, struct arena *arena,
                               struct consumer_protocol_assignment *ret) {
    if (bytes.size == 0) {
        wire_init(&consumer_protocol_assignment_type, ret);
        return ERR_OK;
    }
    return decode(&consumer_protocol_assignment_type, bytes, arena, ret);
}

struct bytes consumer_write_assignment(const struct group_step *step,
                                       const struct partition_set *set, struct bytes subscription) {
    int32_t count = partition_set_topic_count(set);
    struct consumer_protocol_assignment assignment;
    wire_init(&consumer_protocol_assignment_type, &assignment);
    assignment.assigned_partitions = ARENA_ARRAY(
        step->arena, struct consumer_protocol_assignment_topic_partition, (size_t)count);
    struct partition_run run;
    int32_t cursor = 0;
    while (partition_set_next(set, &cursor, &run)) {
        const struct meta_topic *topic = meta_image_topic_by_id(step->groups->image, run.topic_id);
        if (topic != NULL) {
            assignment.assigned_partitions[assignment.assigned_partitions_count++] =
                (struct consumer_protocol_assignment_topic_partition){
                    .topic = topic->name,
                    .partitions = partition_run_numbers(step->arena, &run),
                    .partitions_count = run.count,
                };
        }
    }
    int16_t version = subscription.size < VERSION_SIZE ? 0 : (int16_t)get_be16(subscription.data);
    int16_t newest = wire_version_max(&consumer_protocol_assignment_type);
    version = version < 0 ? 0 : version > newest ? newest : version;
    struct buffer buffer;
    buffer_init(&buffer);
    put_be16(buffer_extend(&buffer, VERSION_SIZE), (uint16_t)version);
    (void)wire_encode(&consumer_protocol_assignment_type, version, &assignment, &buffer);
    struct bytes bytes = arena_bytes(step->arena, buffer_bytes(&buffer));
    buffer_done(&buffer);
    return bytes;
}

struct partition_set
consumer_partitions_of(const struct group_step *step,
                       const struct consumer_protocol_assignment_topic_partition *list,
                       int32_t list_count, int32_t epoch) {
    size_t count = 0;
    for (int32_t i = 0; i < list_count; i++) {
        count += (size_t)list[i].partitions_count;
    }
    struct partition_set set = {.items = ARENA_ARRAY(step->arena, struct partition_item, count)};
    for (int32_t i = 0; i < list_count; i++) {
        const struct meta_topic *topic = meta_image_topic(step->groups->image, list[i].topic);
        for (int32_t k = 0; topic != NULL && k < list[i].partitions_count; k++) {
            if (meta_topic_partition(topic, list[i].partitions[k]) != NULL) {
                set.items[set.count++] = (struct partition_item){
                    .topic_id = topic->id, .partition = list[i].partitions[k], .epoch = epoch};
            }
        }
    }
    partition_set_sort(&set);
    return set;
}
