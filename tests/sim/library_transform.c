/*
 * A program of libottla that consumes, transforms and produces, as examples/transform.c does: it is
 * a member of a group, reads what is committed, writes a record for each of a batch, and commits
 * the batch's offsets in the same transaction. After a failure it takes the batch back. What must
 * come of all its instances together is said in audit_effects.h.
 *
 *   trouble                       at
 *   ---------------------------   ---------------------------------------------------------------
 *   it does not go on for long    with a batch in its hands, or with the transaction open: the
 * group may give its partitions to others, the transaction may time out it crashes, goes on as
 * zombie any time (library_program.h); so two of one id are in the group it aborts, for no reason
 * when all is written, with and without offsets
 */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "client/consumer.h"
#include "library_group.h"
#include "library_program.h"

enum {
    ABORT_ONE_IN = 10,
    STALL_ONE_IN = 40,
    AT_ONCE_ONE_IN = 2,
    STALL_MS_MAX = 9000,
    BATCH_MAX = 500,
    QUIET_MS = 15000, /* longer than a transaction that nobody ends holds up its readers */
};

struct input {
    int place;
    int64_t offset;
    int32_t leader_epoch;
    uint64_t value;
};

struct transform_life {
    struct library_program program;
    struct library_holder holder;
    struct ottla_consumer *consumer;
    bool told;
    struct input batch[BATCH_MAX];
    int count;
    int written;
    int aborts_at; /* after so many records; -1: not at will */
    bool stalls;   /* before the next step */
    bool sent_offsets;
    struct library_commit commit;
};

struct transform {
    struct library_programs all;
    struct transform_life lives[LIBRARY_LIVES];
    struct library_group *group;
    struct node_topic *from;
    struct node_topic *to;
    struct scenario_range size;
    struct scenario_range timeout;
};

static struct transform *of(const struct transform_life *life) {
    return container_of(life->program.all, struct transform, all);
}

static struct node_sim *sim_of(const struct transform_life *life) {
    return life->program.all->client.sim;
}

/* --- what it reads --- */

static void assigned(void *arg, struct ottla_consumer *it, const struct ottla_partition *partitions,
                     size_t count) {
    struct transform_life *life = arg;
    (void)it;
    life->told = true;
    library_assigned(&life->holder, partitions, count);
}

static void revoked(void *arg, struct ottla_consumer *it, const struct ottla_partition *partitions,
                    size_t count) {
    struct transform_life *life = arg;
    (void)it;
    life->told = false;
    library_released(&life->holder, partitions, count);
    library_program_point(&life->program, "revoked");
}

static struct ottla_membership membership_of(const struct transform_life *life) {
    struct ottla_membership membership;
    int code = ottla_consumer_membership(life->consumer, &membership);
    assert(code == OTTLA_OK);
    (void)code;
    return membership;
}

static void take(struct transform_life *life, const struct ottla_record *record) {
    library_handed_out(&life->holder, record);
    assert(life->count < BATCH_MAX);
    life->batch[life->count++] = (struct input){
        .place = library_place_of(&life->holder, record->topic, record->partition),
        .offset = record->offset,
        .leader_epoch = record->leader_epoch,
        .value = audit_value_check(record->value.data, (uint32_t)record->value.size),
    };
}

static void poll(struct transform_life *life) {
    struct node_sim *sim = sim_of(life);
    const struct ottla_record *records;
    size_t count;
    struct ottla_error error;
    library_note_starts(&life->holder, life->consumer);
    if (consumer_take(life->consumer, &records, &count, &error) != OTTLA_OK) {
        node_fail(sim, "%s is told by its poll: %s", life->holder.name, error.text);
        return;
    }
    life->count = 0;
    for (size_t i = 0; i < count; i++) {
        take(life, &records[i]);
    }
    library_polled(&life->holder, life->told, membership_of(life).generation);
    life->told = false;
    library_note_starts(&life->holder, life->consumer);
    life->stalls = count > 0 && node_below(sim, STALL_ONE_IN) == 0;
}

/* --- a transaction --- */

static void begin(struct transform_life *life) {
    struct node_sim *sim = sim_of(life);
    library_txn_begin(&life->program.txn);
    life->written = 0;
    life->sent_offsets = false;
    life->commit.count = 0;
    bool aborts = node_below(sim, ABORT_ONE_IN) == 0;
    life->aborts_at = aborts ? (int)node_below(sim, (uint64_t)life->count + 1) : -1;
    life->stalls = node_below(sim, STALL_ONE_IN) == 0;
}

/* As many as there is memory for. */
static void write(struct transform_life *life) {
    struct transform *transform = of(life);
    struct node_sim *sim = sim_of(life);
    while (life->written < life->count && life->written != life->aborts_at) {
        const struct input *input = &life->batch[life->written];
        int32_t partition = (int32_t)node_below(sim, (uint64_t)transform->to->partition_count);
        uint64_t value = library_txn_produce(&life->program.txn, transform->to, partition,
                                             (uint32_t)node_draw(sim, transform->size));
        if (value == 0) {
            return;
        }
        audit_effect(sim->effects, input->value, input->place, input->offset, value);
        life->written++;
    }
}

static void send_offsets(struct transform_life *life) {
    struct ottla_position positions[BATCH_MAX];
    struct ottla_membership membership = membership_of(life);
    bool seen[AUDIT_PLACES_MAX] = {false};
    library_commit_begin(&life->holder, &life->commit, membership.generation);
    for (int i = 0; i < life->count; i++) {
        const struct input *input = &life->batch[i];
        positions[i] =
            (struct ottla_position){.topic = library_topic_of(&life->holder, input->place)->name,
                                    .partition = input->place % SIM_PARTITIONS_MAX,
                                    .offset = input->offset + 1,
                                    .leader_epoch = input->leader_epoch};
        if (!seen[input->place]) {
            seen[input->place] = true;
            library_commit_add(&life->holder, &life->commit, input->place);
        }
    }
    (void)library_txn_send_offsets(&life->program.txn, positions, (size_t)life->count, &membership);
}

/* What the batch was is read again: by this one, where the partitions are its own when it polls. */
static void take_back(struct transform_life *life) {
    for (int i = life->count; i-- > 0;) {
        const struct input *input = &life->batch[i];
        struct ottla_position position = {.topic =
                                              library_topic_of(&life->holder, input->place)->name,
                                          .partition = input->place % SIM_PARTITIONS_MAX,
                                          .offset = input->offset,
                                          .leader_epoch = input->leader_epoch};
        int code = ottla_consumer_seek(life->consumer, &position);
        if (code == OTTLA_OK) {
            life->holder.places[input->place].next = input->offset;
        } else if (code != OTTLA_NOT_FOUND) {
            node_fail(sim_of(life), "%s: ottla_consumer_seek says %s", life->holder.name,
                      ottla_code_name(code));
        }
    }
    library_program_point(&life->program, "taken_back");
    (void)library_txn_end(&life->program.txn, false);
}

static void go_on(struct transform_life *life) {
    write(life);
    if (life->written == life->aborts_at) {
        take_back(life);
    } else if (life->written == life->count && !life->sent_offsets) {
        send_offsets(life);
    } else if (life->written == life->count) {
        (void)library_txn_end(&life->program.txn, true);
    }
}

static void note_end(struct transform_life *life, bool commit) {
    bool seen[AUDIT_PLACES_MAX] = {false};
    for (int i = 0; commit && i < life->count; i++) {
        int place = life->batch[i].place;
        if (!seen[place]) {
            seen[place] = true;
            library_committed(&life->holder, &life->commit, place);
        }
    }
    if (!commit) {
        library_commit_failed(&life->holder, &life->commit);
    }
    life->count = 0;
    library_program_point(&life->program, commit ? "committed" : "aborted");
}

/* --- turns --- */

static bool stalls(struct transform_life *life) {
    if (!life->stalls || sim_of(life)->finishing) {
        return false;
    }
    life->stalls = false;
    library_program_point(&life->program, "stalled");
    library_program_stall(&life->program, (int64_t)node_below(sim_of(life), STALL_MS_MAX));
    return true;
}

static void turn(struct library_program *program) {
    struct transform_life *life = container_of(program, struct transform_life, program);
    switch (library_txn_state(&program->txn)) {
    case OTTLA_TRANSACTION_READY:
        if (life->count == 0 && topic_is_usable(of(life)->to)) {
            poll(life);
        }
        if (life->count > 0 && !stalls(life)) {
            begin(life);
        }
        break;
    case OTTLA_TRANSACTION_OPEN:
        if (!stalls(life)) {
            go_on(life);
        }
        break;
    case OTTLA_TRANSACTION_ABORTABLE:
        take_back(life);
        break;
    default:
        break;
    }
}

static void moved(struct library_txn *txn, enum library_txn_call call, int code) {
    struct transform_life *life = container_of(txn, struct transform_life, program.txn);
    library_group_touch(&life->holder);
    if (code == OTTLA_OK && (call == TXN_CALL_COMMIT || call == TXN_CALL_ABORT)) {
        note_end(life, call == TXN_CALL_COMMIT);
    } else if (code == OTTLA_OK && call == TXN_CALL_OFFSETS) {
        life->sent_offsets = true;
    } else if (code != OTTLA_OK && call == TXN_CALL_OFFSETS) {
        library_program_point(&life->program, "offsets_refused");
    }
    if (life->count > 0 && node_below(sim_of(life), AT_ONCE_ONE_IN) == 0) {
        turn(&life->program); /* it has no need to poll */
    }
}

/* --- a life --- */

static void set_member(struct transform_life *life, struct ottla_config *config) {
    static const char *const records[] = {"5", "50", "500"};
    struct node_sim *sim = sim_of(life);
    const struct library_holder *holder = &life->holder;
    library_set(sim, config, "client.id", "%s", holder->name);
    library_set(sim, config, "group.id", "%s", library_group_name(holder->group));
    library_set(sim, config, "auto.offset.reset", "earliest");
    library_set(sim, config, "enable.auto.commit", "false");
    library_set(sim, config, "isolation.level", "read_committed");
    library_set(sim, config, "allow.auto.create.topics", "false");
    library_set(sim, config, "max.poll.records", "%s", LIBRARY_PICK(sim, records));
    library_set(sim, config, "max.poll.interval.ms", "%d", 5000 + (int)node_below(sim, 3000));
    library_set(sim, config, "fetch.max.wait.ms", "%d", 50 + (int)node_below(sim, 500));
    if (holder->classic) {
        library_set(sim, config, "group.protocol", "classic");
        library_set(sim, config, "partition.assignment.strategy", "%s", holder->assignor);
        library_set(sim, config, "session.timeout.ms", "%d", 5000 + (int)node_below(sim, 3000));
        library_set(sim, config, "heartbeat.interval.ms", "%d", 200 + (int)node_below(sim, 800));
    } else {
        library_set(sim, config, "group.protocol", "consumer");
        library_set(sim, config, "group.remote.assignor", "%s", holder->assignor);
    }
}

static void subscribe(struct transform_life *life) {
    struct node_sim *sim = sim_of(life);
    const char *topic = of(life)->from->name;
    struct ottla_rebalance rebalance = {assigned, revoked, NULL, life};
    struct ottla_error error;
    if (ottla_consumer_new(life->program.library, &life->consumer, &error) != OTTLA_OK ||
        ottla_consumer_subscribe(life->consumer, &topic, 1, &rebalance, &error) != OTTLA_OK) {
        node_fail(sim, "%s: libottla makes no consumer: %s", life->holder.name, error.text);
    }
}

static void live(struct library_program *program) {
    struct transform_life *life = container_of(program, struct transform_life, program);
    struct node_sim *sim = sim_of(life);
    life->holder.sim = sim;
    life->holder.group = of(life)->group;
    life->holder.committed = true;
    library_holder_begin(&life->holder);
    struct ottla_config *config = library_config_new(sim);
    program->txn.moved = moved;
    library_txn_set(&program->txn, library_programs_id(program->all), of(life)->timeout, config);
    set_member(life, config);
    program->library = library_client_new(sim, config);
    life->count = 0;
    life->told = false;
    subscribe(life);
    library_txn_live(&program->txn, (int)program->number, program->library);
}

static void die(struct library_program *program) {
    struct transform_life *life = container_of(program, struct transform_life, program);
    ottla_consumer_free(life->consumer);
    library_holder_end(&life->holder);
    library_group_touch(&life->holder);
}

static bool is_over(struct library_program *program) {
    struct transform_life *life = container_of(program, struct transform_life, program);
    int64_t since_ms = sim_of(life)->inputs_over_ms;
    return since_ms >= 0 && library_group_is_settled(&life->holder, since_ms, QUIET_MS);
}

/* --- the client --- */

static void transform_free(struct node_client *client) {
    struct transform *transform = container_of(client, struct transform, all.client);
    library_programs_end(&transform->all);
    library_group_leave(client->sim, transform->group);
    free(transform);
}

static const struct library_work work = {
    .live = live,
    .die = die,
    .turn = turn,
    .is_over = is_over,
    .name = "transform",
};

void library_transform_new(struct node_sim *sim, struct scenario_line *line) {
    struct transform *transform = calloc(1, sizeof *transform);
    assert(transform != NULL);
    node_client_add(sim, &transform->all.client, "transformer");
    transform->all.client.free = transform_free;
    transform->from = topic_by_name(sim, str_from_c(scenario_text(line, "from", "")));
    transform->to = topic_by_name(sim, str_from_c(scenario_text(line, "to", "")));
    assert(transform->from != NULL && transform->to != NULL && transform->from != transform->to);
    transform->from->is_input = true;
    transform->group = library_group_join(sim, scenario_text(line, "group", "transformers"),
                                          scenario_text(line, "protocol", "drawn"),
                                          scenario_flag(line, "synced", false), transform->from);
    transform->size = scenario_range(line, "size", "24-300");
    transform->timeout = scenario_range(line, "timeout", "2s-6s");
    for (int i = 0; i < LIBRARY_LIVES; i++) {
        transform->all.lives[i] = &transform->lives[i].program;
    }
    library_programs_begin(&transform->all, &work, line);
}
