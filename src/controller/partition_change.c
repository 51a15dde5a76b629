/*
 * The change of one partition: what happens to its leader, its ISR and its eligible leader replicas
 * (KIP-966) when brokers or their directories come or go.
 *
 * In this order:
 *   1. The target ISR is the ISR without who leaves.
 *   2. With ELR: while the target ISR is smaller than min.insync.replicas, who leaves it stays an
 *      eligible leader, unless its shutdown was unclean; with enough in sync there are none.
 *   3. The leader is the first of these that can lead now (it is active and the directory of its
 *      replica is online):
 *        the present leader, then the replicas in their order: in the ISR, or, with an empty ISR,
 *            among the eligible leaders;
 *        the last known leader, when ISR and ELR are empty (with ELR): unclean;
 *        any replica, when unclean.leader.election.enable is set: unclean;
 *        none.
 *      An eligible leader that is elected becomes the ISR. An uncleanly elected one does too, and
 *      has to recover. The ISR is never emptied without ELR: its last member is kept.
 *   4. When the leader becomes none, it is noted as the last known leader; a new one clears that.
 *   5. The directory of a replica is noted as its broker says.
 *
 * Sets of brokers are small: arrays, and a walk over them.
 */
#include <assert.h>

#include "controller/controller_int.h"

struct ids {
    int32_t *ids;
    int32_t count;
};

struct build {
    const struct partition_change *change;
    struct arena *arena;
    struct ids isr;
    struct ids elr;
    struct partition_change_record *record;
};

enum { LEADER_UNCHANGED = -2 };

static bool ids_have(struct ids set, int32_t id) {
    for (int32_t i = 0; i < set.count; i++) {
        if (set.ids[i] == id) {
            return true;
        }
    }
    return false;
}

static struct ids ids_new(struct arena *arena, int32_t capacity) {
    return (struct ids){.ids = ARENA_ARRAY(arena, int32_t, (size_t)capacity + 1)};
}

/* Keeps the order of the numbers, so that outcomes do not depend on who came first. */
static void ids_add_sorted(struct ids *set, int32_t id) {
    if (ids_have(*set, id)) {
        return;
    }
    int32_t place = set->count++;
    while (place > 0 && set->ids[place - 1] > id) {
        set->ids[place] = set->ids[place - 1];
        place--;
    }
    set->ids[place] = id;
}

static bool ids_equal(struct ids a, const int32_t *b, int32_t b_count) {
    if (a.count != b_count) {
        return false;
    }
    for (int32_t i = 0; i < b_count; i++) {
        if (a.ids[i] != b[i]) {
            return false;
        }
    }
    return true;
}

static struct ids ids_one(struct arena *arena, int32_t id) {
    struct ids set = ids_new(arena, 1);
    set.ids[set.count++] = id;
    return set;
}

/* --- who can lead --- */

static bool can_lead(const struct build *build, int32_t id) {
    const struct leaders_change *cause = build->change->cause;
    const struct meta_partition *partition = build->change->partition;
    const struct meta_broker *broker = meta_image_broker(build->change->image, id);
    if (id == cause->remove || id == cause->unclean ||
        (id != cause->add && !broker_is_active(broker))) {
        return false;
    }
    return meta_partition_has_replica(partition, id) &&
           meta_broker_has_online_dir(broker, meta_partition_directory(partition, id));
}

static bool can_lead_cleanly(const struct build *build, int32_t id) {
    bool eligible = ids_have(build->isr, id) || (build->isr.count == 0 && ids_have(build->elr, id));
    return eligible && can_lead(build, id);
}

static bool last_known_can_lead(const struct build *build) {
    const struct meta_partition *partition = build->change->partition;
    return build->change->elr_enabled && build->elr.count == 0 && build->isr.count == 0 &&
           partition->last_known_elr_count == 1 && can_lead(build, partition->last_known_elr[0]);
}

static int32_t elect(const struct build *build, bool *ret_unclean) {
    const struct meta_partition *partition = build->change->partition;
    *ret_unclean = false;
    if (can_lead_cleanly(build, partition->leader)) {
        return partition->leader;
    }
    for (int32_t i = 0; i < partition->replica_count; i++) {
        if (can_lead_cleanly(build, partition->replicas[i])) {
            return partition->replicas[i];
        }
    }
    *ret_unclean = true;
    if (last_known_can_lead(build)) {
        return partition->last_known_elr[0];
    }
    for (int32_t i = 0; i < partition->replica_count && build->change->unclean_allowed; i++) {
        if (can_lead(build, partition->replicas[i])) {
            return partition->replicas[i];
        }
    }
    *ret_unclean = false;
    return META_LEADER_NONE;
}

/* --- the parts of the record --- */

static void find_target_isr(struct build *build) {
    const struct meta_partition *partition = build->change->partition;
    const struct leaders_change *cause = build->change->cause;
    build->isr = ids_new(build->arena, partition->isr_count);
    for (int32_t i = 0; i < partition->isr_count; i++) {
        int32_t id = partition->isr[i];
        if (id != cause->remove && id != cause->unclean) {
            build->isr.ids[build->isr.count++] = id;
        }
    }
}

static void find_target_elr(struct build *build) {
    const struct meta_partition *partition = build->change->partition;
    build->elr = ids_new(build->arena, partition->elr_count + partition->isr_count);
    if (!build->change->elr_enabled) {
        for (int32_t i = 0; i < partition->elr_count; i++) {
            build->elr.ids[build->elr.count++] = partition->elr[i];
        }
        return;
    }
    if (build->isr.count >= build->change->min_isr) {
        return;
    }
    for (int32_t i = 0; i < partition->elr_count + partition->isr_count; i++) {
        int32_t id =
            i < partition->elr_count ? partition->elr[i] : partition->isr[i - partition->elr_count];
        if (!ids_have(build->isr, id) && id != build->change->cause->unclean) {
            ids_add_sorted(&build->elr, id);
        }
    }
}

static void set_isr(struct build *build, struct ids isr) {
    build->record->isr = isr.ids;
    build->record->isr_count = isr.count;
}

static void try_election(struct build *build) {
    const struct meta_partition *partition = build->change->partition;
    bool unclean;
    int32_t leader = elect(build, &unclean);
    if (leader == partition->leader) {
        return;
    }
    if (ids_have(build->elr, leader)) {
        struct ids rest = ids_new(build->arena, build->elr.count);
        for (int32_t i = 0; i < build->elr.count; i++) {
            if (build->elr.ids[i] != leader) {
                rest.ids[rest.count++] = build->elr.ids[i];
            }
        }
        build->elr = rest;
        build->isr = ids_one(build->arena, leader);
    }
    build->record->leader = leader;
    if (unclean) {
        set_isr(build, ids_one(build->arena, leader));
        if (partition->leader_recovery_state != META_RECOVERY_RECOVERING) {
            build->record->leader_recovery_state = META_RECOVERY_RECOVERING;
        }
    }
}

static void set_elr(struct build *build) {
    const struct meta_partition *partition = build->change->partition;
    bool unclean = build->record->isr_count >= 0;
    if (unclean || !build->change->elr_enabled) {
        build->elr.count = 0;
    }
    if (!ids_equal(build->elr, partition->elr, partition->elr_count)) {
        build->record->eligible_leader_replicas = build->elr.ids;
        build->record->eligible_leader_replicas_count = build->elr.count;
    }
}

static void set_last_known_leader(struct build *build) {
    const struct meta_partition *partition = build->change->partition;
    if (!build->change->elr_enabled) {
        return;
    }
    if (build->record->leader == META_LEADER_NONE && partition->last_known_elr_count == 0) {
        build->record->last_known_elr = ids_one(build->arena, partition->leader).ids;
        build->record->last_known_elr_count = 1;
    } else if (build->record->leader >= 0 && partition->last_known_elr_count > 0) {
        build->record->last_known_elr = ids_new(build->arena, 0).ids;
        build->record->last_known_elr_count = 0;
    }
}

/* Before metadata.version 3.6-IV0 a smaller ISR came with a new leader epoch. */
static void bump_epoch_on_shrink(struct build *build) {
    const struct meta_partition *partition = build->change->partition;
    struct partition_change_record *record = build->record;
    if (record->leader != LEADER_UNCHANGED || record->isr_count < 0 ||
        !metadata_version_bumps_epoch_on_isr_shrink(
            meta_image_metadata_version(build->change->image))) {
        return;
    }
    struct ids isr = {record->isr, record->isr_count};
    for (int32_t i = 0; i < partition->isr_count; i++) {
        if (!ids_have(isr, partition->isr[i])) {
            record->leader = partition->leader;
        }
    }
}

static void set_directory(struct build *build) {
    const struct meta_partition *partition = build->change->partition;
    const struct directory_change *change = build->change->directory;
    bool changed = false;
    struct uuid *directories =
        ARENA_ARRAY(build->arena, struct uuid, (size_t)partition->replica_count);
    for (int32_t i = 0; i < partition->replica_count; i++) {
        directories[i] = partition->directories[i];
        if (change != NULL && partition->replicas[i] == change->broker_id &&
            !uuid_equal(directories[i], change->directory)) {
            directories[i] = change->directory;
            changed = true;
        }
    }
    if (changed) {
        build->record->directories = directories;
        build->record->directories_count = partition->replica_count;
    }
}

static bool is_no_op(const struct partition_change_record *record) {
    return record->isr_count < 0 && record->eligible_leader_replicas_count < 0 &&
           record->last_known_elr_count < 0 && record->leader == LEADER_UNCHANGED &&
           record->leader_recovery_state == -1 && record->directories_count < 0;
}

struct partition_change_record *partition_change_build(const struct partition_change *change,
                                                       struct arena *arena) {
    const struct meta_partition *partition = change->partition;
    struct build build = {.change = change, .arena = arena};
    build.record = arena_alloc(arena, sizeof *build.record);
    wire_init(&partition_change_record_type, build.record);
    assert(build.record->leader == LEADER_UNCHANGED);
    assert(build.record->isr_count < 0);
    build.record->topic_id = change->topic->id;
    build.record->partition_id = partition->id;

    find_target_isr(&build);
    find_target_elr(&build);
    try_election(&build);
    set_elr(&build);
    if (build.record->isr_count < 0 && (build.isr.count > 0 || change->elr_enabled) &&
        !ids_equal(build.isr, partition->isr, partition->isr_count)) {
        set_isr(&build, build.isr);
    }
    bump_epoch_on_shrink(&build);
    set_last_known_leader(&build);
    set_directory(&build);
    return is_no_op(build.record) ? NULL : build.record;
}
