#include "replica/tending_int.h"

#include <stdlib.h>

#include "replica/partition_int.h"
#include "sys/sys.h"

struct tending {
    struct partition_write write;
    struct partition *partition;
    struct tending_due due;
};

bool tending_flushes(struct log *log) {
    struct log_config config;
    log_config_read(log, &config);
    return config.flush_messages != INT64_MAX;
}

/* Removes one segment; whatever else is due comes behind the writes that wait. */
static err_t retain(struct tending *tending, struct log *log) {
    int64_t now_ms = sys_wall_ms(tending->partition->sys);
    bool more = false;
    err_t err = log_retention_step(log, now_ms, &more);
    tending->due.retention = err == ERR_OK && more;
    return err;
}

static err_t run(struct partition_write *write, struct partition *partition, struct log *log) {
    struct tending *tending = container_of(write, struct tending, write);
    struct volume *volume = partition_volume(partition);
    err_t err = ERR_OK;
    if (tending->due.producers) {
        tending->due.producers = false;
        log_producers_expire(log, sys_wall_ms(partition->sys));
    }
    if (tending->due.flush) {
        tending->due.flush = false;
        err = log_flush(log, INT64_MAX);
        volume_note_synced(volume);
    } else if (tending->due.retention) {
        err = retain(tending, log);
    }
    return volume_note(volume, err);
}

static void end(struct tending *tending) {
    atomic_store(&tending->partition->tended, false);
    free(tending);
}

/* On the worker, which holds the partition. */
static void done(struct partition_write *write) {
    struct tending *tending = container_of(write, struct tending, write);
    bool more = write->err == ERR_OK && (tending->due.flush || tending->due.retention);
    if (!more || partition_submit(tending->partition, write) == ERR_OK) {
        end(tending);
    }
}

void tending_submit(struct partition *partition, const struct tending_due *due) {
    if (atomic_exchange(&partition->tended, true)) {
        return;
    }
    struct tending *tending = calloc(1, sizeof *tending);
    tending->partition = partition;
    tending->due = *due;
    tending->write = (struct partition_write){.run = run, .done = done, .blocking = true};
    if (partition_submit(partition, &tending->write) == ERR_OK) {
        end(tending);
    }
}
