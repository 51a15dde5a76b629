#include "coord/txn_world_test.h"

#include "coord/txn_int.h"

#include <assert.h>
#include <inttypes.h>
#include <string.h>

/* --- producer ids --- */

static void give(struct txn_world_test *test, struct coord_id_wait *wait) {
    err_t err = test->id_err;
    test->id_err = ERR_OK;
    wait->done(wait, err, err == ERR_OK ? test->next_id++ : -1);
}

static void next_producer_id(void *arg, struct coord_id_wait *wait) {
    struct txn_world_test *test = arg;
    if (test->hold_ids) {
        list_add_last(&test->id_waits, &wait->link);
    } else {
        give(test, wait);
    }
}

static void give_all(struct txn_world_test *test) {
    struct list *link;
    test->hold_ids = false;
    while ((link = list_take_first(&test->id_waits)) != NULL) {
        give(test, container_of(link, struct coord_id_wait, link));
    }
}

/* --- markers --- */

static void mark(struct txn_world_test *test, struct coord_markers *markers) {
    for (int32_t i = 0; i < markers->partition_count; i++) {
        const struct txn_partition *partition = &markers->partitions[i];
        bool fails = test->fail_times > 0 && partition->partition == test->fail_partition &&
                     str_equal(partition->topic, str_from_c(test->fail_topic));
        markers->errors[i] = fails ? test->fail_err : ERR_OK;
        test->fail_times -= fails;
    }
    markers->done(markers);
}

static void write_markers(void *arg, struct coord_markers *markers) {
    struct txn_world_test *test = arg;
    fprintf(test->out, "  %s markers of %" PRId64 " epoch %d, coordinator %d, version %d:",
            markers->commit ? "commit" : "abort", markers->producer_id, markers->producer_epoch,
            (int)markers->coordinator_epoch, markers->transaction_version);
    for (int32_t i = 0; i < markers->partition_count; i++) {
        fprintf(test->out, " %.*s-%d", STR_ARGS(markers->partitions[i].topic),
                (int)markers->partitions[i].partition);
    }
    fprintf(test->out, "\n");
    if (test->hold_markers) {
        assert(test->held_count < 16);
        test->held[test->held_count++] = markers;
    } else {
        mark(test, markers);
    }
}

static void mark_all(struct txn_world_test *test) {
    int count = test->held_count;
    test->hold_markers = false;
    test->held_count = 0;
    for (int i = 0; i < count; i++) {
        mark(test, test->held[i]);
    }
}

/* --- commands --- */

err_t txn_world_test_error(const char *name) {
    for (int code = -1; code < ERR_OWN_LAST; code++) {
        if (strcmp(err_name((err_t)code), name) == 0) {
            return (err_t)code;
        }
    }
    return ERR_INVALID;
}

static void print_ended(const struct txn_world_test *test, const struct groups *groups) {
    fprintf(test->out, " ");
    for (int i = GROUP_COUNT_TXNS_COMMITTED; i <= GROUP_COUNT_TXNS_TIMED_OUT; i++) {
        fprintf(test->out, " %" PRIu64, atomic_load(&groups->counts[i]));
    }
    fprintf(test->out, "\n");
}

static void print_fate(const struct txn_world_test *test, const struct groups *groups,
                       struct coord_fate_of *item) {
    static const char *const names[] = {
        [COORD_FATE_OPEN] = "open",           [COORD_FATE_LOST] = "lost",
        [COORD_FATE_COMMITTED] = "committed", [COORD_FATE_ABORTED] = "aborted",
        [COORD_FATE_UNKNOWN] = "unknown",
    };
    item->fate = COORD_FATE_UNKNOWN;
    struct coord_fates fates = {.items = item, .count = 1};
    txn_fates_look(groups, &fates);
    fprintf(test->out, "  %s%s", names[item->fate], item->version_2 ? ", version 2" : "");
    if (item->fate == COORD_FATE_LOST) {
        fprintf(test->out, ", for %d ms", (int)item->timeout_ms);
    }
    fprintf(test->out, "\n");
}

bool txn_world_test_run(struct txn_world_test *test, const struct groups *groups,
                        const char *line) {
    struct coord_fate_of item = {0};
    char name[64];
    int times = 1;
    if (strncmp(line, "ids hold", 8) == 0) {
        test->hold_ids = true;
    } else if (strncmp(line, "ids give", 8) == 0) {
        give_all(test);
    } else if (sscanf(line, "ids fail %63s", name) == 1) {
        test->id_err = txn_world_test_error(name);
    } else if (strncmp(line, "ended", 5) == 0) {
        print_ended(test, groups);
    } else if (strncmp(line, "unclean", 7) == 0) {
        test->world.unclean = true;
    } else if (sscanf(line, "watched %" SCNd64, &test->watched) == 1) {
        test->world.watched = &test->watched;
        test->world.watched_count = 1;
    } else if (sscanf(line, "fate %" SCNd64 " %" SCNd16 " %63s %d", &item.producer_id, &item.epoch,
                      name, &item.partition) == 4) {
        item.topic = str_from_c(name);
        print_fate(test, groups, &item);
    } else if (strncmp(line, "markers hold", 12) == 0) {
        test->hold_markers = true;
    } else if (strncmp(line, "markers write", 13) == 0) {
        mark_all(test);
    } else if (sscanf(line, "markers fail %63s %d %63s %d", test->fail_topic, &test->fail_partition,
                      name, &times) >= 3) {
        test->fail_err = txn_world_test_error(name);
        test->fail_times = times;
    } else {
        return false;
    }
    return true;
}

void txn_world_test_init(struct txn_world_test *test, FILE *out) {
    *test = (struct txn_world_test){
        .world = {.arg = test,
                  .write_markers = write_markers,
                  .next_producer_id = next_producer_id},
        .out = out,
        .next_id = 1000,
    };
    list_init(&test->id_waits);
}
