/*
 * Runs a transcript over a strand whose state machine is a sum, on a log in memory: each command is
 * carried out on the strand's loop, and what it prints must be the indented lines that follow it.
 *
 *   replay N...          the log holds these numbers, and they are committed
 *   activate [NAME N]    we lead; with an operation that is taken first of all
 *   add NAME N...        submits an operation that appends the numbers, and answers with the sum
 *                        as it was when it was taken
 *   read NAME            ... that appends nothing
 *   refuse NAME N        ... that yields a record and then fails
 *   again NAME N         ... that, when it is done, submits itself once more
 *   later NAME MS N      schedules an add
 *   cancel NAME          takes it back
 *   commit OFFSET        the log is committed up to there
 *   next-append WHAT     the next append: "pending", or fails with an error, "NO_SPACE"
 *   append-done WHAT     ends the pending append: "ok", or the name of an error
 *   unload ERROR         leadership is lost
 *   unload-at NAME       as soon as NAME is done
 *   wait MS              time passes
 *
 * The mailbox holds four operations.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/transcript.h"
#include "strand/strand.h"
#include "sys/sim.h"

enum { MAILBOX_MAX = 4, OPS_MAX = 64, NUMBERS_MAX = 8 };

struct test;

struct test_op {
    struct strand_op op;
    struct test *test;
    char name[16];
    int64_t numbers[NUMBERS_MAX];
    int number_count;
    bool fails;
    bool again;
    int64_t saw;
};

struct test {
    FILE *out;
    struct sim_world *world;
    struct sys_loop *loop;
    struct strand *strand;
    int64_t sum;
    int64_t end_offset;
    char next_append[40];
    int64_t pending_last_offset;
    struct test_op ops[OPS_MAX];
    int op_count;
    char unload_at[16];
    struct sys_task task;
    const char *command;
};

static err_t error_named(const char *name) {
    for (int code = -1; code < ERR_OWN_LAST; code++) {
        if (strcmp(err_name((err_t)code), name) == 0) {
            return (err_t)code;
        }
    }
    return ERR_INVALID;
}

/* --- the state machine: a sum --- */

static void sum_apply(void *state, void *const *records, int32_t record_count,
                      int64_t first_offset) {
    struct test *test = state;
    fprintf(test->out, "  apply");
    for (int32_t i = 0; i < record_count; i++) {
        test->sum += *(const int64_t *)records[i];
        fprintf(test->out, " %+" PRId64 " @%" PRId64, *(const int64_t *)records[i],
                first_offset + i);
    }
    fprintf(test->out, ", sum %" PRId64 "\n", test->sum);
}

static void sum_reset(void *state) {
    struct test *test = state;
    test->sum = 0;
    fprintf(test->out, "  reset\n");
}

static const struct strand_machine sum_machine = {.apply = sum_apply, .reset = sum_reset};

/* --- the log --- */

static int64_t log_next_offset(void *arg) {
    struct test *test = arg;
    return test->end_offset;
}

static err_t log_append(void *arg, void *const *records, int32_t record_count, bool splittable,
                        int64_t *ret_last_offset) {
    (void)records;
    (void)splittable;
    struct test *test = arg;
    char what[40];
    memcpy(what, test->next_append, sizeof what);
    test->next_append[0] = '\0';
    if (what[0] != '\0' && strcmp(what, "pending") != 0) {
        fprintf(test->out, "  append fails\n");
        return error_named(what);
    }
    int64_t last_offset = test->end_offset + record_count - 1;
    fprintf(test->out, "  append @%" PRId64 "-%" PRId64 "%s\n", test->end_offset, last_offset,
            what[0] == '\0' ? "" : ", pending");
    if (what[0] != '\0') {
        test->pending_last_offset = last_offset;
        return ERR_PENDING;
    }
    test->end_offset = last_offset + 1;
    *ret_last_offset = last_offset;
    return ERR_OK;
}

/* --- operations --- */

static err_t op_step(struct strand_op *base, void *state, const struct strand_input *input,
                     struct strand_output *output) {
    struct test_op *op = container_of(base, struct test_op, op);
    struct test *test = state;
    op->saw = test->sum;
    fprintf(test->out, "  step %s at offset %" PRId64 "\n", op->name, input->next_offset);
    for (int i = 0; i < op->number_count; i++) {
        strand_output_add(output, &op->numbers[i]);
    }
    return op->fails ? ERR_INVALID : ERR_OK;
}

static void op_settled(struct strand_op *base, void *state, err_t err) {
    const struct test_op *op = container_of(base, struct test_op, op);
    struct test *test = state;
    fprintf(test->out, "  settled %s: %s\n", op->name, err == ERR_OK ? "ok" : err_name(err));
}

static void op_done(struct strand_op *base, err_t err) {
    struct test_op *op = container_of(base, struct test_op, op);
    struct test *test = op->test;
    if (err == ERR_OK) {
        fprintf(test->out, "  done %s: saw %" PRId64 "\n", op->name, op->saw);
    } else {
        fprintf(test->out, "  done %s: %s\n", op->name, err_name(err));
    }
    if (strcmp(test->unload_at, op->name) == 0) {
        test->unload_at[0] = '\0';
        strand_unload(test->strand, ERR_NOT_COORDINATOR);
    }
    if (op->again) {
        op->again = false;
        (void)strand_submit(test->strand, &op->op);
    }
}

static struct test_op *op_new(struct test *test, const char *name, const char *numbers) {
    struct test_op *op = &test->ops[test->op_count++];
    *op = (struct test_op){.test = test};
    op->op.step = op_step;
    op->op.settled = op_settled;
    op->op.done = op_done;
    snprintf(op->name, sizeof op->name, "%s", name);
    char *end;
    for (const char *at = numbers; op->number_count < NUMBERS_MAX; at = end) {
        int64_t number = strtoll(at, &end, 10);
        if (end == at) {
            break;
        }
        op->numbers[op->number_count++] = number;
    }
    return op;
}

static void op_submit(struct test *test, struct test_op *op) {
    if (strand_submit(test->strand, &op->op) != ERR_OK) {
        fprintf(test->out, "  %s: BUSY\n", op->name);
    }
}

static void op_cancel(struct test *test, const char *name) {
    for (int i = 0; i < test->op_count; i++) {
        if (strcmp(test->ops[i].name, name) == 0) {
            strand_cancel(test->strand, &test->ops[i].op);
        }
    }
}

/* --- commands --- */

static void replay(struct test *test, const char *numbers) {
    struct test_op *op = op_new(test, "replay", numbers);
    void *records[NUMBERS_MAX];
    for (int i = 0; i < op->number_count; i++) {
        records[i] = &op->numbers[i];
    }
    strand_replay(test->strand, records, op->number_count, test->end_offset);
    test->end_offset += op->number_count;
}

static void append_done(struct test *test, const char *what) {
    if (strcmp(what, "ok") == 0) {
        test->end_offset = test->pending_last_offset + 1;
        strand_append_done(test->strand, ERR_OK, test->pending_last_offset);
    } else {
        strand_append_done(test->strand, error_named(what), -1);
    }
}

static void run(struct sys_task *task) {
    struct test *test = container_of(task, struct test, task);
    const char *line = test->command;
    char word[40], name[16];
    int64_t number;
    int used = 0;
    if (sscanf(line, "replay%n", &used) == 0 && used > 0) {
        replay(test, line + used);
    } else if (sscanf(line, "activate %15s%n", name, &used) == 1) {
        strand_activate(test->strand, &op_new(test, name, line + used)->op);
    } else if (strncmp(line, "activate", 8) == 0) {
        strand_activate(test->strand, NULL);
    } else if (sscanf(line, "add %15s%n", name, &used) == 1) {
        op_submit(test, op_new(test, name, line + used));
    } else if (sscanf(line, "read %15s", name) == 1) {
        op_submit(test, op_new(test, name, ""));
    } else if (sscanf(line, "refuse %15s%n", name, &used) == 1) {
        struct test_op *op = op_new(test, name, line + used);
        op->fails = true;
        op_submit(test, op);
    } else if (sscanf(line, "again %15s%n", name, &used) == 1) {
        struct test_op *op = op_new(test, name, line + used);
        op->again = true;
        op_submit(test, op);
    } else if (sscanf(line, "later %15s %" SCNd64 "%n", name, &number, &used) == 2) {
        strand_schedule(test->strand, &op_new(test, name, line + used)->op,
                        sys_loop_now_ms(test->loop) + number);
    } else if (sscanf(line, "cancel %15s", name) == 1) {
        op_cancel(test, name);
    } else if (sscanf(line, "commit %" SCNd64, &number) == 1) {
        strand_committed(test->strand, number);
    } else if (sscanf(line, "next-append %39s", word) == 1) {
        memcpy(test->next_append, word, sizeof word);
    } else if (sscanf(line, "append-done %39s", word) == 1) {
        append_done(test, word);
    } else if (sscanf(line, "unload-at %15s", name) == 1) {
        memcpy(test->unload_at, name, sizeof name);
    } else if (sscanf(line, "unload %39s", word) == 1) {
        strand_unload(test->strand, error_named(word));
    } else {
        fprintf(test->out, "  unknown command\n");
    }
}

static void run_line(void *arg, const char *line, FILE *out) {
    struct test *test = arg;
    (void)out;
    int64_t ms;
    if (sscanf(line, "wait %" SCNd64, &ms) == 1) {
        sim_world_run_for(test->world, ms);
    } else {
        test->command = line;
        test->task = (struct sys_task){.run = run};
        sys_loop_post(test->loop, &test->task);
        sim_world_run_for(test->world, 1); /* takes a moment */
    }
    if (line[0] != '#') {
        fprintf(test->out, "  pending %" PRId32 "\n", strand_pending(test->strand));
    }
}

/* --- the transcript --- */

static void test_start(void *arg, FILE *out) {
    struct test *test = arg;
    test->out = out;
    test->world = sim_world_new(1);
    struct sim_host *host = sim_host_new(test->world, "node", "10.0.0.1");
    if (sys_loop_new(sim_host_sys(host), "strand", &test->loop) != ERR_OK ||
        sys_loop_start(test->loop) != ERR_OK) {
        fprintf(stderr, "no loop\n");
        exit(2);
    }
    struct strand_options options = {
        .loop = test->loop,
        .machine = &sum_machine,
        .state = test,
        .log = {.arg = test, .next_offset = log_next_offset, .append = log_append},
        .mailbox_max = MAILBOX_MAX,
    };
    strand_new(&options, ERR_COORDINATOR_LOAD_IN_PROGRESS, &test->strand);
}

static void test_stop(void *arg) {
    struct test *test = arg;
    strand_free(test->strand);
    sys_loop_stop(test->loop);
    sim_world_run_for(test->world, 1);
    sys_loop_free(test->loop);
    sim_world_free(test->world);
}

int main(int argc, char **argv) {
    static struct test test;
    const struct transcript_player player = {
        .start = test_start, .run = run_line, .stop = test_stop, .arg = &test};
    return transcript_main(argc, argv, &player);
}
