/*
 * Loading a shard: its log is read in slices by a worker of the disk, which also decodes them, and
 * replayed by the shard's loop, slice by slice, so that neither holds up others.
 *
 *   slice_read (worker)    read, decompress, decode into the slice's arena
 *   slice_done (loop)      replay; then the next slice, or the log is loaded
 *
 * A slice that is not whole at its end (a fetch ends within a batch) is simply shorter. An error of
 * the disk, or a log that is just being made, is tried again in a moment; the shard keeps answering
 * COORDINATOR_LOAD_IN_PROGRESS. A batch or record that cannot be understood is passed over and
 * counted: the others are worth more than an orderly refusal.
 */
#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>

#include "base/limits.h"
#include "coord/coord_int.h"
#include "sys/file.h"
#include "sys/sys.h"
#include "wire/message_set.h"
#include "wire/record_batch.h"

enum { RETRY_SOON_MS = 10, RETRY_LATER_MS = 1000, PROGRESS_MS = 5000 };

struct replayed {
    struct coord_record record;
    int64_t offset;
};

struct shard_load {
    struct sys_job job;
    struct shard *shard;
    bool cancelled;
    struct partition *partition;
    bool begun; /* `offset` is known */
    bool at_end;
    int64_t offset; /* of the next slice */
    err_t err;      /* of the last slice */

    struct compression *compression;
    struct buffer data;
    struct buffer scratch;
    struct arena arena;
    struct replayed *records;
    int32_t record_count;
    int32_t record_capacity;

    uint64_t bytes_done;
    uint64_t bytes_total; /* as far as known: the log's size at the beginning */
    int64_t passed_over;
    int64_t told_ms;
};

static void load_free(struct shard_load *load) {
    partition_unref(load->partition);
    compression_free(load->compression);
    buffer_done(&load->data);
    buffer_done(&load->scratch);
    arena_done(&load->arena);
    free(load);
}

/* --- on a worker --- */

static struct coord_record *add_record(struct shard_load *load, int64_t offset) {
    if (load->record_count == load->record_capacity) {
        int32_t capacity = load->record_capacity == 0 ? 256 : load->record_capacity * 2;
        load->records = arena_grow(&load->arena, load->records,
                                   (size_t)load->record_capacity * sizeof load->records[0],
                                   (size_t)capacity * sizeof load->records[0]);
        load->record_capacity = capacity;
    }
    struct replayed *replayed = &load->records[load->record_count++];
    replayed->offset = offset;
    return &replayed->record;
}

static const struct coord_kind *kind_of(const struct shard *shard) {
    return shard->coord->settings.kind;
}

/* The end of a transaction; __transaction_state has none. */
static void decode_control(struct shard_load *load, const uint8_t *batch,
                           const struct record *record) {
    int16_t type;
    if (kind_of(load->shard)->record(GROUP_RECORD_TRANSACTION_COMMIT) == NULL ||
        control_record_key_read(record->key, &type) != ERR_OK ||
        (type != CONTROL_RECORD_COMMIT && type != CONTROL_RECORD_ABORT)) {
        return;
    }
    *add_record(load, record->offset) = (struct coord_record){
        .type = type == CONTROL_RECORD_COMMIT ? GROUP_RECORD_TRANSACTION_COMMIT
                                              : GROUP_RECORD_TRANSACTION_ABORT,
        .value_version = -1,
        .producer_id = record_batch_producer_id(batch),
    };
}

static void decode_record(struct shard_load *load, const struct record *record,
                          int64_t producer_id) {
    struct coord_record decoded;
    if (record->offset < load->offset) {
        return; /* below the log's start, in the first batch */
    }
    if (coord_record_decode(kind_of(load->shard), record->key, record->value, &load->arena,
                            &decoded) != ERR_OK) {
        load->passed_over++;
        return;
    }
    decoded.producer_id = producer_id;
    *add_record(load, record->offset) = decoded;
}

/* Decompressed bytes stay in `scratch` only until the next batch. */
static void own_bytes(struct shard_load *load, struct record *record) {
    record->key = arena_bytes(&load->arena, record->key);
    record->value = arena_bytes(&load->arena, record->value);
}

static err_t decode_batch(struct shard_load *load, const struct record_batch *batch) {
    struct record_iter iter;
    struct record record;
    bool compressed = record_batch_compression(batch->data) != COMPRESSION_NONE;
    bool transactional = record_batch_is_transactional(batch->data);
    err_t err = record_iter_init(&iter, batch->data, batch->size, load->compression, &load->scratch,
                                 COORD_DECOMPRESSED_MAX);
    while (err == ERR_OK && (err = record_iter_next(&iter, &record)) == ERR_OK) {
        if (compressed) {
            own_bytes(load, &record);
        }
        if (record_batch_is_control(batch->data)) {
            decode_control(load, batch->data, &record);
        } else {
            decode_record(load, &record,
                          transactional ? record_batch_producer_id(batch->data) : -1);
        }
    }
    return err;
}

/* The formats of before: old directories have them. */
static err_t decode_message(struct shard_load *load, const struct record_batch *message) {
    struct message_iter iter;
    struct record record;
    err_t err = message_iter_init(&iter, message, load->compression, &load->scratch,
                                  COORD_DECOMPRESSED_MAX);
    while (err == ERR_OK && (err = message_iter_next(&iter, &record)) == ERR_OK) {
        own_bytes(load, &record);
        decode_record(load, &record, -1);
    }
    return err;
}

static err_t read_bytes(struct shard_load *load, const struct log_slice *slice) {
    size_t size = 0;
    buffer_clear(&load->data);
    err_t err = sys_file_read(slice->file, slice->position, buffer_extend(&load->data, slice->size),
                              slice->size, &size);
    load->data.size = size;
    return err;
}

/* Where the log begins, once it is there. */
static err_t begin(struct shard_load *load) {
    struct partition_offsets offsets;
    struct log *log = partition_log(load->partition);
    err_t err = partition_offsets(load->partition, PARTITION_ANY_EPOCH, &offsets);
    if (err == ERR_OK && log == NULL) {
        err = ERR_WOULD_BLOCK; /* it is being made */
    }
    if (err == ERR_OK) {
        load->offset = offsets.log_start_offset;
        load->bytes_total = log_size(log);
        load->begun = true;
    }
    return err;
}

static err_t read_slice(struct shard_load *load) {
    struct partition_read read = {
        .offset = load->offset,
        .size_max = COORD_LOAD_SLICE_SIZE,
        .min_one = true,
        .leader_epoch = PARTITION_ANY_EPOCH,
        .fetched_epoch = PARTITION_ANY_EPOCH,
    };
    struct partition_offsets offsets;
    err_t err = partition_offsets(load->partition, PARTITION_ANY_EPOCH, &offsets);
    if (err == ERR_OK) {
        err = partition_read(load->partition, &read);
    }
    if (err != ERR_OK) {
        return err;
    }
    if (read.slice.size == 0) { /* the end, or records up to it were compacted away */
        load->at_end = load->offset >= offsets.log_end_offset ||
                       offsets.high_watermark >= offsets.log_end_offset;
        log_slice_release(&read.slice);
        return load->at_end ? ERR_OK : ERR_WOULD_BLOCK; /* not committed yet */
    }
    err = read_bytes(load, &read.slice);
    log_slice_release(&read.slice);
    return err;
}

static err_t decode_slice(struct shard_load *load) {
    struct bytes run = buffer_bytes(&load->data);
    struct record_batch batch;
    size_t position = 0;
    while (record_batch_next(run, &position, &batch) == ERR_OK) {
        bool old = batch.magic != 2;
        buffer_clear(&load->scratch);
        err_t err = old ? decode_message(load, &batch) : decode_batch(load, &batch);
        load->passed_over += err != ERR_NOT_FOUND;
        load->offset = old ? message_last_offset(&batch) + 1 : record_batch_next_offset(batch.data);
    }
    load->bytes_done += position;
    return position == 0 ? ERR_CORRUPT : ERR_OK;
}

static enum sys_job_result slice_read(struct sys_job *job) {
    struct shard_load *load = container_of(job, struct shard_load, job);
    load->err = load->begun ? ERR_OK : begin(load);
    if (load->err == ERR_OK) {
        load->err = read_slice(load);
    }
    if (load->err == ERR_OK && !load->at_end) {
        load->err = decode_slice(load);
    }
    return SYS_JOB_DONE;
}

/* --- on the loop --- */

static void slice_done(struct sys_job *job);

static void read_next(struct shard_load *load) {
    arena_reset(&load->arena);
    load->records = NULL;
    load->record_count = load->record_capacity = 0;
    load->job =
        (struct sys_job){.run = slice_read, .done = slice_done, .loop = load->shard->home->loop};
    struct volume *volume = partition_volume(load->partition);
    if (volume != NULL) {
        sys_pool_submit(volume->upkeep, &load->job);
    } else {
        load->err = ERR_WOULD_BLOCK;
        load->job.done(&load->job);
    }
}

static void retry(struct sys_timer *timer) {
    struct shard *shard = container_of(timer, struct shard, retry_timer);
    read_next(shard->load);
}

static void retry_later(struct shard_load *load) {
    struct shard *shard = load->shard;
    bool soon = load->err == ERR_WOULD_BLOCK;
    if (!soon && !shard->load_failed_said) {
        shard->load_failed_said = true;
        text_log_warn(
            shard->coord->settings.text_log, "coord",
            "The %s of %s-%" PRId32 " cannot be loaded (%s); it is tried again every second",
            kind_of(shard)->things, kind_of(shard)->topic.data, shard->index, err_text(load->err));
    }
    shard->retry_timer.fire = retry;
    sys_timer_set(shard->home->loop, &shard->retry_timer,
                  sys_loop_now_ms(shard->home->loop) + (soon ? RETRY_SOON_MS : RETRY_LATER_MS));
}

static void replay(struct shard_load *load) {
    for (int32_t i = 0; i < load->record_count; i++) {
        void *record = &load->records[i].record;
        groups_replay(load->shard->groups, &record, 1, load->records[i].offset);
    }
}

static void tell_progress(struct shard_load *load) {
    const struct shard *shard = load->shard;
    int64_t now_ms = sys_loop_now_ms(shard->home->loop);
    if (now_ms - load->told_ms < PROGRESS_MS) {
        return;
    }
    load->told_ms = now_ms;
    text_log_info(shard->coord->settings.text_log, "coord",
                  "Loading the %s of %s-%" PRId32 ": %" PRIu64 " of %" PRIu64 " MiB",
                  kind_of(shard)->things, kind_of(shard)->topic.data, shard->index,
                  load->bytes_done >> 20, load->bytes_total >> 20);
}

static void finish(struct shard_load *load) {
    struct shard *shard = load->shard;
    if (load->passed_over > 0) {
        text_log_warn(shard->coord->settings.text_log, "coord",
                      "%" PRId64 " records or batches of %s-%" PRId32
                      " cannot be understood, and were passed over",
                      load->passed_over, kind_of(shard)->topic.data, shard->index);
    }
    int64_t next_offset = load->offset;
    shard->log_bytes = load->bytes_done;
    shard->load = NULL;
    load_free(load);
    shard_loaded(shard, next_offset);
}

static void slice_done(struct sys_job *job) {
    struct shard_load *load = container_of(job, struct shard_load, job);
    if (load->cancelled) {
        load->shard->loads_cancelled--;
        load_free(load);
        return;
    }
    if (load->err != ERR_OK) {
        retry_later(load);
        return;
    }
    replay(load);
    if (load->at_end) {
        finish(load);
    } else {
        tell_progress(load);
        read_next(load);
    }
}

void loading_start(struct shard *shard) {
    assert(shard->load == NULL);
    struct shard_load *load = calloc(1, sizeof *load);
    assert(load != NULL);
    load->shard = shard;
    load->partition = partition_ref(shard->partition);
    load->compression = compression_new();
    load->told_ms = shard->load_started_ms;
    arena_init(&load->arena, SIZE_MAX);
    shard->load = load;
    read_next(load);
}

void loading_cancel(struct shard *shard) {
    struct shard_load *load = shard->load;
    if (load == NULL) {
        return;
    }
    shard->load = NULL;
    if (sys_timer_is_set(&shard->retry_timer)) {
        sys_timer_clear(shard->home->loop, &shard->retry_timer);
        load_free(load);
    } else { /* a worker has it */
        load->cancelled = true;
        shard->loads_cancelled++;
    }
}
