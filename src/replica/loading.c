/*
 * The start: what is on the disks meets what the image says.
 *
 *   list every volume's folders (workers) ──► all listed ──► per folder: opened, or set aside
 *        └── one cannot be listed: offline                   ──► what the image has and no folder
 *                                                                holds is made, or, when it may be
 *                                                                in a volume that is offline or
 *                                                                missing, offline itself
 *                                                            ──► every log open or offline: told
 */
#include <stdlib.h>

#include "replica/replicas_int.h"
#include "replica/topic_config.h"

struct listing {
    struct sys_job job;
    struct list link;
    struct replicas *replicas;
    struct volume *volume;
    struct log_folder *folders;
    size_t count;
    err_t err;
    bool done;

    /* Folders come sorted: the settings of the last one's topic. */
    const struct meta_topic *topic;
    struct partition_config config;
};

static void tell(struct replicas *replicas, err_t err, const char *text) {
    void (*told)(void *arg, err_t err, const char *text) = replicas->told;
    replicas->told = NULL;
    if (told != NULL && !atomic_load(&replicas->stopping)) {
        told(replicas->told_arg, err, text);
    }
}

static void check_loaded(struct replicas *replicas) {
    bool open = replicas->following && replicas->logs_open == replicas->logs_total;
    if (open && !replicas->loaded && !atomic_load(&replicas->stopping)) {
        replicas->loaded = true;
        replicas_upkeep_start(replicas);
        tell(replicas, ERR_OK, NULL);
    }
}

void replicas_log_opened(struct replicas *replicas) {
    replicas->logs_open++;
    check_loaded(replicas);
}

/* --- matching --- */

/* The partition of a folder, if the image still gives it to this node. */
static const struct meta_partition *folder_partition(struct replicas *replicas,
                                                     const struct log_folder *folder,
                                                     const struct meta_topic **ret_topic) {
    const struct meta_topic *topic = folder->has_topic_id
                                         ? meta_image_topic_by_id(replicas->image, folder->topic_id)
                                         : meta_image_topic(replicas->image, folder->topic);
    if (topic == NULL || !str_equal(topic->name, folder->topic)) {
        return NULL;
    }
    const struct meta_partition *state = meta_topic_partition(topic, folder->partition);
    if (state == NULL || !meta_partition_has_replica(state, replicas->node_id)) {
        return NULL;
    }
    *ret_topic = topic;
    return state;
}

static const struct partition_config *read_config(struct listing *listing,
                                                  const struct meta_topic *topic) {
    struct replicas *replicas = listing->replicas;
    if (listing->topic != topic) {
        topic_config_read(replicas->image, topic->name, replicas->node_id, replicas->config,
                          &listing->config);
        listing->topic = topic;
    }
    return &listing->config;
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
    struct partition *partition =
        partition_new(replicas->sys, topic->name, topic->id, state->id, replicas->node_id);
    const struct partition_config *config = read_config(listing, topic);
    partition_configure(partition, config);
    partition_set_leadership(partition, state);
    replicas_put(replicas, partition, listing->volume, true);
    replicas_open_log(replicas, partition, listing->volume, folder->name);
    return true;
}

static bool is_metadata_log(const struct log_folder *folder) {
    return str_equal(folder->topic, STR("__cluster_metadata"));
}

static void adopt_folders(struct replicas *replicas, struct listing *listing) {
    for (size_t i = 0; i < listing->count; i++) {
        const struct log_folder *folder = &listing->folders[i];
        if (folder->kind == LOG_FOLDER_CURRENT && !is_metadata_log(folder) &&
            !adopt(replicas, listing, folder)) {
            replicas_set_stray(replicas, listing->volume, folder->name);
        }
    }
}

/* --- listing --- */

static enum sys_job_result list_step(struct sys_job *job) {
    struct listing *listing = container_of(job, struct listing, job);
    listing->err =
        log_directory_list(listing->volume->directory, &listing->folders, &listing->count);
    return SYS_JOB_DONE;
}

static void free_listings(struct replicas *replicas) {
    struct list *link;
    while ((link = list_take_first(&replicas->listings)) != NULL) {
        struct listing *listing = container_of(link, struct listing, link);
        free(listing->folders);
        free(listing);
    }
}

/* A volume whose folders are not known is of no use. False: the only one. */
static bool give_up(struct replicas *replicas, const struct listing *listing) {
    struct log_directory *directory = listing->volume->directory;
    text_log_error(replicas->text_log, "log", "The log directory %s cannot be listed: %s",
                   log_directory_path(directory), err_text(listing->err));
    (void)volume_note(listing->volume, log_directory_note(directory, ERR_IO));
    replicas->volumes_missing = true;
    struct list *link;
    list_for_each (link, &replicas->listings) {
        if (container_of(link, struct listing, link)->err == ERR_OK) {
            return true;
        }
    }
    return false;
}

static bool check_listings(struct replicas *replicas) {
    struct list *link;
    list_for_each (link, &replicas->listings) {
        const struct listing *listing = container_of(link, struct listing, link);
        if (listing->err != ERR_OK && !give_up(replicas, listing)) {
            err_t err = listing->err;
            free_listings(replicas);
            tell(replicas, err, "no log directory can be listed");
            return false;
        }
    }
    return true;
}

static void all_listed(struct replicas *replicas) {
    if (!check_listings(replicas)) {
        return;
    }
    struct list *link;
    list_for_each (link, &replicas->listings) {
        adopt_folders(replicas, container_of(link, struct listing, link));
    }
    free_listings(replicas);
    replicas->following = true;
    replicas->matching = replicas->volumes_missing;
    replicas_follow(replicas);
    replicas->matching = false;
    check_loaded(replicas);
}

static void list_done(struct sys_job *job) {
    struct listing *listing = container_of(job, struct listing, job);
    struct replicas *replicas = listing->replicas;
    listing->done = true;
    bool all = true;
    struct list *link;
    list_for_each (link, &replicas->listings) {
        all = all && container_of(link, struct listing, link)->done;
    }
    if (all && atomic_load(&replicas->stopping)) {
        free_listings(replicas);
    } else if (all) {
        all_listed(replicas);
    }
    replicas_task_done(replicas);
}

void replicas_load(struct replicas *replicas, struct meta_image *image,
                   void (*loaded)(void *arg, err_t err, const char *text), void *arg) {
    replicas->image = meta_image_ref(image);
    replicas->told = loaded;
    replicas->told_arg = arg;
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
