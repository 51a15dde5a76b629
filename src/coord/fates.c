/*
 * Which transactions of producers are whose, over all shards of a node.
 *
 * The question goes from loop to loop, and each answers for its shards between two of their steps.
 * A shard that is led elsewhere has to be asked there: ListTransactions by producer id, then
 * DescribeTransactions, say the same of the present, though not of the past. Until there is
 * replication all shards are here, and one that is not makes the answer incomplete.
 */
#include "coord/coord_int.h"
#include "coord/txn_int.h"

static void ask_loop(struct sys_task *task);

static void answer(struct sys_task *task) {
    struct coord_fates *fates = container_of(task, struct coord_fates, task);
    fates->done(fates);
}

/* The next loop's turn, or the answer. */
static void go_on(struct coord_fates *fates) {
    const struct coord_settings *settings = &fates->coord->settings;
    if (fates->next_loop < settings->loop_count) {
        fates->task.run = ask_loop;
        sys_loop_post(settings->loops[fates->next_loop], &fates->task);
    } else {
        fates->task.run = answer;
        sys_loop_post(fates->loop, &fates->task);
    }
}

static void ask_shard(struct coord_fates *fates, const struct shard *shard,
                      const struct meta_topic *topic) {
    if (shard->state == SHARD_ACTIVE) {
        txn_fates_look(shard->groups, fates);
    } else if (meta_topic_partition(topic, shard->index) != NULL) {
        fates->complete = false;
    }
}

static void ask_loop(struct sys_task *task) {
    struct coord_fates *fates = container_of(task, struct coord_fates, task);
    const struct coord_loop *home = &fates->coord->loops[fates->next_loop];
    const struct meta_topic *topic =
        meta_image_topic(home->image, fates->coord->settings.kind->topic);
    struct list *link;
    list_for_each (link, &home->shards) {
        if (topic != NULL) { /* else nobody had a transaction yet */
            ask_shard(fates, container_of(link, struct shard, link), topic);
        }
    }
    fates->next_loop++;
    go_on(fates);
}

void coord_fates_ask(struct coord *coord, struct coord_fates *fates) {
    fates->coord = coord;
    fates->next_loop = 0;
    fates->complete = true;
    for (size_t i = 0; i < fates->count; i++) {
        fates->items[i].fate = COORD_FATE_UNKNOWN;
        fates->items[i].version_2 = false;
    }
    go_on(fates);
}
