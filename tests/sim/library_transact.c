/*
 * A program of libottla that writes in transactions: begins one, sends records to a few partitions,
 * commits or aborts it. Now and then it takes longer than the transaction's timeout.
 */
#include <assert.h>
#include <stdlib.h>

#include "library_program.h"

enum {
    ABORT_ONE_IN = 4,
    EMPTY_ONE_IN = 10,
    STALL_ONE_IN = 60,
    AT_ONCE_ONE_IN = 2, /* it goes on from within the function that tells of an end */
    STALL_MS_MAX = 2500,
    WRITES_MAX = 6,
};

struct transact_life {
    struct library_program program;
    int writes; /* that are left: each some records to a partition */
    bool wants_commit;
    bool stalls;
};

struct transact {
    struct library_programs all;
    struct transact_life lives[LIBRARY_LIVES];
    struct scenario_range records;
    struct scenario_range size;
    struct scenario_range timeout;
};

static struct transact *of(const struct library_program *program) {
    return container_of(program->all, struct transact, all);
}

static void begin(struct transact_life *life) {
    struct node_sim *sim = life->program.all->client.sim;
    library_txn_begin(&life->program.txn);
    life->writes = node_below(sim, EMPTY_ONE_IN) == 0 ? 0 : 1 + (int)node_below(sim, WRITES_MAX);
    life->wants_commit = node_below(sim, ABORT_ONE_IN) != 0;
    life->stalls = node_below(sim, STALL_ONE_IN) == 0;
}

static void write(struct transact_life *life) {
    struct transact *transact = of(&life->program);
    struct node_sim *sim = transact->all.client.sim;
    struct node_topic *topic = &sim->topics[node_below(sim, (uint64_t)sim->topic_count)];
    life->writes--;
    if (!topic_is_usable(topic) || topic->comes_and_goes) {
        return;
    }
    int32_t partition = (int32_t)node_below(sim, (uint64_t)topic->partition_count);
    int64_t count = node_draw(sim, transact->records);
    while (count-- > 0 && library_txn_produce(&life->program.txn, topic, partition,
                                              (uint32_t)node_draw(sim, transact->size)) != 0) {
    }
}

static void turn(struct library_program *program) {
    struct transact_life *life = container_of(program, struct transact_life, program);
    struct node_sim *sim = program->all->client.sim;
    switch (library_txn_state(&program->txn)) {
    case OTTLA_TRANSACTION_READY:
        if (!sim->finishing) {
            begin(life);
        }
        break;
    case OTTLA_TRANSACTION_OPEN:
        if (life->writes > 0) {
            write(life);
        } else if (life->stalls) {
            life->stalls = false;
            library_program_stall(program,
                                  program->txn.timeout_ms + (int64_t)node_below(sim, STALL_MS_MAX));
        } else {
            (void)library_txn_end(&program->txn, life->wants_commit);
        }
        break;
    case OTTLA_TRANSACTION_ABORTABLE:
        (void)library_txn_end(&program->txn, false);
        break;
    default:
        break;
    }
}

static void moved(struct library_txn *txn, enum library_txn_call call, int code) {
    struct library_program *program = container_of(txn, struct library_program, txn);
    (void)call;
    (void)code;
    if (node_below(program->all->client.sim, AT_ONCE_ONE_IN) == 0) {
        turn(program);
    }
}

static void live(struct library_program *program) {
    struct node_sim *sim = program->all->client.sim;
    struct library_txn_id *id = library_programs_id(program->all);
    struct ottla_config *config = library_config_new(sim);
    program->txn.moved = moved;
    library_txn_set(&program->txn, id, of(program)->timeout, config);
    library_set(sim, config, "client.id", "%s/%d", id->text, (int)program->number);
    program->library = library_client_new(sim, config);
    library_txn_live(&program->txn, (int)program->number, program->library);
}

static void die(struct library_program *program) {
    (void)program;
}

static bool is_over(struct library_program *program) {
    return library_txn_state(&program->txn) == OTTLA_TRANSACTION_READY;
}

static void transact_free(struct node_client *client) {
    struct transact *transact = container_of(client, struct transact, all.client);
    library_programs_end(&transact->all);
    free(transact);
}

static const struct library_work work = {
    .live = live,
    .die = die,
    .turn = turn,
    .is_over = is_over,
    .name = "transact",
    .abandons = true,
};

void library_transact_new(struct node_sim *sim, struct scenario_line *line) {
    struct transact *transact = calloc(1, sizeof *transact);
    assert(transact != NULL);
    node_client_add(sim, &transact->all.client, "transactional");
    transact->all.client.free = transact_free;
    transact->records = scenario_range(line, "records", "1-5");
    transact->size = scenario_range(line, "size", "24-300");
    transact->timeout = scenario_range(line, "timeout", "2s-6s");
    for (int i = 0; i < LIBRARY_LIVES; i++) {
        transact->all.lives[i] = &transact->lives[i].program;
    }
    library_programs_begin(&transact->all, &work, line);
}
