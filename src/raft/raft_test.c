/*
 * Runs a transcript: each command is carried out, and what it prints must be the indented lines
 * that follow it. With REWRITE=1 the file is rewritten with what came out.
 *
 *   new EPOCH LEADER VOTED LOG_END LOG_EPOCH VOTERS   node 1 comes up with this on its disk
 *   start | saved | appended OFFSET | synced OFFSET | storage-failed | stop
 *   asked EPOCH                                  somebody asks the leader of this epoch
 *   fetched ID DIRECTORY OFFSET LEADER_END NOW   an observer; DIRECTORY is one digit
 *   observers NOW                                those not forgotten
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/transcript.h"
#include "raft/observers.h"
#include "raft/raft.h"

static const struct raft_options options = {.node_id = 1, .election_timeout_ms = 1000};

static void print_state(FILE *out, const struct raft *raft) {
    fprintf(out, "  %s, epoch %" PRId32, raft_role_name(raft_role(raft)), raft_epoch(raft));
    if (raft_leader_id(raft) >= 0) {
        fprintf(out, ", leads from offset %" PRId64, raft_epoch_start_offset(raft));
    }
    if (raft_high_watermark(raft) >= 0) {
        fprintf(out, ", high watermark %" PRId64, raft_high_watermark(raft));
    }
    fprintf(out, "\n");
}

static void print_output(FILE *out, const struct raft_output *output) {
    if (output->save_election) {
        fprintf(out, "  save election: epoch %" PRId32 " leader %" PRId32 " voted %" PRId32 "\n",
                output->election.epoch, output->election.leader_id, output->election.voted_id);
    }
    if (output->start_epoch) {
        fprintf(out, "  append LeaderChange\n");
    }
    if (output->high_watermark_moved) {
        fprintf(out, "  committed below %" PRId64 "\n", output->high_watermark);
    }
    if (output->resigned) {
        fprintf(out, "  fail what waits\n");
    }
}

static void create(struct raft **raft, FILE *out, const char *command) {
    struct raft_election election = {0};
    int64_t log_end;
    int32_t log_epoch;
    char text[128];
    if (sscanf(command, "new %" SCNd32 " %" SCNd32 " %" SCNd32 " %" SCNd64 " %" SCNd32 " %127s",
               &election.epoch, &election.leader_id, &election.voted_id, &log_end, &log_epoch,
               text) != 6) {
        fprintf(out, "  unknown command\n");
        return;
    }
    struct raft_voters voters;
    raft_voters_init(&voters);
    raft_free(*raft);
    *raft = NULL;
    if (raft_voters_parse(&voters, str_from_c(text)) != ERR_OK) {
        fprintf(out, "  not a voter set\n");
    } else if (raft_new(&options, &election, &voters, log_end, log_epoch, raft) != ERR_OK) {
        fprintf(out, "  refused: %s\n", raft_refusal(&options, &voters));
    } else {
        print_state(out, *raft);
    }
    raft_voters_done(&voters);
}

static void step(struct raft *raft, FILE *out, const struct raft_input *input) {
    struct raft_output output;
    raft_step(raft, input, 0, 0, &output);
    print_output(out, &output);
    print_state(out, raft);
}

/* --- observers --- */

static void print_observers(FILE *out, const struct raft_observers *observers) {
    for (size_t i = 0; i < observers->count; i++) {
        const struct raft_observer *observer = &observers->observers[i];
        fprintf(out,
                "  %" PRId32 " in %d: has all below %" PRId64 ", fetched at %" PRId64
                ", caught up at %" PRId64 "\n",
                observer->id, observer->directory_id.bytes[15], observer->log_end_offset,
                observer->last_fetch_ms, observer->last_caught_up_ms);
    }
}

/* False: another command. */
static bool run_observers(struct raft_observers *observers, FILE *out, const char *command) {
    int32_t id;
    struct uuid directory = UUID_ZERO;
    int64_t offset, leader_end, now_ms;
    if (sscanf(command, "fetched %" SCNd32 " %" SCNu8 " %" SCNd64 " %" SCNd64 " %" SCNd64, &id,
               &directory.bytes[15], &offset, &leader_end, &now_ms) == 5) {
        raft_observers_note(observers, id, directory, offset, leader_end, now_ms);
    } else if (sscanf(command, "observers %" SCNd64, &now_ms) == 1) {
        raft_observers_expire(observers, now_ms);
    } else {
        return false;
    }
    print_observers(out, observers);
    return true;
}

static void run(struct raft **raft, FILE *out, const char *command) {
    struct raft_input input = {0};
    int32_t epoch;
    if (strncmp(command, "new ", 4) == 0) {
        create(raft, out, command);
        return;
    }
    if (sscanf(command, "asked %" SCNd32, &epoch) == 1) {
        fprintf(out, "  %s\n", err_name(raft_check_leader(*raft, epoch)));
        return;
    }
    if (strcmp(command, "start\n") == 0) {
        input.type = RAFT_START;
    } else if (strcmp(command, "saved\n") == 0) {
        input.type = RAFT_ELECTION_SAVED;
    } else if (sscanf(command, "appended %" SCNd64, &input.end_offset) == 1) {
        input.type = RAFT_APPENDED;
    } else if (sscanf(command, "synced %" SCNd64, &input.end_offset) == 1) {
        input.type = RAFT_SYNCED;
    } else if (strcmp(command, "storage-failed\n") == 0) {
        input.type = RAFT_STORAGE_FAILED;
    } else if (strcmp(command, "stop\n") == 0) {
        input.type = RAFT_STOP;
    } else {
        fprintf(out, "  unknown command\n");
        return;
    }
    step(*raft, out, &input);
}

struct test {
    struct raft *raft;
    struct raft_observers observers;
};

static void run_line(void *arg, const char *line, FILE *out) {
    struct test *test = arg;
    if (!run_observers(&test->observers, out, line)) {
        run(&test->raft, out, line);
    }
}

int main(int argc, char **argv) {
    struct test test = {0};
    const struct transcript_player player = {.run = run_line, .arg = &test};
    int code = transcript_main(argc, argv, &player);
    raft_free(test.raft);
    raft_observers_done(&test.observers);
    return code;
}
