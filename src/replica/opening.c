/*
 * Opening, creating and removing logs: work of the volumes' workers, begun and ended on reactor 0.
 *
 *   load:    list each volume's folders ──► match them with the image ──► open or set aside
 *            then create what the image has and no folder holds
 *   open:    log_open, then recovery steps, one per slice
 *   create:  log_create; waits while a folder of the same name is being removed
 *   remove:  through the partition's queue of writes, behind whatever was submitted before
 */
#include <assert.h>
#include <stdlib.h>

#include "replica/replicas_int.h"
#include "replica/topic_config.h"

/* --- one log --- */

struct opening {
    struct sys_job job;
    struct replicas *replicas;
    struct partition *partition;
    struct volume *volume;
    struct log_config config;
    char folder[LOG_FOLDER_NAME_MAX + 1]; /* "" to create */
    struct log *log;
    struct log_recovery_progress progress;
    uint64_t total_told;
    err_t err;
    struct list waits;       /* of a removal that must be through first */
    struct removal *removal; /* the topic was deleted meanwhile: next comes this */
};

struct removal {
    struct partition_write write;
    struct replicas *replicas;
    struct partition *partition;
    struct volume *volume;
    char folder[LOG_FOLDER_NAME_MAX + 1];
    struct list waiting; /* struct opening of the same folder */
};

static void tell_progress(struct opening *opening, const struct log_recovery_progress *progress) {
    struct replicas *replicas = opening->replicas;
    atomic_fetch_add(&replicas->bytes_recovered,
                     progress->bytes_done - opening->progress.bytes_done);
    atomic_fetch_add(&replicas->bytes_to_recover, progress->bytes_total - opening->total_told);
    opening->total_told = progress->bytes_total;
    opening->progress = *progress;
}

static enum sys_job_result open_step(struct sys_job *job) {
    struct opening *opening = container_of(job, struct opening, job);
    if (opening->log == NULL) {
        struct partition *partition = opening->partition;
        opening->err = opening->folder[0] != '\0'
                           ? log_open(opening->volume->directory, opening->folder, &opening->config,
                                      &opening->log)
                           : log_create(opening->volume->directory, partition_topic(partition),
                                        partition_index(partition), partition_topic_id(partition),
                                        0, &opening->config, &opening->log);
        return opening->err == ERR_OK && log_needs_recovery(opening->log) ? SYS_JOB_AGAIN
                                                                          : SYS_JOB_DONE;
    }
    bool done = false;
    struct log_recovery_progress progress = opening->progress;
    opening->err = log_recovery_step(opening->log, &done, &progress);
    if (opening->err == ERR_OK) {
        tell_progress(opening, &progress);
    }
    return opening->err == ERR_OK && !done ? SYS_JOB_AGAIN : SYS_JOB_DONE;
}

static void check_loaded(struct replicas *replicas);
static void submit_removal(struct removal *removal);

static void open_failed(struct opening *opening) {
    struct partition *partition = opening->partition;
    volume_note(opening->volume, opening->err);
    text_log_error(opening->replicas->text_log, "log",
                   "The log of %.*s-%d in %s could not be %s (%s); the partition is offline",
                   STR_ARGS(partition_topic(partition)), (int)partition_index(partition),
                   log_directory_path(opening->volume->directory),
                   opening->folder[0] != '\0' ? "opened" : "made", err_text(opening->err));
    log_free(opening->log);
    partition_set_offline(partition);
}

static void open_done(struct sys_job *job) {
    struct opening *opening = container_of(job, struct opening, job);
    struct replicas *replicas = opening->replicas;
    map_remove_u64(&replicas->openings, (uintptr_t)opening->partition);
    if (opening->err == ERR_OK) {
        partition_set_log(opening->partition, opening->volume, opening->log);
    } else {
        open_failed(opening);
    }
    if (opening->removal != NULL) {
        submit_removal(opening->removal);
    }
    replicas->logs_open++;
    partition_unref(opening->partition);
    free(opening);
    check_loaded(replicas);
    replicas_task_done(replicas);
}

void replicas_open_log(struct replicas *replicas, struct partition *partition,
                       struct volume *volume, const char *folder) {
    struct opening *opening = calloc(1, sizeof *opening);
    opening->job = (struct sys_job){.run = open_step, .done = open_done, .loop = replicas->loop};
    opening->replicas = replicas;
    opening->partition = partition_ref(partition);
    opening->volume = volume;

    struct partition_config config;
    topic_config_read(replicas->image, partition_topic(partition), replicas->node_id,
                      replicas->config, &config);
    opening->config = config.log;
    replicas->tasks_running++;
    replicas->logs_total++;
    (void)map_put_u64(&replicas->openings, (uintptr_t)partition, opening);

    char name[LOG_FOLDER_NAME_MAX + 1];
    if (folder != NULL) {
        strcpy(opening->folder, folder);
    } else {
        log_folder_format(partition_topic(partition), partition_index(partition),
                          LOG_FOLDER_CURRENT, UUID_ZERO, name);
        struct removal *removal = map_get(&replicas->dying, str_bytes(str_from_c(name)));
        if (removal != NULL) {
            list_add_last(&removal->waiting, &opening->waits);
            return;
        }
    }
    sys_pool_submit(volume->upkeep, &opening->job);
}

/* --- removing --- */

static err_t run_removal(struct partition_write *write, struct partition *partition,
                         struct log *log) {
    (void)write;
    return volume_note(partition_volume(partition), log_delete(log));
}

static void removal_done(struct partition_write *write) {
    struct removal *removal = container_of(write, struct removal, write);
    struct replicas *replicas = removal->replicas;
    struct partition *partition = removal->partition;
    if (write->err != ERR_OK) {
        text_log_error(replicas->text_log, "log",
                       "The folder of the deleted partition %.*s-%d could not be removed (%s); "
                       "the next start will set it aside as a stray",
                       STR_ARGS(partition_topic(partition)), (int)partition_index(partition),
                       err_text(write->err));
    }
    replicas_note_trash(replicas);
    map_remove(&replicas->dying, str_bytes(str_from_c(removal->folder)));
    struct list *link;
    while ((link = list_take_first(&removal->waiting)) != NULL) {
        struct opening *opening = container_of(link, struct opening, waits);
        sys_pool_submit(opening->volume->upkeep, &opening->job);
    }
    partition_unref(partition);
    free(removal);
    replicas_task_done(replicas);
}

static void submit_removal(struct removal *removal) {
    if (partition_submit(removal->partition, &removal->write) == ERR_OK) {
        removal_done(&removal->write);
    }
}

void replicas_remove_log(struct replicas *replicas, struct partition *partition) {
    struct opening *opening = map_get_u64(&replicas->openings, (uintptr_t)partition);
    if (opening == NULL && partition_volume(partition) == NULL) {
        return; /* it has no log */
    }
    struct removal *removal = calloc(1, sizeof *removal);
    removal->replicas = replicas;
    removal->partition = partition_ref(partition);
    removal->write = (struct partition_write){.run = run_removal,
                                              .done = removal_done,
                                              .loop = replicas->loop,
                                              .blocking = true,
                                              .even_deleted = true};
    list_init(&removal->waiting);
    log_folder_format(partition_topic(partition), partition_index(partition), LOG_FOLDER_CURRENT,
                      UUID_ZERO, removal->folder);
    replicas->tasks_running++;
    (void)map_put(&replicas->dying, str_bytes(str_from_c(removal->folder)), removal);
    if (opening != NULL) {
        opening->removal = removal;
    } else {
        submit_removal(removal);
    }
}

/* --- volumes --- */

struct volume *replicas_choose_volume(struct replicas *replicas,
                                      const struct meta_partition *state) {
    struct uuid wanted = UUID_ZERO;
    for (int32_t i = 0; i < state->replica_count; i++) {
        if (state->replicas[i] == replicas->node_id) {
            wanted = state->directories[i];
        }
    }
    int fewest = 0;
    for (int i = 0; i < replicas->volume_count; i++) {
        if (uuid_equal(replicas->volumes[i]->id, wanted)) {
            return replicas->volumes[i];
        }
        if (replicas->volume_logs[i] < replicas->volume_logs[fewest]) {
            fewest = i;
        }
    }
    /* MIGRATING and UNASSIGNED leave the choice to the broker (KIP-858). */
    return uuid_is_zero(wanted) || uuid_equal(wanted, UUID_ONE) ? replicas->volumes[fewest] : NULL;
}

void replicas_count_log(struct replicas *replicas, struct volume *volume) {
    for (int i = 0; i < replicas->volume_count; i++) {
        if (replicas->volumes[i] == volume) {
            replicas->volume_logs[i]++;
        }
    }
}

/* --- loading --- */

struct listing {
    struct sys_job job;
    struct list link;
    struct replicas *replicas;
    struct volume *volume;
    struct log_folder *folders;
    size_t count;
    bool *stray; /* per folder */
    err_t err;
    bool done;
};

static enum sys_job_result list_step(struct sys_job *job) {
    struct listing *listing = container_of(job, struct listing, job);
    listing->err =
        log_directory_list(listing->volume->directory, &listing->folders, &listing->count);
    return SYS_JOB_DONE;
}

/* The partition of a folder, if the image still gives it to this node. */
static const struct meta_partition *folder_partition(struct replicas *replicas,
                                                     const struct log_folder *folder,
                                                     const struct meta_topic **ret_topic) {
    const struct meta_topic *topic = folder->has_topic_id
                                         ? meta_image_topic_by_id(replicas->image, folder->topic_id)
                                         : meta_image_topic(replicas->image, folder->topic);
    if (topic == NULL) {
        return NULL;
    }
    const struct meta_partition *state = meta_topic_partition(topic, folder->partition);
    if (state == NULL || !meta_partition_has_replica(state, replicas->node_id)) {
        return NULL;
    }
    *ret_topic = topic;
    return state;
}

static bool is_metadata_log(const struct log_folder *folder) {
    return str_equal(folder->topic, STR("__cluster_metadata"));
}

/* Opens a known folder; false: it is a stray. */
static bool adopt(struct replicas *replicas, struct listing *listing,
                  const struct log_folder *folder) {
    const struct meta_topic *topic = NULL;
    const struct meta_partition *state = folder_partition(replicas, folder, &topic);
    struct partition *other = state == NULL ? NULL : replicas_find(replicas, topic->id, state->id);
    if (other != NULL) {
        text_log_error(replicas->text_log, "log",
                       "%.*s-%d is in two log directories; the one in %s is set aside",
                       STR_ARGS(topic->name), (int)state->id,
                       log_directory_path(listing->volume->directory));
        partition_unref(other);
    }
    if (state == NULL || other != NULL) {
        return false;
    }
    struct partition_config config;
    topic_config_read(replicas->image, topic->name, replicas->node_id, replicas->config, &config);
    struct partition *partition =
        partition_new(replicas->sys, topic->name, topic->id, state->id, replicas->node_id);
    partition_configure(partition, &config);
    partition_set_leadership(partition, state);
    replicas_put(replicas, partition);
    replicas_count_log(replicas, listing->volume);
    replicas_open_log(replicas, partition, listing->volume, folder->name);
    return true;
}

struct straying {
    struct sys_job job;
    struct replicas *replicas;
    struct volume *volume;
    char folder[LOG_FOLDER_NAME_MAX + 1];
    err_t err;
};

static enum sys_job_result stray_step(struct sys_job *job) {
    struct straying *straying = container_of(job, struct straying, job);
    straying->err = log_directory_set_stray(straying->volume->directory, straying->folder);
    return SYS_JOB_DONE;
}

static void stray_done(struct sys_job *job) {
    struct straying *straying = container_of(job, struct straying, job);
    struct replicas *replicas = straying->replicas;
    text_log_warn(replicas->text_log, "log", "%s/%s belongs to no partition of this node; %s%s",
                  log_directory_path(straying->volume->directory), straying->folder,
                  straying->err == ERR_OK ? "renamed to end in -stray, remove it when you are sure"
                                          : "renaming it failed: ",
                  straying->err == ERR_OK ? "" : err_text(straying->err));
    free(straying);
    replicas_task_done(replicas);
}

static void set_stray(struct replicas *replicas, struct volume *volume, const char *folder) {
    struct straying *straying = calloc(1, sizeof *straying);
    straying->job = (struct sys_job){.run = stray_step, .done = stray_done, .loop = replicas->loop};
    straying->replicas = replicas;
    straying->volume = volume;
    strcpy(straying->folder, folder);
    replicas->tasks_running++;
    sys_pool_submit(volume->upkeep, &straying->job);
}

static void adopt_folders(struct replicas *replicas, struct listing *listing) {
    for (size_t i = 0; i < listing->count; i++) {
        const struct log_folder *folder = &listing->folders[i];
        if (folder->kind == LOG_FOLDER_CURRENT && !is_metadata_log(folder) &&
            !adopt(replicas, listing, folder)) {
            set_stray(replicas, listing->volume, folder->name);
        }
    }
}

/* What the image gives to this node and no folder holds. */
static void create_missing(struct replicas *replicas) {
    struct meta_changes changes = {0};
    struct pmap_walk topics;
    const struct meta_topic *topic;
    pmap_for_each(&topics, &replicas->image->topics, topic) {
        int32_t *missing = calloc(topic->partitions.count, sizeof *missing);
        int32_t count = 0;
        struct pmap_walk walk;
        const struct meta_partition *state;
        pmap_for_each(&walk, &topic->partitions, state) {
            struct partition *partition = replicas_find(replicas, topic->id, state->id);
            if (partition == NULL && meta_partition_has_replica(state, replicas->node_id)) {
                missing[count++] = state->id;
            }
            partition_unref(partition);
        }
        if (count > 0) {
            struct meta_topic_change change = {.change = META_CHANGED,
                                               .id = topic->id,
                                               .name = topic->name,
                                               .partitions = missing,
                                               .partition_count = count};
            changes = (struct meta_changes){.topics = &change, .topic_count = 1};
            replicas_apply(replicas, replicas->image, &changes);
        }
        free(missing);
    }
}

static void check_loaded(struct replicas *replicas) {
    if (replicas->loaded != NULL && !replicas->loading &&
        replicas->logs_open == replicas->logs_total) {
        void (*loaded)(void *arg) = replicas->loaded;
        replicas->loaded = NULL;
        if (!replicas->stopping) {
            replicas_upkeep_start(replicas);
            loaded(replicas->loaded_arg);
        }
    }
}

static void all_listed(struct replicas *replicas) {
    struct list *link;
    struct list *after;
    list_for_each_safe (link, after, &replicas->listings) {
        struct listing *listing = container_of(link, struct listing, link);
        adopt_folders(replicas, listing);
        list_remove(link);
        free(listing->folders);
        free(listing);
    }
    replicas->loading = false;
    create_missing(replicas);
    check_loaded(replicas);
}

static void list_done(struct sys_job *job) {
    struct listing *listing = container_of(job, struct listing, job);
    struct replicas *replicas = listing->replicas;
    listing->done = true;
    if (listing->err != ERR_OK) {
        text_log_error(replicas->text_log, "log", "%s cannot be listed (%s)",
                       log_directory_path(listing->volume->directory), err_text(listing->err));
    }
    bool all = true;
    struct list *link;
    list_for_each (link, &replicas->listings) {
        all = all && container_of(link, struct listing, link)->done;
    }
    if (all) {
        all_listed(replicas);
    }
    replicas_task_done(replicas);
}

void replicas_load(struct replicas *replicas, struct meta_image *image, void (*loaded)(void *arg),
                   void *arg) {
    replicas->loading = true;
    replicas->image = meta_image_ref(image);
    replicas->loaded = loaded;
    replicas->loaded_arg = arg;
    for (int i = 0; i < replicas->volume_count; i++) {
        struct listing *listing = calloc(1, sizeof *listing);
        listing->job =
            (struct sys_job){.run = list_step, .done = list_done, .loop = replicas->loop};
        listing->replicas = replicas;
        listing->volume = replicas->volumes[i];
        list_add_last(&replicas->listings, &listing->link);
        replicas->tasks_running++;
    }
    struct list *link;
    list_for_each (link, &replicas->listings) {
        struct listing *listing = container_of(link, struct listing, link);
        sys_pool_submit(listing->volume->upkeep, &listing->job);
    }
}

void replicas_progress(const struct replicas *replicas, struct replicas_progress *ret_progress) {
    *ret_progress = (struct replicas_progress){
        .logs_open = replicas->logs_open,
        .logs_total = replicas->logs_total,
        .bytes_recovered = atomic_load(&replicas->bytes_recovered),
        .bytes_to_recover = atomic_load(&replicas->bytes_to_recover),
    };
}
