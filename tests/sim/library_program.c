#include "library_program.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

enum {
    ZOMBIE_MS_MAX = 6000,
    GONE_ONE_IN = 4, /* crashes after which nobody comes back for the transaction */
};

static struct node_sim *sim_of(const struct library_program *program) {
    return program->all->client.sim;
}

void library_program_point(const struct library_program *program, const char *what) {
    char point[64];
    snprintf(point, sizeof point, "library_%s_%s", program->all->work->name, what);
    library_point(sim_of(program), program->txn.name, point);
}

struct library_txn_id *library_programs_id(const struct library_programs *all) {
    return all->ids[all->id_count - 1];
}

static void next_id(struct library_programs *all) {
    assert(all->id_count < (int)(sizeof all->ids / sizeof all->ids[0]));
    char text[48];
    snprintf(text, sizeof text, "%s%d-%d", all->work->name, all->number, all->id_count);
    struct library_txn_id *id = malloc(sizeof *id);
    assert(id != NULL);
    library_txn_id_init(id, all->client.sim, text);
    all->ids[all->id_count++] = id;
}

/* --- from life to life --- */

static void live(struct library_program *program) {
    program->number = ++program->all->life_count;
    program->all->work->live(program);
}

static void die(struct library_program *program) {
    program->all->work->die(program);
    library_txn_die(&program->txn);
    ottla_client_free(program->library);
    program->library = NULL;
}

/* The life for the next; a zombie may lose its own. */
static struct library_program *free_life(struct library_programs *all) {
    struct library_program *found = NULL;
    for (int i = 0; i < LIBRARY_LIVES; i++) {
        struct library_program *life = all->lives[i];
        bool better = found == NULL || life->library == NULL || life->number < found->number;
        if (life != all->current && better && (found == NULL || found->library != NULL)) {
            found = life;
        }
    }
    if (found->library != NULL) {
        die(found);
    }
    return found;
}

static void crash(struct library_program *program) {
    struct library_programs *all = program->all;
    struct node_sim *sim = sim_of(program);
    library_program_point(program, program->txn.open != NULL ? "crash_within" : "crash");
    struct library_program *next = free_life(all);
    bool gone = all->work->abandons && node_below(sim, GONE_ONE_IN) == 0;
    if (!gone && node_below(sim, 2) == 0) {
        library_txn_becomes_zombie(&program->txn);
        program->zombie_ends_ms = sys_mono_ms(sim->sys) + (int64_t)node_below(sim, ZOMBIE_MS_MAX);
    } else {
        die(program);
    }
    if (gone) {
        next_id(all);
        library_point(sim, all->work->name, "library_txn_abandoned");
    }
    all->current = next;
    live(next);
}

/* --- turns --- */

static bool is_fatal(const struct library_program *program) {
    return library_txn_state(&program->txn) == OTTLA_TRANSACTION_FATAL;
}

/* Programs end when their producer is of no use any more, zombies when somebody looks. */
static void end_lives(struct library_program *program) {
    struct library_programs *all = program->all;
    bool zombie = program != all->current;
    if (is_fatal(program)) {
        library_txn_check_fatal(&program->txn);
    }
    if (is_fatal(program) ||
        (zombie && sys_mono_ms(sim_of(program)->sys) >= program->zombie_ends_ms)) {
        die(program);
    }
    if (!zombie && program->library == NULL) {
        live(program);
    }
}

static bool is_over(struct library_programs *all) {
    for (int i = 0; i < LIBRARY_LIVES; i++) {
        if (all->lives[i] != all->current && all->lives[i]->library != NULL) {
            return false;
        }
    }
    return all->client.sim->finishing && all->current->library != NULL &&
           all->current->txn.call == TXN_CALL_NONE && !is_fatal(all->current) &&
           all->work->is_over(all->current);
}

static void fire(struct sys_timer *timer) {
    struct library_program *program = container_of(timer, struct library_program, timer);
    struct library_programs *all = program->all;
    struct node_sim *sim = sim_of(program);
    if (program->library != NULL) {
        end_lives(program);
    }
    if (program->library != NULL && program->txn.call == TXN_CALL_NONE) {
        all->work->turn(program);
    }
    if (program->library != NULL && program == all->current && !sim->finishing &&
        node_below(sim, (uint64_t)all->dies_one_in) == 0) {
        crash(program);
    }
    all->client.over = all->client.over || is_over(all);
    if (all->client.over) {
        for (int i = 0; i < LIBRARY_LIVES; i++) {
            sys_timer_clear(sim->loop, &all->lives[i]->timer);
        }
        die(all->current);
    } else if (!sys_timer_is_set(timer)) {
        node_timer_in(sim, timer, 1 + node_draw(sim, all->wait) / 1000);
    }
}

void library_program_stall(struct library_program *program, int64_t ms) {
    node_timer_in(sim_of(program), &program->timer, ms);
}

static void describe(struct node_client *client, char *text, size_t size) {
    const struct library_programs *all = container_of(client, struct library_programs, client);
    const struct library_txn *txn = &all->current->txn;
    snprintf(text, size, "%s, in state %d, call %d", txn->name,
             all->current->library == NULL ? -1 : (int)library_txn_state(txn), (int)txn->call);
}

/* --- all of them --- */

void library_programs_begin(struct library_programs *all, const struct library_work *work,
                            struct scenario_line *line) {
    struct node_sim *sim = all->client.sim;
    all->work = work;
    all->client.describe = describe;
    all->wait = scenario_range(line, "wait", "5ms-60ms");
    all->dies_one_in = scenario_number(line, "dies_one_in", "150");
    all->number = ++sim->txn_client_count;
    next_id(all);
    for (int i = 0; i < LIBRARY_LIVES; i++) {
        all->lives[i]->all = all;
        all->lives[i]->timer.fire = fire;
        node_timer_in(sim, &all->lives[i]->timer, 1 + node_draw(sim, all->wait) / 1000);
    }
    all->current = all->lives[0];
    live(all->current);
}

void library_programs_end(struct library_programs *all) {
    for (int i = 0; i < LIBRARY_LIVES; i++) {
        if (all->lives[i]->library != NULL) {
            die(all->lives[i]);
        }
    }
    for (int i = 0; i < all->id_count; i++) {
        free(all->ids[i]);
    }
}
