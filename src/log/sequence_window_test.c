/*
 * Runs a transcript: each command is carried out, and what it prints must be the indented lines
 * that follow it.
 *
 *   append EPOCH FIRST LAST   checks a batch, and adds it at the next offset if it is new
 *   marker EPOCH              a transaction ended, in this epoch
 *   forget                    the producer's state expired
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/transcript.h"
#include "log/sequence_window.h"

struct fixture {
    struct sequence_window window;
    int64_t next_offset;
};

static void print_window(FILE *out, const struct sequence_window *window) {
    if (window->epoch == PRODUCER_EPOCH_NONE) {
        fprintf(out, "  window: empty\n");
        return;
    }
    fprintf(out, "  window: epoch %d", window->epoch);
    for (uint8_t i = 0; i < window->count; i++) {
        const struct sequence_batch *batch = &window->batches[i];
        fprintf(out, " [%" PRId32 "-%" PRId32 " @%" PRId64 "]", batch->first_sequence,
                batch->last_sequence, batch->last_offset);
    }
    fprintf(out, "\n");
}

static void append(struct fixture *f, FILE *out, int epoch, int first, int last) {
    const struct sequence_batch *duplicate;
    err_t err = sequence_window_check(&f->window, (int16_t)epoch, first, last, &duplicate);
    if (err != ERR_OK) {
        fprintf(out, "  %s\n", err_name(err));
        return;
    }
    if (duplicate != NULL) {
        fprintf(out, "  duplicate of offset %" PRId64 "\n",
                duplicate->last_offset - duplicate->offset_delta);
        return;
    }
    struct sequence_batch batch = {
        .first_sequence = first,
        .last_sequence = last,
        .last_offset = f->next_offset + (last - first),
        .offset_delta = last - first,
    };
    f->next_offset = batch.last_offset + 1;
    sequence_window_add(&f->window, (int16_t)epoch, &batch);
    print_window(out, &f->window);
}

static void run(struct fixture *f, FILE *out, const char *command) {
    int epoch, first, last;
    if (sscanf(command, "append %d %d %d", &epoch, &first, &last) == 3) {
        append(f, out, epoch, first, last);
    } else if (sscanf(command, "marker %d", &epoch) == 1) {
        sequence_window_set_epoch(&f->window, (int16_t)epoch);
        f->next_offset++;
        print_window(out, &f->window);
    } else if (strcmp(command, "forget\n") == 0) {
        sequence_window_init(&f->window);
        print_window(out, &f->window);
    } else {
        fprintf(out, "  unknown command\n");
    }
}

static void run_line(void *arg, const char *line, FILE *out) {
    run(arg, out, line);
}

int main(int argc, char **argv) {
    struct fixture f = {0};
    sequence_window_init(&f.window);
    const struct transcript_player player = {.run = run_line, .arg = &f};
    return transcript_main(argc, argv, &player);
}
