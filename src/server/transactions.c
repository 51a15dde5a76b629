/*
 * Between the transaction coordinators and the rest of the node: where they get producer ids, how
 * their markers get into partitions, and how leaders ask them.
 */
#include <assert.h>
#include <stdlib.h>

#include "server/node_int.h"
#include "server/producer_ids.h"
#include "server/txn_markers.h"
#include "server/txn_verify.h"
#include "wire/api_keys.h"
#include "wire/messages.h"

/* --- producer ids --- */

static void next_producer_id(void *arg, struct coord_id_wait *wait) {
    struct node *node = arg;
    int64_t producer_id;
    if (producer_ids_take(node->producer_ids, &producer_id)) {
        wait->done(wait, ERR_OK, producer_id);
    } else {
        producer_ids_await(node->producer_ids, wait);
    }
}

/* --- markers --- */

struct marking {
    struct txn_markers write;
    struct coord_markers *asked;
    struct txn_marker_part parts[];
};

static void marked(struct txn_markers *write) {
    struct marking *marking = container_of(write, struct marking, write);
    struct coord_markers *asked = marking->asked;
    for (int32_t i = 0; i < asked->partition_count; i++) {
        asked->errors[i] = marking->parts[i].err;
    }
    free(marking);
    asked->done(asked);
}

static void write_markers(void *arg, struct coord_markers *asked) {
    size_t count = (size_t)asked->partition_count;
    struct marking *marking = calloc(1, sizeof *marking + count * sizeof marking->parts[0]);
    assert(marking != NULL);
    marking->asked = asked;
    for (size_t i = 0; i < count; i++) {
        marking->parts[i] = (struct txn_marker_part){.topic = asked->partitions[i].topic,
                                                     .partition = asked->partitions[i].partition};
    }
    marking->write = (struct txn_markers){
        .producer_id = asked->producer_id,
        .producer_epoch = asked->producer_epoch,
        .coordinator_epoch = asked->coordinator_epoch,
        .transaction_version = asked->transaction_version,
        .commit = asked->commit,
        .parts = marking->parts,
        .part_count = asked->partition_count,
        .loop = asked->loop,
        .done = marked,
    };
    txn_markers_write(arg, &marking->write);
}

/* Of all directories: nobody knows yet where __transaction_state is. */
static bool was_clean(const struct node *node) {
    bool clean = node->lost_dir_count == 0;
    for (int i = 0; i < node->data_volume_count; i++) {
        int64_t epoch;
        clean = clean && log_directory_was_clean(node->volumes[i]->directory, &epoch);
    }
    return clean;
}

void node_make_transactions_world(struct node *node) {
    node->transactions_world = (struct coord_world){.arg = node,
                                                    .write_markers = write_markers,
                                                    .next_producer_id = next_producer_id,
                                                    .unclean = !was_clean(node)};
}
