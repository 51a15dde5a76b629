/*
 * Where the replicas of new partitions go: in stripes over racks, and inside a rack over brokers.
 *
 *   rack A   1 2 3        partition 0   1 4 5      each replica in the next rack,
 *   rack B   4            partition 1   4 6 2      each partition begins one rack further,
 *   rack C   5 6          partition 2   6 3 4      each rack gives its brokers in turn
 *
 * The first replica is on an unfenced broker, because it is to lead. Further ones prefer unfenced
 * brokers of their rack and take fenced ones when there are no others. After as many partitions as
 * there are unfenced brokers the order is shuffled, so that the same followers do not always go
 * with the same leader. Where it begins is random.
 */
#include <assert.h>
#include <inttypes.h>

#include "controller/controller_int.h"

struct turn {
    int32_t *ids;
    int32_t count;
    int32_t index; /* given out in this round */
    int32_t offset;
    int32_t round;
};

struct rack {
    struct str name; /* null: brokers without one */
    struct turn unfenced;
    struct turn fenced;
};

struct racks {
    struct rack *racks;
    int32_t count;
    int32_t broker_count;
    int32_t unfenced_count;
    int32_t round;
    int32_t offset;
    struct rng *random;
};

static int32_t below(struct rng *random, int32_t bound) {
    return (int32_t)rng_below(random, (uint64_t)bound);
}

static void turn_shuffle(struct turn *turn, struct rng *random) {
    for (int32_t i = turn->count; i > 1; i--) {
        int32_t k = below(random, i);
        int32_t id = turn->ids[i - 1];
        turn->ids[i - 1] = turn->ids[k];
        turn->ids[k] = id;
    }
}

/* -1: the rack has given all it has in this round. */
static int32_t turn_next(struct turn *turn, int32_t round) {
    if (turn->count == 0) {
        return -1;
    }
    if (turn->round != round) {
        turn->round = round;
        turn->index = 0;
        turn->offset = (turn->offset + 1) % turn->count;
    }
    if (turn->index >= turn->count) {
        return -1;
    }
    return turn->ids[(turn->index++ + turn->offset) % turn->count];
}

/* --- the racks --- */

static bool has_uncordoned_dir(const struct meta_broker *broker) {
    if (broker->log_dir_count == 0 || broker->cordoned_log_dir_count < 0) {
        return true;
    }
    for (int32_t i = 0; i < broker->log_dir_count; i++) {
        bool cordoned = false;
        for (int32_t k = 0; k < broker->cordoned_log_dir_count; k++) {
            cordoned |= uuid_equal(broker->log_dirs[i], broker->cordoned_log_dirs[k]);
        }
        if (!cordoned) {
            return true;
        }
    }
    return false;
}

/* Racks are kept in the order of their names; brokers come in the order of their ids. */
static struct rack *rack_of(struct racks *racks, struct str name) {
    int32_t place = 0;
    while (place < racks->count && str_compare(racks->racks[place].name, name) < 0) {
        place++;
    }
    if (place < racks->count && str_equal(racks->racks[place].name, name)) {
        return &racks->racks[place];
    }
    for (int32_t i = racks->count; i > place; i--) {
        racks->racks[i] = racks->racks[i - 1];
    }
    racks->count++;
    racks->racks[place] = (struct rack){.name = name};
    return &racks->racks[place];
}

static void turn_add(struct turn *turn, int32_t id, size_t capacity, struct arena *arena) {
    if (turn->ids == NULL) {
        turn->ids = ARENA_ARRAY(arena, int32_t, capacity);
    }
    turn->ids[turn->count++] = id;
}

static void racks_init(struct racks *racks, struct controller *controller, struct rng *random,
                       struct arena *arena) {
    const struct pmap *brokers = &controller->image->brokers;
    *racks = (struct racks){.random = random};
    racks->racks = ARENA_ARRAY(arena, struct rack, brokers->count + 1);
    struct pmap_walk walk;
    const struct meta_broker *broker;
    pmap_for_each(&walk, brokers, broker) {
        const struct broker_contact *contact = contact_get(controller, broker->id);
        bool leaving = contact != NULL && contact->controlled_shutdown_offset >= 0;
        if (leaving || broker->in_controlled_shutdown || !has_uncordoned_dir(broker)) {
            continue;
        }
        struct rack *rack = rack_of(racks, broker->rack);
        turn_add(broker->fenced ? &rack->fenced : &rack->unfenced, broker->id, brokers->count,
                 arena);
        racks->broker_count++;
        racks->unfenced_count += broker->fenced ? 0 : 1;
    }
    for (int32_t i = 0; i < racks->count; i++) {
        struct turn *turns[] = {&racks->racks[i].fenced, &racks->racks[i].unfenced};
        for (int k = 0; k < 2; k++) {
            turns[k]->offset = turns[k]->count == 0 ? 0 : below(random, turns[k]->count);
        }
    }
    racks->offset = racks->count == 0 ? 0 : below(random, racks->count);
}

static void racks_shuffle(struct racks *racks) {
    for (int32_t i = racks->count; i > 1; i--) {
        int32_t k = below(racks->random, i);
        struct rack rack = racks->racks[i - 1];
        racks->racks[i - 1] = racks->racks[k];
        racks->racks[k] = rack;
    }
    for (int32_t i = 0; i < racks->count; i++) {
        turn_shuffle(&racks->racks[i].fenced, racks->random);
        turn_shuffle(&racks->racks[i].unfenced, racks->random);
    }
}

static int32_t rack_next(struct rack *rack, int32_t round) {
    int32_t id = turn_next(&rack->unfenced, round);
    return id >= 0 ? id : turn_next(&rack->fenced, round);
}

static void place_one(struct racks *racks, int32_t replication_factor, int32_t *replicas) {
    if (racks->round == racks->unfenced_count && racks->unfenced_count > 1) {
        racks_shuffle(racks);
        racks->round = 0;
    }
    if (racks->offset == racks->count) {
        racks->offset = 0;
    }
    int32_t first_rack = racks->offset;
    int32_t first;
    while ((first = turn_next(&racks->racks[first_rack].unfenced, racks->round)) < 0) {
        first_rack = (first_rack + 1) % racks->count;
    }
    replicas[0] = first;

    int32_t rack = racks->offset;
    for (int32_t i = 1; i < replication_factor; i++) {
        int32_t id = -1;
        while (id < 0) {
            if (rack == first_rack) {
                first_rack = -1; /* it gave the first replica: passed over once */
            } else {
                id = rack_next(&racks->racks[rack], racks->round);
            }
            rack = (rack + 1) % racks->count;
        }
        replicas[i] = id;
    }
    racks->round++;
    racks->offset++;
}

struct api_error placement_choose(struct controller *controller, struct rng *random,
                                  int32_t partition_count, int32_t replication_factor,
                                  struct arena *arena, struct new_partition *ret_partitions) {
    assert(replication_factor > 0);
    struct racks racks;
    racks_init(&racks, controller, random, arena);
    if (racks.unfenced_count == 0) {
        return api_error(arena, ERR_INVALID_REPLICATION_FACTOR,
                         "All brokers are currently fenced, or have all their log directories "
                         "cordoned.");
    }
    if (replication_factor > racks.broker_count) {
        return api_error(arena, ERR_INVALID_REPLICATION_FACTOR,
                         "The target replication factor of %" PRId32
                         " cannot be reached because only %" PRId32
                         " broker(s) are registered or some brokers have all their log directories "
                         "cordoned.",
                         replication_factor, racks.broker_count);
    }
    for (int32_t i = 0; i < partition_count; i++) {
        ret_partitions[i].replicas = ARENA_ARRAY(arena, int32_t, (size_t)replication_factor);
        ret_partitions[i].replica_count = replication_factor;
        place_one(&racks, replication_factor, ret_partitions[i].replicas);
    }
    return API_OK;
}
