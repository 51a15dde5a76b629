#include "log/log_cleaner_life_test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "log/batch_header.h"
#include "wire/compression.h"

enum { TRIES_MAX = 5 };

/* --- what a log looks like --- */

/* "0:a=1 …| 3@2 | 3:5 ": records, aborted transactions, producers with their last sequence. */
char *life_text(struct fixture *f) {
    struct buffer text = show(f);
    text.size--; /* the end of the string */
    struct log_aborted *aborted;
    struct log_producer *producers;
    size_t count;
    assert_int_equal(log_aborted_transactions(f->log, 0, INT64_MAX, 0, &aborted, &count), ERR_OK);
    buffer_printf(&text, "|");
    for (size_t i = 0; i < count; i++) {
        buffer_printf(&text, " %d@%d", (int)aborted[i].producer_id, (int)aborted[i].first_offset);
    }
    buffer_printf(&text, " |");
    free(aborted);
    log_producers(f->log, &producers, &count);
    for (int id = 1; id < 10; id++) {
        for (size_t i = 0; i < count; i++) {
            if (producers[i].producer_id == id) {
                buffer_printf(&text, " %d:%d", id, producers[i].last_sequence);
            }
        }
    }
    buffer_add(&text, "", 1);
    free(producers);
    char *copy = strdup((const char *)text.data);
    buffer_done(&text);
    return copy;
}

/* --- a life --- */

static void step_end(struct life *life) {
    struct reference *reference = life->reference;
    life->step++;
    if (reference != NULL) {
        assert_true(reference->count < STEPS_MAX);
        life->looking = true;
        reference->texts[reference->count++] = life_text(&life->f);
        life->looking = false;
    }
}

static void fill(struct life *life) {
    struct fixture *f = &life->f;
    fixture_open(f);
    put(f, "ab", "1");
    append(f, &(struct keyed){.keys = "xa", .value = "2", .producer_id = 3, .transactional = true});
    seal(f);
    append(f, &(struct keyed){.keys = "yb", .value = "2", .producer_id = 4, .transactional = true});
    end_txn(f, 3, false); /* 6 */
    put(f, "b", NULL);
    seal(f);
    end_txn(f, 4, true); /* 8 */
    append(f, &(struct keyed){.keys = "cbc", .value = "3", .compression = COMPRESSION_GZIP});
    seal(f);
    append(f, &(struct keyed){.keys = "zz", .value = "4", .producer_id = 5});
    put(f, "cd", "5");
    seal(f);
    append(f, &(struct keyed){.keys = "z", .value = "5", .producer_id = 5, .sequence = 2});
    put(f, "e", "6");
    seal(f);
    fixture_checkpoint(f);
    step_end(life);
}

/* One cleaning of all there is. A step that fails while files are renamed is tried again. */
static err_t clean_once(struct life *life) {
    struct fixture *f = &life->f;
    struct log_cleaning_settings settings = settings_of(f);
    struct log_cleanable cleanable;
    err_t err = log_cleanable(f->log, f->now_ms, false, &cleanable);
    if (err != ERR_OK || cleanable.cleanable_bytes == 0) {
        return err;
    }
    struct log_cleaning *cleaning = log_cleaning_new(f->log, &cleanable, &settings);
    enum log_cleaning_next next = LOG_CLEANING_AGAIN;
    while (err == ERR_OK && next != LOG_CLEANING_DONE) {
        if (next == LOG_CLEANING_SWAP) {
            assert_int_equal(log_cleaning_swap(cleaning), ERR_OK);
            step_end(life);
        }
        err = log_cleaning_step(cleaning, &next);
        if (err == ERR_NO_SPACE && !log_cleaning_may_stop(cleaning)) {
            next = LOG_CLEANING_AGAIN;
            err = ERR_OK;
        }
    }
    log_cleaning_free(cleaning);
    return err;
}

static err_t checkpoint_write(struct fixture *f) {
    struct log_checkpoint_entry entry = {.topic = STR("t"), .partition = 0};
    bool cleaned = log_cleaned_offset(f->log, &entry.offset);
    return log_directory_checkpoint_write(f->directory, LOG_CHECKPOINT_CLEANER, &entry, cleaned);
}

static err_t trash_empty(struct fixture *f) {
    int64_t next_ms = 0;
    err_t err = ERR_OK;
    while (err == ERR_OK && next_ms != INT64_MAX) {
        err = log_directory_trash_step(f->directory, &next_ms);
    }
    return err;
}

/* As a node does it: what failed is tried again, unless the directory is offline. */
static void compact(struct life *life) {
    struct fixture *f = &life->f;
    err_t (*const parts[])(struct fixture * f) = {checkpoint_write, trash_empty};
    err_t err = clean_once(life);
    for (int i = 0; i < TRIES_MAX && err != ERR_OK; i++) {
        err = log_directory_state(f->directory) == ERR_OK ? clean_once(life) : ERR_OK;
    }
    assert_int_equal(err, ERR_OK);
    for (size_t part = 0; part < sizeof parts / sizeof parts[0]; part++) {
        err = parts[part](f);
        for (int i = 0; i < TRIES_MAX && err != ERR_OK; i++) {
            err = log_directory_state(f->directory) == ERR_OK ? parts[part](f) : ERR_OK;
        }
        assert_int_equal(err, ERR_OK);
    }
}

void life_run(void *arg) {
    struct life *life = arg;
    struct fixture *f = &life->f;
    compact(life);
    if (log_directory_state(f->directory) == ERR_OK) {
        life->writing = true;
        put(f, "a", "7");
        step_end(life);
        put(f, "ef", "8");
        step_end(life);
        seal(f);
        life->writing = false;
        compact(life);
    }
    life->ended = true;
}

bool begins(const char *text, const char *start) {
    return strncmp(text, start, strlen(start)) == 0;
}

/* A sync that finds no room is an IO error: what it dropped is not known. */
static bool can_strike(const struct life *life, const char *what) {
    switch (life->strike) {
    case STRIKE_NONE:
        return false;
    case STRIKE_CRASH:
        return true;
    case STRIKE_POWER:
    case STRIKE_ERROR:
        return !life->writing;
    case STRIKE_FULL:
        return !life->writing && !begins(what, "read") && !begins(what, "sync");
    }
    return false;
}

static void note_call(struct reference *reference, const struct sim_event *event) {
    const char *name = strrchr(event->path, '/') + 1;
    char text[128];
    (void)snprintf(text, sizeof text, "%s %s", event->what, name);
    assert_true(reference->seen_count < SEEN_MAX);
    reference->seen[reference->seen_count++] = strdup(text);
}

static void on_event(void *arg, const struct sim_event *event) {
    struct life *life = arg;
    if (event->kind != SIM_EVENT_CALL || strstr(event->path, "/data") == NULL || life->looking) {
        return;
    }
    if (life->reference != NULL) {
        note_call(life->reference, event);
    }
    if (++life->calls != life->strike_at || !can_strike(life, event->what)) {
        return;
    }
    life->struck = true;
    if (life->strike >= STRIKE_ERROR) {
        (void)sim_disk_add_fault(
            life->f.host,
            &(struct sim_fault){.kind = SIM_FAULT_ERROR,
                                .path = event->path,
                                .count_max = 1,
                                .err = life->strike == STRIKE_FULL ? ERR_NO_SPACE : ERR_IO});
    }
}

static bool is_over(void *arg) {
    const struct life *life = arg;
    return life->ended || (life->struck && life->strike <= STRIKE_POWER);
}

/* Runs a function on the host until it ends or is struck. */
void life_spawn(struct life *life, void (*body)(void *arg)) {
    life->calls = 0;
    life->struck = false;
    life->ended = false;
    sim_world_observe(life->f.world, on_event, life);
    sim_host_spawn(life->f.host, "node", body, life);
    assert_true(sim_world_run_until(life->f.world, is_over, life, 600000));
    sim_world_observe(life->f.world, NULL, NULL);
}

void life_begin(struct life *life, uint64_t seed) {
    struct fixture *f = &life->f;
    fixture_init(f);
    sim_world_free(f->world);
    f->world = sim_world_new(seed);
    f->host = sim_host_new(f->world, "a", "10.0.0.1");
    f->sys = sim_host_sys(f->host);
    f->config.cleanup_compact = true;
    f->config.cleanup_delete = false;
    f->config.segment_bytes = 520;
    f->config.index_interval_bytes = 1;
    f->config.file_delete_delay_ms = 0;
    fill(life);
}

/* What the dead process had is left behind. */
void life_die(struct life *life, bool power) {
    struct fixture *f = &life->f;
    if (power) {
        sim_host_power_cut(f->host);
    } else {
        sim_host_crash(f->host);
    }
    sim_host_restart(f->host);
    f->log = NULL;
    f->directory = NULL;
    f->cache = NULL;
}

/* --- what must hold --- */

bool name_ends(const char *name, const char *end) {
    size_t size = strlen(name), end_size = strlen(end);
    return size >= end_size && strcmp(name + size - end_size, end) == 0;
}

static void no_leftovers(struct fixture *f) {
    struct sys_dir_list list;
    assert_int_equal(sys_dir_list(f->sys, "/data/t-0", &list), ERR_OK);
    for (size_t i = 0; i < list.count; i++) {
        assert_false(name_ends(list.names[i], ".cleaned"));
        assert_false(name_ends(list.names[i], ".swap"));
        if (name_ends(list.names[i], "index")) {
            char name[64];
            (void)snprintf(name, sizeof name, "%.20s.log", list.names[i]);
            assert_true(file_exists(f, name));
        }
    }
    sys_dir_list_free(&list);
}

/* The first and the last offset of the batch that is read for an offset. */
static void batch_at(struct fixture *f, int64_t offset, int64_t *ret_first, int64_t *ret_last) {
    struct log_slice slice;
    uint8_t head[BATCH_HEADER_SIZE_V2];
    size_t got;
    struct batch_header header;
    assert_int_equal(log_read(f->log, offset, 1, INT64_MAX, LOG_READ_MIN_ONE, &slice), ERR_OK);
    assert_non_null(slice.segment);
    assert_int_equal(sys_file_read(slice.file, slice.position, head, sizeof head, &got), ERR_OK);
    assert_null(batch_header_read(head, got, &header));
    log_slice_release(&slice);
    *ret_first = header.base_offset;
    *ret_last = header.last_offset;
}

/* Each offset and each time leads to the first batch that is left from there on. */
static void indexes_hold(struct fixture *f) {
    int64_t first = -1, last = -1, known_first = -1, known_last = -1;
    for (int64_t offset = 0; offset < log_end_offset(f->log); offset++) {
        batch_at(f, offset, &first, &last);
        assert_true(last >= offset);
        assert_true(offset <= known_last ? first == known_first : first > known_last);
        known_first = first;
        known_last = last;
    }
    struct log_time_offset newest, found;
    assert_int_equal(log_offset_for_timestamp(f->log, LOG_TIMESTAMP_MAX, &newest), ERR_OK);
    last = 0;
    for (int64_t time = SIM_START_WALL_MS; time <= newest.timestamp_ms; time++) {
        assert_int_equal(log_offset_for_timestamp(f->log, time, &found), ERR_OK);
        assert_true(found.offset >= last);
        assert_true(found.timestamp_ms >= time);
        last = found.offset;
    }
}

/* The log is as after one of the steps first … last. */
static void is_one_of(const struct reference *reference, const char *text, int first, int last) {
    for (int i = first < 0 ? 0 : first; i <= last && i < reference->count; i++) {
        if (strcmp(text, reference->texts[i]) == 0) {
            return;
        }
    }
    fprintf(stderr, "found:  %s\n", text);
    for (int i = first < 0 ? 0 : first; i <= last && i < reference->count; i++) {
        fprintf(stderr, "step %d: %s\n", i, reference->texts[i]);
    }
    fail();
}

/* The last step in memory may not have come to the disk, or have come there unnoticed. */
void life_audit(struct life *life, const struct reference *reference) {
    struct fixture *f = &life->f;
    log_high_watermark_set(f->log, log_end_offset(f->log));
    assert_int_equal(log_last_stable_offset(f->log), log_end_offset(f->log));
    char *text = life_text(f);
    is_one_of(reference, text, life->step - 2, life->step);
    free(text);
    no_leftovers(f);
    indexes_hold(f);
}

/* The records of a log's text without those of its aborted transaction: all, or the newest of each
 * key. */
char *records_of(const char *text, bool newest) {
    enum { ABORTED_FIRST = 2, ABORTED_LAST = 3, TOKENS_MAX = 64 };
    const char *tokens[TOKENS_MAX];
    char keys[TOKENS_MAX];
    int count = 0;
    for (const char *at = text; *at != '|'; at += strcspn(at, " ") + 1) {
        const char *token = at + (*at == 'H');
        long offset = strtol(token, NULL, 10);
        const char *key = strchr(token, ':') + 1;
        bool data = *token != 'E' && *key != 'C' && *key != 'A';
        if (data && (offset < ABORTED_FIRST || offset > ABORTED_LAST)) {
            assert_true(count < TOKENS_MAX);
            keys[count] = *key == '!' ? key[1] : *key;
            tokens[count++] = token;
        }
    }
    struct buffer out = {0};
    for (int i = 0; i < count; i++) {
        bool again = false;
        for (int j = i + 1; j < count; j++) {
            again |= keys[j] == keys[i];
        }
        if (!newest || !again) {
            buffer_add(&out, tokens[i], strcspn(tokens[i], " ") + 1);
        }
    }
    buffer_add(&out, "", 1);
    char *copy = strdup((const char *)out.data);
    buffer_done(&out);
    return copy;
}

/* What is left can be compacted, and keeps the newest of each key. */
void life_goes_on(struct life *life) {
    struct fixture *f = &life->f;
    life->strike = STRIKE_NONE;
    log_high_watermark_set(f->log, log_end_offset(f->log));
    char *before = life_text(f);
    seal(f);
    compact(life);
    char *after = life_text(f);
    char *wanted = records_of(before, true), *found = records_of(after, false);
    assert_string_equal(found, wanted);
    free(before);
    free(after);
    free(wanted);
    free(found);
    no_leftovers(f);
    indexes_hold(f);
}

/* --- the undisturbed one --- */

void reference_make(struct reference *reference) {
    struct life life = {.reference = reference};
    life_begin(&life, 1);
    life_spawn(&life, life_run);
    no_leftovers(&life.f);
    fixture_done(&life.f);
}

void reference_done(struct reference *reference) {
    for (int i = 0; i < reference->count; i++) {
        free(reference->texts[i]);
    }
    for (size_t i = 0; i < reference->seen_count; i++) {
        free(reference->seen[i]);
    }
}

void life_open(void *arg) {
    struct life *life = arg;
    fixture_open(&life->f);
    life->ended = true;
}
