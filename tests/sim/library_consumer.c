/*
 * A consumer of libottla in a group: it polls from a timer, commits now and then, and gets into
 * trouble. What it is told goes to library_group.h.
 *
 *   leaves     unsubscribes, and comes again
 *   dies       its process does, without a word; another one comes
 *   stalls     does not poll; after max.poll.interval.ms the library leaves the group. It may go on
 *              with a commit as if nothing had been
 */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "client/consumer.h"
#include "library_group.h"

enum {
    TURNS_PER_TROUBLE = 400,
    TURNS_PER_COMMIT = 5,
};

static const struct scenario_range out_ms = {.least = 100, .most = 5000};
static const struct scenario_range stall_ms = {.least = 500, .most = 12000};

struct commit_call;

struct library_consumer {
    struct node_client client;
    struct sys_timer timer;
    struct scenario_range wait;
    struct library_holder holder;
    struct ottla_client *library;
    struct ottla_consumer *consumer; /* NULL: dead */
    bool committed;                  /* reads nothing else */
    bool subscribed;
    bool told; /* its assignment, and nothing since */
    bool stalled;
    int64_t out_until_ms;
    struct commit_call *committing; /* one at a time */
};

struct commit_call {
    struct library_consumer *consumer;
    struct library_commit commit;
};

/* --- commits --- */

static void committed(void *arg, int code, const struct ottla_position *positions, size_t count) {
    struct commit_call *call = arg;
    struct library_consumer *consumer = call->consumer;
    struct library_holder *holder = &consumer->holder;
    if (consumer->committing == call) {
        consumer->committing = NULL;
    }
    if (code != OTTLA_OK) {
        library_point(holder->sim, holder->name, "library_commit_failed"); /* or nobody knows */
    }
    for (size_t i = 0; i < count && code == OTTLA_OK; i++) {
        int place = library_place_of(holder, positions[i].topic, positions[i].partition);
        if (place >= 0 && positions[i].code == OTTLA_OK) {
            library_committed(holder, &call->commit, place);
            points_add(holder->sim->run->points, "library_committed", 1);
        }
    }
    free(call);
}

static int32_t generation_of(const struct library_consumer *consumer) {
    struct ottla_membership membership;
    int code = ottla_consumer_membership(consumer->consumer, &membership);
    assert(code == OTTLA_OK);
    (void)code;
    return membership.generation;
}

static void commit(struct library_consumer *consumer) {
    struct library_holder *holder = &consumer->holder;
    struct ottla_position positions[AUDIT_PLACES_MAX];
    struct commit_call *call = calloc(1, sizeof *call);
    assert(call != NULL);
    call->consumer = consumer;
    library_commit_begin(holder, &call->commit, generation_of(consumer));
    for (int i = 0; i < AUDIT_PLACES_MAX; i++) {
        const struct library_place *place = &holder->places[i];
        if (place->owned && !place->given_up && place->next > 0 &&
            place->next != place->committed) {
            positions[call->commit.count] =
                (struct ottla_position){.topic = library_topic_of(holder, i)->name,
                                        .partition = i % SIM_PARTITIONS_MAX,
                                        .offset = place->next};
            library_commit_add(holder, &call->commit, i);
        }
    }
    if (call->commit.count == 0) {
        free(call);
        return;
    }
    consumer->committing = call;
    int code = ottla_consumer_commit_async(consumer->consumer, positions,
                                           (size_t)call->commit.count, committed, call);
    if (code != OTTLA_OK) {
        node_fail(holder->sim, "%s: ottla_consumer_commit_async says %s", holder->name,
                  ottla_code_name(code));
    }
}

/* --- what it is told --- */

static void assigned(void *arg, struct ottla_consumer *it, const struct ottla_partition *partitions,
                     size_t count) {
    struct library_consumer *consumer = arg;
    (void)it;
    consumer->told = true;
    library_assigned(&consumer->holder, partitions, count);
}

static void release(struct library_consumer *consumer, const struct ottla_partition *partitions,
                    size_t count) {
    consumer->told = false;
    library_released(&consumer->holder, partitions, count);
}

static void revoked(void *arg, struct ottla_consumer *it, const struct ottla_partition *partitions,
                    size_t count) {
    struct library_consumer *consumer = arg;
    (void)it;
    if (consumer->subscribed && consumer->committing == NULL &&
        node_below(consumer->client.sim, 2) == 0) {
        commit(consumer);
    }
    release(consumer, partitions, count);
    library_point(consumer->client.sim, consumer->holder.name, "library_revoked");
}

static void lost(void *arg, struct ottla_consumer *it, const struct ottla_partition *partitions,
                 size_t count) {
    struct library_consumer *consumer = arg;
    (void)it;
    release(consumer, partitions, count);
    library_point(consumer->client.sim, consumer->holder.name, "library_lost");
}

static void subscribe(struct library_consumer *consumer) {
    struct node_sim *sim = consumer->client.sim;
    const char *names[SIM_TOPICS_MAX];
    size_t count = 0;
    for (int i = 0; i < sim->topic_count; i++) {
        assert(!sim->topics[i].comes_and_goes);
        names[count++] = sim->topics[i].name;
    }
    struct ottla_rebalance rebalance = {assigned, revoked, lost, consumer};
    struct ottla_error error;
    if (ottla_consumer_subscribe(consumer->consumer, names, count, &rebalance, &error) !=
        OTTLA_OK) {
        node_fail(sim, "%s cannot subscribe: %s", consumer->holder.name, error.text);
    }
    consumer->subscribed = true;
}

/* --- a life --- */

static void draw_settings(struct library_consumer *consumer, struct ottla_config *config) {
    static const char *const records[] = {"5", "50", "500"};
    static const char *const sizes[] = {"2000", "20000", "1048576"};
    struct node_sim *sim = consumer->client.sim;
    if (consumer->holder.steady) {
        library_set(sim, config, "request.timeout.ms", "1000"); /* less than its session */
    }
    library_set(sim, config, "enable.auto.commit", "false");
    library_set(sim, config, "auto.offset.reset", "earliest");
    library_set(sim, config, "allow.auto.create.topics", "false");
    library_set(sim, config, "max.poll.records", "%s", LIBRARY_PICK(sim, records));
    library_set(sim, config, "max.poll.interval.ms", "%d", 5000 + (int)node_below(sim, 3000));
    library_set(sim, config, "max.partition.fetch.bytes", "%s", LIBRARY_PICK(sim, sizes));
    library_set(sim, config, "fetch.max.bytes", "%s", LIBRARY_PICK(sim, sizes));
    library_set(sim, config, "fetch.max.wait.ms", "%d", 50 + (int)node_below(sim, 500));
    consumer->holder.committed = node_below(sim, 2) == 0 || consumer->committed;
    library_set(sim, config, "isolation.level", "%s",
                consumer->holder.committed ? "read_committed" : "read_uncommitted");
    if (consumer->holder.classic) {
        library_set(sim, config, "group.protocol", "classic");
        library_set(sim, config, "partition.assignment.strategy", "%s", consumer->holder.assignor);
        library_set(sim, config, "session.timeout.ms", "%d", 5000 + (int)node_below(sim, 3000));
        library_set(sim, config, "heartbeat.interval.ms", "%d", 200 + (int)node_below(sim, 800));
    } else {
        library_set(sim, config, "group.protocol", "consumer");
        library_set(sim, config, "group.remote.assignor", "%s", consumer->holder.assignor);
    }
}

static void live(struct library_consumer *consumer) {
    struct node_sim *sim = consumer->client.sim;
    library_holder_begin(&consumer->holder);
    struct ottla_config *config = library_config_new(sim);
    library_set(sim, config, "client.id", "%s", consumer->holder.name);
    library_set(sim, config, "group.id", "%s", library_group_name(consumer->holder.group));
    draw_settings(consumer, config);
    consumer->library = library_client_new(sim, config);
    struct ottla_error error;
    if (ottla_consumer_new(consumer->library, &consumer->consumer, &error) != OTTLA_OK) {
        node_fail(sim, "libottla makes no consumer: %s", error.text);
    }
    consumer->told = false;
    subscribe(consumer);
}

static void die(struct library_consumer *consumer) {
    ottla_consumer_free(consumer->consumer);
    ottla_client_free(consumer->library);
    consumer->consumer = NULL;
    consumer->subscribed = false;
    library_holder_end(&consumer->holder);
}

/* What it had may be others' as soon as the group hears of it. */
static void unsubscribe(struct library_consumer *consumer) {
    struct ottla_error error;
    library_released_all(&consumer->holder);
    consumer->subscribed = false;
    if (ottla_consumer_subscribe(consumer->consumer, NULL, 0, NULL, &error) != OTTLA_OK) {
        node_fail(consumer->client.sim, "%s cannot unsubscribe: %s", consumer->holder.name,
                  error.text);
    }
}

/* --- turns --- */

static void poll(struct library_consumer *consumer) {
    struct node_sim *sim = consumer->client.sim;
    const struct ottla_record *records;
    size_t count;
    struct ottla_error error;
    library_note_starts(&consumer->holder, consumer->consumer);
    if (consumer_take(consumer->consumer, &records, &count, &error) != OTTLA_OK) {
        node_fail(sim, "%s is told by its poll: %s", consumer->holder.name, error.text);
        return;
    }
    for (size_t i = 0; i < count; i++) {
        library_handed_out(&consumer->holder, &records[i]);
    }
    library_polled(&consumer->holder, consumer->told, generation_of(consumer));
    consumer->told = false;
    library_note_starts(&consumer->holder, consumer->consumer);
}

/* Something that consumers do. */
static void be_trouble(struct library_consumer *consumer) {
    struct node_sim *sim = consumer->client.sim;
    int64_t now_ms = sys_mono_ms(sim->sys);
    const char *name = consumer->holder.name;
    switch (node_below(sim, TURNS_PER_TROUBLE)) {
    case 0:
    case 1:
        library_point(sim, name, "library_left");
        unsubscribe(consumer);
        consumer->out_until_ms = now_ms + node_draw(sim, out_ms);
        break;
    case 2:
        library_point(sim, name, "library_consumer_died");
        die(consumer);
        consumer->out_until_ms = now_ms + node_draw(sim, out_ms);
        break;
    case 3:
        library_point(sim, name, "library_stalled");
        consumer->stalled = true;
        node_timer_in(sim, &consumer->timer, node_draw(sim, stall_ms));
        break;
    default:
        break;
    }
}

static void read_on(struct library_consumer *consumer) {
    struct node_sim *sim = consumer->client.sim;
    if (consumer->stalled && consumer->committing == NULL && node_below(sim, 2) == 0) {
        commit(consumer);
    }
    consumer->stalled = false;
    poll(consumer);
    if (!consumer->subscribed) {
        return;
    }
    if (consumer->committing == NULL && node_below(sim, TURNS_PER_COMMIT) == 0) {
        commit(consumer);
    }
    if (!sim->finishing && !consumer->holder.steady) {
        be_trouble(consumer);
    }
}

static bool topics_are_there(const struct node_sim *sim) {
    for (int i = 0; i < sim->topic_count; i++) {
        if (!topic_is_usable(&sim->topics[i])) {
            return false;
        }
    }
    return true;
}

static void turn(struct sys_timer *timer) {
    struct library_consumer *consumer = container_of(timer, struct library_consumer, timer);
    struct node_sim *sim = consumer->client.sim;
    bool back = sys_mono_ms(sim->sys) >= consumer->out_until_ms || sim->finishing;
    if (consumer->consumer == NULL && back && topics_are_there(sim)) {
        live(consumer);
    }
    if (consumer->consumer != NULL) {
        read_on(consumer);
    }
    if (consumer->consumer != NULL && !consumer->subscribed && back) {
        subscribe(consumer);
    }
    char what[200];
    consumer->client.over =
        consumer->client.over ||
        (sim->final_walk_done && library_group_is_through(&consumer->holder, what, sizeof what));
    if (!sys_timer_is_set(timer)) {
        node_timer_in(sim, timer, node_draw(sim, consumer->wait) / 1000);
    }
}

/* --- the client --- */

static void describe(struct node_client *client, char *text, size_t size) {
    struct library_consumer *consumer = container_of(client, struct library_consumer, client);
    (void)library_group_is_through(&consumer->holder, text, size);
}

static void consumer_free(struct node_client *client) {
    struct library_consumer *consumer = container_of(client, struct library_consumer, client);
    if (consumer->consumer != NULL) {
        die(consumer);
    }
    library_group_leave(client->sim, consumer->holder.group);
    free(consumer);
}

void library_consumer_new(struct node_sim *sim, struct scenario_line *line) {
    struct library_consumer *consumer = calloc(1, sizeof *consumer);
    assert(consumer != NULL);
    node_client_add(sim, &consumer->client, "library-consumer");
    consumer->client.free = consumer_free;
    consumer->client.describe = describe;
    consumer->wait = scenario_range(line, "wait", "20ms-200ms");
    consumer->holder.sim = sim;
    consumer->holder.group = library_group_join(sim, scenario_text(line, "group", "library"),
                                                scenario_text(line, "protocol", "drawn"),
                                                scenario_flag(line, "synced", false), NULL);
    consumer->committed = scenario_flag(line, "committed", false);
    consumer->timer.fire = turn;
    node_timer_in(sim, &consumer->timer, 10 + node_draw(sim, consumer->wait) / 1000);
}
