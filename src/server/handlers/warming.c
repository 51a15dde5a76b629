/*
 * Bringing cold records into the page cache before a reactor sends them: one job that goes over the
 * partitions of a fetch, on the workers of each one's volume in turn. A slice of the job reads one
 * chunk. Bytes are read and dropped: what counts is that the kernel has them.
 */
#include <stdlib.h>

#include "base/limits.h"
#include "server/handlers/fetch.h"
#include "server/node_int.h"

struct warming {
    struct sys_job job;
    struct fetch *fetch;
    void (*warmed)(struct fetch *fetch);
    int32_t next;
    struct log_slice slice;
    size_t done;
    size_t left; /* bytes that the whole fetch may still read */
    uint8_t *chunk;
};

/* Finds the next partition's run. False: none there. */
static bool open_slice(struct warming *warming) {
    struct fetch_part *part = &warming->fetch->parts[warming->next];
    if (part->partition == NULL || part->item->size_max <= 0) {
        return false;
    }
    size_t wanted = (size_t)part->item->size_max;
    struct partition_read read = {
        .offset = part->item->fetch_offset,
        .size_max = wanted < warming->left ? wanted : warming->left,
        .min_one = true,
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

static enum sys_job_result warm_step(struct sys_job *job) {
    struct warming *warming = container_of(job, struct warming, job);
    if (warming->slice.segment == NULL) {
        if (warming->next == warming->fetch->part_count || warming->left == 0) {
            return SYS_JOB_DONE;
        }
        if (!open_slice(warming)) {
            warming->next++;
        }
        return SYS_JOB_AGAIN;
    }
    size_t size = warming->slice.size - warming->done;
    size = size < FETCH_WARM_CHUNK_SIZE ? size : FETCH_WARM_CHUNK_SIZE;
    size_t got = 0;
    err_t err = sys_file_read(warming->slice.file, warming->slice.position + warming->done,
                              warming->chunk, size, &got);
    warming->done += got;
    warming->left -= got < warming->left ? got : warming->left;
    if (err != ERR_OK || got == 0 || warming->done == warming->slice.size) {
        log_slice_release(&warming->slice);
        warming->next++;
    }
    return SYS_JOB_AGAIN;
}

static void warm_done(struct sys_job *job) {
    struct warming *warming = container_of(job, struct warming, job);
    struct fetch *fetch = warming->fetch;
    void (*warmed)(struct fetch * fetch) = warming->warmed;
    free(warming->chunk);
    free(warming);
    warmed(fetch);
}

/* The volume of the first partition found; fetches of several cold volumes are rare enough to
 * share its workers. */
static struct volume *choose_volume(struct fetch *fetch) {
    for (int32_t i = 0; i < fetch->part_count; i++) {
        struct partition *partition = fetch->parts[i].partition;
        struct volume *volume = partition == NULL ? NULL : partition_volume(partition);
        if (volume != NULL) {
            return volume;
        }
    }
    return replicas_volume(fetch->request->node->replicas, 0);
}

void fetch_warm(struct fetch *fetch, void (*warmed)(struct fetch *fetch)) {
    struct warming *warming = calloc(1, sizeof *warming);
    warming->job = (struct sys_job){
        .run = warm_step, .done = warm_done, .loop = fetch->request->reactor->loop};
    warming->fetch = fetch;
    warming->warmed = warmed;
    warming->left = fetch->size_max;
    warming->chunk = malloc(FETCH_WARM_CHUNK_SIZE);
    sys_pool_submit(choose_volume(fetch)->upkeep, &warming->job);
}
