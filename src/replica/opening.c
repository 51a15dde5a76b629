/*
 * Opening, creating and removing logs: work of the volumes' workers, begun and ended on reactor 0.
 *
 *   open:     log_open, then recovery steps, one per slice; given up when the node stops; tried
 *             again every second while the disk is full
 *   create:   waits while a folder of its name is leaving, then until no checkpoint knows the name
 *             (upkeep.c), then log_create
 *   remove:   through the partition's queue of writes, behind whatever was submitted before; a log
 *             that could not be opened is set aside as a stray
 *   stray:    log_directory_set_stray
 *
 * A folder that is leaving is in `leavings` by its name. A topic may be deleted and made again
 * faster than its folders are renamed; then each creation waits for the removal before it, which
 * may itself wait for its own creation: the map knows the newest.
 */
#include <assert.h>
#include <stdlib.h>

#include "replica/cleaning_int.h"

struct leaving;

struct opening {
    struct sys_job job;
    struct replicas *replicas;
    struct partition *partition;
    struct volume *volume;
    struct log_config config;
    char folder[LOG_FOLDER_NAME_MAX + 1]; /* "" to create */
    struct log *log;
    struct log_recovery_progress progress;
    err_t err;
    bool again;        /* it was tried before; what is there may be half made */
    struct list waits; /* of the folder that leaves */
    struct forgetting forgetting;
    struct leaving *leaving; /* the topic was deleted meanwhile: next comes this */
};

/* A folder on its way out: removed with its partition, or set aside. */
struct leaving {
    struct partition_write write;
    struct sys_job job;
    struct replicas *replicas;
    struct partition *partition; /* NULL: a stray */
    struct volume *volume;
    char folder[LOG_FOLDER_NAME_MAX + 1];
    err_t err;
    struct list waiting; /* struct opening of the same folder */
};

/* --- opening --- */

static void tell_progress(struct opening *opening, const struct log_recovery_progress *progress) {
    struct replicas *replicas = opening->replicas;
    atomic_fetch_add(&replicas->bytes_recovered,
                     progress->bytes_done - opening->progress.bytes_done);
    atomic_fetch_add(&replicas->bytes_to_recover,
                     progress->bytes_total - opening->progress.bytes_total);
    opening->progress = *progress;
}

static err_t open_log(struct opening *opening) {
    return log_open(opening->volume->directory, opening->folder, &opening->config, &opening->log);
}

static err_t create_log(struct opening *opening) {
    struct partition *partition = opening->partition;
    return log_create(opening->volume->directory, partition_topic(partition),
                      partition_index(partition), partition_topic_id(partition), 0,
                      &opening->config, &opening->log);
}

static err_t begin_log(struct opening *opening) {
    if (opening->folder[0] == '\0') {
        return create_log(opening);
    }
    err_t err = open_log(opening);
    if (err == ERR_OK) { /* found by its name alone, it must not pass on to the next of that name */
        return log_topic_id_set(opening->log, partition_topic_id(opening->partition));
    }
    return err == ERR_NOT_FOUND && opening->again ? create_log(opening) : err;
}

static enum sys_job_result open_step(struct sys_job *job) {
    struct opening *opening = container_of(job, struct opening, job);
    if (atomic_load(&opening->replicas->stopping)) {
        opening->err = ERR_CLOSED;
        return SYS_JOB_DONE;
    }
    if (opening->log == NULL) {
        opening->err = begin_log(opening);
        bool more = opening->err == ERR_OK && log_needs_recovery(opening->log);
        return more ? SYS_JOB_AGAIN : SYS_JOB_DONE;
    }
    bool done = false;
    struct log_recovery_progress progress = opening->progress;
    opening->err = log_recovery_step(opening->log, &done, &progress);
    if (opening->err == ERR_OK) {
        tell_progress(opening, &progress);
    }
    return opening->err == ERR_OK && !done ? SYS_JOB_AGAIN : SYS_JOB_DONE;
}

static void note_lack_of_space(struct replicas *replicas, struct partition *partition) {
    uint8_t key[20];
    replica_key(partition_topic_id(partition), partition_index(partition), key);
    struct replica *replica = map_get(&replicas->table, (struct bytes){key, sizeof key});
    if (replica != NULL) {
        replica->lacks_space = true;
        replicas->lack_space = true;
    }
}

static void open_failed(struct opening *opening) {
    struct partition *partition = opening->partition;
    volume_note(opening->volume, opening->err);
    if (opening->err == ERR_NO_SPACE) {
        note_lack_of_space(opening->replicas, partition);
    }
    bool said = opening->again && opening->err == ERR_NO_SPACE;
    if (!said && !atomic_load(&opening->replicas->stopping)) {
        text_log_error(opening->replicas->text_log, "log",
                       "The log of %.*s-%d in %s could not be %s (%s); the partition is offline",
                       STR_ARGS(partition_topic(partition)), (int)partition_index(partition),
                       log_directory_path(opening->volume->directory),
                       opening->folder[0] != '\0' ? "opened" : "made", err_text(opening->err));
    }
    log_free(opening->log);
    if (!opening->again) {
        partition_set_offline(partition);
    }
}

static void opened(struct opening *opening) {
    struct partition *partition = opening->partition;
    if (opening->again) {
        text_log_info(opening->replicas->text_log, "log",
                      "%.*s-%d is online: the disk of %s has room again",
                      STR_ARGS(partition_topic(partition)), (int)partition_index(partition),
                      log_directory_path(opening->volume->directory));
    }
    partition_set_log(partition, opening->volume, opening->log);
}

static void open_done(struct sys_job *job) {
    struct opening *opening = container_of(job, struct opening, job);
    struct replicas *replicas = opening->replicas;
    map_remove_u64(&replicas->openings, (uintptr_t)opening->partition);
    if (opening->err == ERR_OK) {
        opened(opening);
    } else {
        open_failed(opening);
    }
    if (opening->leaving != NULL) {
        replicas_submit_removal(opening->leaving);
    }
    bool found = opening->folder[0] != '\0' && !opening->again;
    partition_unref(opening->partition);
    free(opening);
    if (found) {
        replicas_log_opened(replicas);
    }
    replicas_task_done(replicas);
}

static void forgotten(struct forgetting *forgetting) {
    struct opening *opening = container_of(forgetting, struct opening, forgetting);
    sys_pool_submit(opening->volume->upkeep, &opening->job);
}

/* No folder of that name is in the way any more. */
static void folder_is_free(struct opening *opening) {
    opening->forgetting = (struct forgetting){.topic = partition_topic(opening->partition),
                                              .index = partition_index(opening->partition),
                                              .done = forgotten};
    replicas_forget(opening->replicas, opening->volume, &opening->forgetting);
}

static void begin_creation(struct opening *opening) {
    struct replicas *replicas = opening->replicas;
    char name[LOG_FOLDER_NAME_MAX + 1];
    log_folder_format(partition_topic(opening->partition), partition_index(opening->partition),
                      LOG_FOLDER_CURRENT, UUID_ZERO, name);
    struct leaving *leaving = map_get(&replicas->leavings, str_bytes(str_from_c(name)));
    if (leaving != NULL) {
        list_add_last(&leaving->waiting, &opening->waits);
    } else {
        folder_is_free(opening);
    }
}

static struct opening *opening_new(struct replicas *replicas, struct partition *partition,
                                   struct volume *volume) {
    struct opening *opening = calloc(1, sizeof *opening);
    opening->job = (struct sys_job){.run = open_step, .done = open_done, .loop = replicas->loop};
    opening->replicas = replicas;
    opening->partition = partition_ref(partition);
    opening->volume = volume;
    partition_log_config(partition, &opening->config);
    replicas->tasks_running++;
    (void)map_put_u64(&replicas->openings, (uintptr_t)partition, opening);
    return opening;
}

static void open_again(struct replicas *replicas, struct replica *replica) {
    struct partition *partition = replica->partition;
    struct opening *opening = opening_new(replicas, partition, replica->volume);
    opening->again = true;
    log_folder_format(partition_topic(partition), partition_index(partition), LOG_FOLDER_CURRENT,
                      UUID_ZERO, opening->folder);
    sys_pool_submit(opening->volume->upkeep, &opening->job);
}

void replicas_open_again(struct replicas *replicas) {
    if (!replicas->lack_space) {
        return;
    }
    replicas->lack_space = false;
    size_t cursor;
    struct replica *replica;
    map_for_each (&replicas->table, cursor, replica) {
        if (replica->lacks_space) {
            replica->lacks_space = false;
            open_again(replicas, replica);
        }
    }
}

void replicas_open_log(struct replicas *replicas, struct partition *partition,
                       struct volume *volume, const char *folder) {
    struct opening *opening = opening_new(replicas, partition, volume);
    if (folder == NULL) {
        begin_creation(opening);
    } else {
        assert(strlen(folder) < sizeof opening->folder);
        strcpy(opening->folder, folder);
        replicas->logs_total++;
        sys_pool_submit(volume->upkeep, &opening->job);
    }
}

/* --- leaving --- */

static struct leaving *leaving_new(struct replicas *replicas, struct volume *volume) {
    struct leaving *leaving = calloc(1, sizeof *leaving);
    leaving->replicas = replicas;
    leaving->volume = volume;
    list_init(&leaving->waiting);
    replicas->tasks_running++;
    return leaving;
}

static void leaving_add(struct leaving *leaving) {
    (void)map_put(&leaving->replicas->leavings, str_bytes(str_from_c(leaving->folder)), leaving);
}

static void leaving_end(struct leaving *leaving) {
    struct replicas *replicas = leaving->replicas;
    struct bytes name = str_bytes(str_from_c(leaving->folder));
    replicas_note_removal(replicas, leaving->volume);
    if (map_get(&replicas->leavings, name) == leaving) {
        (void)map_remove(&replicas->leavings, name);
    }
    struct list *link;
    while ((link = list_take_first(&leaving->waiting)) != NULL) {
        folder_is_free(container_of(link, struct opening, waits));
    }
    partition_unref(leaving->partition);
    free(leaving);
    replicas_task_done(replicas);
}

/* --- strays --- */

static enum sys_job_result stray_step(struct sys_job *job) {
    struct leaving *leaving = container_of(job, struct leaving, job);
    leaving->err = log_directory_set_stray(leaving->volume->directory, leaving->folder);
    return SYS_JOB_DONE;
}

static void stray_done(struct sys_job *job) {
    struct leaving *leaving = container_of(job, struct leaving, job);
    struct text_log *text_log = leaving->replicas->text_log;
    const char *path = log_directory_path(leaving->volume->directory);
    if (leaving->err == ERR_OK) {
        text_log_warn(text_log, "log",
                      "%s/%s belongs to no partition of this node; renamed to end in -stray, "
                      "remove it when you are sure",
                      path, leaving->folder);
    } else if (leaving->err != ERR_NOT_FOUND) { /* a log that could not be made left no folder */
        text_log_warn(text_log, "log",
                      "%s/%s belongs to no partition of this node; renaming it failed: %s", path,
                      leaving->folder, err_text(leaving->err));
    }
    leaving_end(leaving);
}

static void submit_stray(struct leaving *leaving) {
    leaving->job =
        (struct sys_job){.run = stray_step, .done = stray_done, .loop = leaving->replicas->loop};
    sys_pool_submit(leaving->volume->upkeep, &leaving->job);
}

void replicas_set_stray(struct replicas *replicas, struct volume *volume, const char *folder) {
    struct leaving *leaving = leaving_new(replicas, volume);
    assert(strlen(folder) < sizeof leaving->folder);
    strcpy(leaving->folder, folder);
    leaving_add(leaving);
    submit_stray(leaving);
}

/* --- removing --- */

static err_t run_removal(struct partition_write *write, struct partition *partition,
                         struct log *log) {
    (void)write;
    return volume_note(partition_volume(partition), log_delete(log));
}

static void removal_done(struct partition_write *write) {
    struct leaving *leaving = container_of(write, struct leaving, write);
    struct partition *partition = leaving->partition;
    if (write->err != ERR_OK) {
        text_log_error(leaving->replicas->text_log, "log",
                       "The folder of the deleted partition %.*s-%d could not be removed (%s); "
                       "the next start will set it aside as a stray",
                       STR_ARGS(partition_topic(partition)), (int)partition_index(partition),
                       err_text(write->err));
    }
    leaving_end(leaving);
}

void replicas_submit_removal(struct leaving *leaving) {
    if (partition_log(leaving->partition) == NULL) {
        submit_stray(leaving);
        return;
    }
    leaving->write = (struct partition_write){.run = run_removal,
                                              .done = removal_done,
                                              .loop = leaving->replicas->loop,
                                              .blocking = true,
                                              .even_deleted = true};
    if (partition_submit(leaving->partition, &leaving->write) == ERR_OK) {
        removal_done(&leaving->write);
    }
}

void replicas_remove_log(struct replicas *replicas, struct partition *partition,
                         struct volume *volume) {
    struct opening *opening = map_get_u64(&replicas->openings, (uintptr_t)partition);
    struct leaving *leaving = leaving_new(replicas, volume);
    leaving->partition = partition_ref(partition);
    log_folder_format(partition_topic(partition), partition_index(partition), LOG_FOLDER_CURRENT,
                      UUID_ZERO, leaving->folder);
    leaving_add(leaving);
    if (opening != NULL) {
        opening->leaving = leaving;
    } else if (!cleaner_delays(replicas->cleaner, partition, leaving)) {
        replicas_submit_removal(leaving);
    }
}

/* --- volumes --- */

struct volume *replicas_choose_volume(struct replicas *replicas,
                                      const struct meta_partition *state) {
    struct uuid wanted = meta_partition_directory(state, replicas->node_id);
    /* MIGRATING and UNASSIGNED leave the choice to the broker (KIP-858). */
    bool ours = uuid_is_zero(wanted) || uuid_equal(wanted, UUID_ONE);
    int fewest = -1;
    for (int i = 0; i < replicas->volume_count; i++) {
        struct volume *volume = replicas->volumes[i];
        if (!ours && uuid_equal(volume->id, wanted)) {
            return volume;
        }
        if (i < replicas->data_volume_count && log_directory_state(volume->directory) == ERR_OK &&
            (fewest < 0 || replicas->volume_logs[i] < replicas->volume_logs[fewest])) {
            fewest = i;
        }
    }
    bool may_exist = replicas->matching; /* where we cannot look now */
    return ours && fewest >= 0 && !may_exist ? replicas->volumes[fewest] : NULL;
}
