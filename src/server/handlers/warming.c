/*
 * Bringing cold records into the page cache before a reactor sends them. The partitions of each
 * volume are a pass on that volume's workers, one volume after the other, so that a disk that hangs
 * holds up its own workers only. A slice of the job reads one chunk. Bytes are read and dropped:
 * what counts is that the kernel has them.
 */
#include <stdlib.h>

#include "base/limits.h"
#include "server/handlers/fetch.h"
#include "server/node_int.h"

struct warming {
    struct sys_job job;
    struct fetch *fetch;
    void (*warmed)(struct fetch *fetch);
    int pass; /* index of the volume */
    struct volume *volume;
    int32_t next;
    struct log_slice slice;
    size_t done;
    size_t left; /* bytes that the whole fetch may still read */
};

/* Finds the next partition's run. False: none there. */
static bool open_slice(struct warming *warming) {
    struct fetch_part *part = &warming->fetch->parts[warming->next];
    if (part->partition == NULL || part->item->size_max <= 0 ||
        partition_volume(part->partition) != warming->volume) {
        return false;
    }
    size_t wanted = (size_t)part->item->size_max;
    struct partition_read read = {
        .offset = part->item->fetch_offset,
        .size_max = wanted < warming->left ? wanted : warming->left,
        .min_one = true,
        .committed_only = warming->fetch->committed_only,
        .leader_epoch = PARTITION_ANY_EPOCH,
        .fetched_epoch = PARTITION_ANY_EPOCH,
    };
    if (partition_read(part->partition, &read) != ERR_OK || read.slice.segment == NULL) {
        return false;
    }
    warming->slice = read.slice;
    warming->done = 0;
    return true;
}

static void read_chunk(struct warming *warming) {
    size_t size = warming->slice.size - warming->done;
    size = size < FETCH_WARM_CHUNK_SIZE ? size : FETCH_WARM_CHUNK_SIZE;
    size_t got = 0;
    uint8_t *chunk = malloc(size);
    err_t err = sys_file_read(warming->slice.file, warming->slice.position + warming->done, chunk,
                              size, &got);
    free(chunk);
    warming->done += got;
    warming->left -= got < warming->left ? got : warming->left;
    if (err != ERR_OK || got == 0) {
        warming->done = warming->slice.size;
    }
}

/* And the indexes of what was aborted there; the answer reads them again. */
static void close_slice(struct warming *warming) {
    struct fetch_part *part = &warming->fetch->parts[warming->next++];
    struct log_aborted *aborted = NULL;
    size_t count;
    if (warming->fetch->committed_only) {
        (void)partition_aborted_transactions(part->partition, part->item->fetch_offset,
                                             warming->slice.end_offset, false, &aborted, &count);
        free(aborted);
    }
    log_slice_release(&warming->slice);
}

static enum sys_job_result warm_step(struct sys_job *job) {
    struct warming *warming = container_of(job, struct warming, job);
    if (warming->slice.segment != NULL) {
        if (warming->done < warming->slice.size) {
            read_chunk(warming);
        } else {
            close_slice(warming);
        }
        return SYS_JOB_AGAIN;
    }
    while (warming->next < warming->fetch->part_count && warming->left > 0) {
        if (open_slice(warming)) {
            return SYS_JOB_AGAIN;
        }
        warming->next++;
    }
    return SYS_JOB_DONE;
}

static bool has_part(const struct fetch *fetch, const struct volume *volume) {
    for (int32_t i = 0; i < fetch->part_count; i++) {
        struct partition *partition = fetch->parts[i].partition;
        if (partition != NULL && partition_volume(partition) == volume) {
            return true;
        }
    }
    return false;
}

static void pass_done(struct sys_job *job);

/* Begins the pass of the next volume that the fetch reads from; the end when there is none. */
static void next_pass(struct warming *warming) {
    struct fetch *fetch = warming->fetch;
    struct replicas *replicas = fetch->request->node->replicas;
    bool gone = net_request_cancelled(fetch->request->net);
    while (warming->pass < replicas_volume_count(replicas) && warming->left > 0 && !gone) {
        warming->volume = replicas_volume(replicas, warming->pass++);
        if (has_part(fetch, warming->volume)) {
            warming->next = 0;
            warming->job = (struct sys_job){
                .run = warm_step, .done = pass_done, .loop = fetch->request->reactor->loop};
            sys_pool_submit(warming->volume->upkeep, &warming->job);
            return;
        }
    }
    void (*warmed)(struct fetch * fetch) = warming->warmed;
    free(warming);
    warmed(fetch);
}

static void pass_done(struct sys_job *job) {
    next_pass(container_of(job, struct warming, job));
}

void fetch_warm(struct fetch *fetch, void (*warmed)(struct fetch *fetch)) {
    struct warming *warming = calloc(1, sizeof *warming);
    warming->fetch = fetch;
    warming->warmed = warmed;
    warming->left = fetch->size_max > 0 ? fetch->size_max : 1;
    next_pass(warming);
}
