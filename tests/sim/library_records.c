/*
 * What a consumer of a group is given, from the partitions it begins with to each record.
 *
 * A reader of committed records passes over what was aborted, and every reader over the ends of
 * transactions: offsets may be missing then, and where a consumer is seen to begin it may already
 * have passed some of them.
 */
#include <inttypes.h>

#include "library_group.h"

void library_assigned(struct library_holder *holder, const struct ottla_partition *partitions,
                      size_t count) {
    for (size_t i = 0; i < count; i++) {
        int place = library_place_of(holder, partitions[i].topic, partitions[i].partition);
        if (place >= 0) {
            library_own(holder, place);
        }
    }
}

void library_released(struct library_holder *holder, const struct ottla_partition *partitions,
                      size_t count) {
    for (size_t i = 0; i < count; i++) {
        int place = library_place_of(holder, partitions[i].topic, partitions[i].partition);
        if (place >= 0) {
            library_release(holder, place);
        }
    }
}

/* --- what is passed over --- */

static struct audit_partition *log_of(const struct library_holder *holder, int place) {
    return library_topic_of(holder, place)->partitions[place % SIM_PARTITIONS_MAX].audit;
}

/* What is at an offset that nobody has read yet is looked at in the end. */
static bool may_pass(const struct library_holder *holder, int place, int64_t offset) {
    struct node_sim *sim = holder->sim;
    uint64_t value = audit_value_at(log_of(holder, place), offset);
    return sim->txn_client_count > 0 &&
           (value == 0 || (holder->committed && audit_txns_has(sim->txns, value)));
}

static void pass(struct library_holder *holder, int place, int64_t to) {
    struct node_sim *sim = holder->sim;
    struct library_place *it = &holder->places[place];
    uint64_t stretch = audit_txns_stretch(sim->txns);
    for (; it->next < to && may_pass(holder, place, it->next); it->next++) {
        uint64_t value = audit_value_at(log_of(holder, place), it->next);
        if (value != 0 && sim->run->power_cut_count == 0) { /* else it may be an old one */
            audit_txns_covered(sim->txns, stretch, value);
            points_add(sim->run->points, "library_passed_aborted", 1);
        }
    }
}

/* --- where it begins --- */

static void started(struct library_holder *holder, int place, int64_t offset) {
    struct library_place *it = &holder->places[place];
    struct audit_group *audit = library_group_audit(holder->group);
    audit_group_cuts(audit, it->cut, holder->sim->run->power_cut_count);
    int64_t begin = offset;
    while (begin > 0 && !audit_group_may_fetch(audit, place, it->floor, begin) &&
           may_pass(holder, place, begin - 1)) {
        begin--;
    }
    audit_group_fetched(audit, place, it->floor, begin == 0 ? -1 : begin); /* 0: none yet */
    library_news_of_now(holder);
    it->next = begin;
    pass(holder, place, offset);
}

void library_note_starts(struct library_holder *holder, const struct ottla_consumer *consumer) {
    for (int i = 0; i < AUDIT_PLACES_MAX; i++) {
        struct library_place *place = &holder->places[i];
        struct ottla_partition partition = {library_topic_of(holder, i)->name,
                                            i % SIM_PARTITIONS_MAX};
        struct ottla_position position;
        if (place->owned && place->next < 0 &&
            ottla_consumer_position(consumer, &partition, &position) == OTTLA_OK) {
            started(holder, i, position.offset);
        }
    }
}

/* --- records --- */

static void read(struct library_holder *holder, int place, const struct ottla_record *record) {
    struct node_sim *sim = holder->sim;
    uint64_t value = audit_value_check(record->value.data, (uint32_t)record->value.size);
    if (value == 0) {
        node_fail(sim, "%s, %s-%d: the record at offset %" PRId64 " has wrong bytes", holder->name,
                  record->topic, record->partition, record->offset);
        return;
    }
    audit_read(log_of(holder, place), record->offset, value);
    if (holder->committed) {
        audit_txns_read(sim->txns, audit_txns_stretch(sim->txns), value);
    }
}

void library_handed_out(struct library_holder *holder, const struct ottla_record *record) {
    struct node_sim *sim = holder->sim;
    int place = library_place_of(holder, record->topic, record->partition);
    if (place < 0) {
        return;
    }
    struct library_place *it = &holder->places[place];
    if (!it->owned) {
        node_fail(sim, "%s gets a record of %s-%d, which it does not own", holder->name,
                  record->topic, record->partition);
        return;
    }
    if (it->next < 0) {
        started(holder, place, record->offset);
    }
    pass(holder, place, record->offset);
    if (record->offset != it->next) {
        node_fail(sim, "%s, %s-%d: offset %" PRId64 " is handed out in place of %" PRId64,
                  holder->name, record->topic, record->partition, record->offset, it->next);
        return;
    }
    it->next++;
    library_group_note_handed(holder->group, place, record->offset);
    library_group_touch(holder);
    read(holder, place, record);
}
