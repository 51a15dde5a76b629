#include "quorum/quorum_fixture_test.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "meta/format.h"
#include "wire/messages.h"

/* Simulated crashes leave their memory behind. */
const char *__asan_default_options(void);
const char *__asan_default_options(void) {
    return "detect_leaks=0";
}

static void sink(void *arg, enum text_log_level level, const char *line, int size) {
    struct fixture *f = arg;
    size_t used = strlen(f->said);
    if (level <= TEXT_LOG_WARN && used + (size_t)size + 1 < sizeof f->said) {
        memcpy(f->said + used, line, (size_t)size);
    }
}

static int64_t no_time(void *arg) {
    (void)arg;
    return 0;
}

static void observe(void *arg, const struct sim_event *event) {
    struct fixture *f = arg;
    if (event->kind == SIM_EVENT_CALL && strcmp(event->what, "sync") == 0) {
        f->sync_count++;
    }
}

void format_dir(struct fixture *f, bool standalone) {
    const char *dirs[] = {DIR};
    struct meta_endpoint endpoint = {
        .name = STR("CONTROLLER"), .host = STR("localhost"), .port = 9093};
    struct meta_format_options options = {
        .dirs = dirs,
        .dir_count = 1,
        .metadata_dir = DIR,
        .cluster_id = STR("cluster"),
        .node_id = 1,
        .standalone = standalone,
        .endpoints = &endpoint,
        .endpoint_count = 1,
    };
    char error[META_FORMAT_ERROR_MAX] = "";
    assert_int_equal(meta_format(f->sys, &options, error), ERR_OK);
}

int setup_seed(void **state, uint64_t seed) {
    struct fixture *f = calloc(1, sizeof *f);
    f->world = sim_world_new(seed);
    f->host = sim_host_new(f->world, "a", "10.0.0.1");
    f->sys = sim_host_sys(f->host);
    f->text_log =
        (struct text_log){.sink = sink, .now_ms = no_time, .arg = f, .level = TEXT_LOG_INFO};
    quorum_options_init(&f->options);
    sim_world_observe(f->world, observe, f);
    *state = f;
    return 0;
}

int setup(void **state) {
    return setup_seed(state, 1);
}

int teardown(void **state) {
    struct fixture *f = *state;
    sim_world_free(f->world);
    for (int i = 0; i < f->append_count; i++) {
        free(f->appends[i]);
    }
    free(f);
    return 0;
}

/* --- the node --- */

static void on_image(struct quorum_listener *listener, struct meta_image *image,
                     const struct meta_changes *changes) {
    struct node *node = container_of(listener, struct node, listener);
    assert_non_null(changes);
    assert_true(node->image == NULL || image->provenance.offset > node->image->provenance.offset);
    meta_image_unref(node->image);
    node->image = meta_image_ref(image);
    node->image_count++;
}

static void on_leader(struct quorum_listener *listener, int32_t epoch) {
    container_of(listener, struct node, listener)->leader_epoch = epoch;
}

static void on_failed(struct quorum_listener *listener, err_t err, const char *text) {
    struct node *node = container_of(listener, struct node, listener);
    (void)err;
    node->failed = true;
    snprintf(node->f->text, TEXT_MAX, "%s", text);
}

static void on_started(void *arg, err_t err, const char *text) {
    struct node *node = arg;
    node->started = true;
    node->started_err = err;
    snprintf(node->f->text, TEXT_MAX, "%s", text);
}

static void on_stopped(void *arg) {
    ((struct node *)arg)->stopped = true;
}

static void run_start(struct sys_task *task) {
    struct node *node = container_of(task, struct node, start_task);
    quorum_start(node->quorum, on_started, node);
}

static void run_stop(struct sys_task *task) {
    struct node *node = container_of(task, struct node, stop_task);
    quorum_stop(node->quorum, on_stopped, node);
}

bool is_started(void *arg) {
    return ((struct node *)arg)->started;
}

static bool is_stopped(void *arg) {
    return ((struct node *)arg)->stopped;
}

void node_launch(struct fixture *f) {
    struct node *node = calloc(1, sizeof *node);
    node->f = f;
    f->node = node;
    assert_int_equal(sys_loop_new(f->sys, "reactor-0", &node->loop), ERR_OK);
    assert_int_equal(sys_pool_new(f->sys, "disk", 1, &node->pool), ERR_OK);
    node->cache = log_cache_new(f->sys, 100, 1 << 20);
    assert_int_equal(log_directory_open(f->sys, &f->text_log, node->cache, DIR, &node->directory),
                     ERR_OK);
    f->options.sys = f->sys;
    f->options.loop = node->loop;
    f->options.pool = node->pool;
    f->options.text_log = &f->text_log;
    f->options.directory = node->directory;
    assert_int_equal(quorum_new(&f->options, &node->quorum), ERR_OK);
    node->listener =
        (struct quorum_listener){.image = on_image, .leader = on_leader, .failed = on_failed};
    quorum_add_listener(node->quorum, &node->listener);
    assert_int_equal(sys_loop_start(node->loop), ERR_OK);
    node->start_task.run = run_start;
    sys_loop_post(node->loop, &node->start_task);
}

err_t node_start(struct fixture *f) {
    node_launch(f);
    assert_true(sim_world_run_until(f->world, is_started, f->node, 60 * 1000));
    return f->node->started_err;
}

void node_stop(struct fixture *f) {
    struct node *node = f->node;
    node->stop_task.run = run_stop;
    sys_loop_post(node->loop, &node->stop_task);
    assert_true(sim_world_run_until(f->world, is_stopped, node, 60 * 1000));
    quorum_remove_listener(node->quorum, &node->listener);
    meta_image_unref(node->image);
    quorum_free(node->quorum);
    (void)log_directory_mark_clean(node->directory, -1);
    log_directory_close(node->directory);
    sys_loop_stop(node->loop);
    sys_loop_join(node->loop);
    sys_loop_free(node->loop);
    sys_pool_free(node->pool);
    log_cache_free(node->cache);
    free(node);
    f->node = NULL;
}

/* --- appending --- */

void topic_name(int number, char name[32]) {
    snprintf(name, 32, "topic-%d", number);
}

static void append_done(struct quorum_append *append, err_t err) {
    struct topic_append *topic = container_of(append, struct topic_append, append);
    struct fixture *f = topic->node->f;
    topic->done = true;
    topic->err = err;
    if (err == ERR_OK) {
        char name[32];
        topic_name(topic->number, name);
        assert_non_null(meta_image_topic(topic->node->image, str_from_c(name)));
        f->acknowledged[f->acknowledged_count++] = topic->number;
    }
}

static void run_append(struct sys_task *task) {
    struct topic_append *topic = container_of(task, struct topic_append, task);
    char name[32];
    topic_name(topic->number, name);
    struct topic_record message = {.name = str_from_c(name)};
    message.topic_id.bytes[14] = (uint8_t)(topic->number >> 8);
    message.topic_id.bytes[15] = (uint8_t)topic->number;
    message.topic_id.bytes[0] = 1;
    struct meta_record record = {.type = META_RECORD_TOPIC, .message = &message};
    int64_t offset = quorum_next_offset(topic->node->quorum);
    topic->append.done = append_done;
    err_t err = quorum_append(topic->node->quorum, &record, 1, true, &topic->append);
    if (err != ERR_OK) {
        topic->done = true;
        topic->err = err;
    } else {
        assert_int_equal(topic->append.first_offset, offset);
    }
}

struct topic_append *append_topic(struct fixture *f) {
    struct topic_append *topic = calloc(1, sizeof *topic);
    assert_true(f->append_count < APPENDS_MAX);
    f->appends[f->append_count++] = topic;
    topic->node = f->node;
    topic->number = f->next_number++;
    topic->task.run = run_append;
    sys_loop_post(f->node->loop, &topic->task);
    return topic;
}

bool append_is_done(void *arg) {
    return ((struct topic_append *)arg)->done;
}

err_t append_and_wait(struct fixture *f) {
    struct topic_append *topic = append_topic(f);
    assert_true(sim_world_run_until(f->world, append_is_done, topic, 60 * 1000));
    return topic->err;
}

void expect_acknowledged(struct fixture *f) {
    for (int i = 0; i < f->acknowledged_count; i++) {
        char name[32];
        topic_name(f->acknowledged[i], name);
        assert_non_null(meta_image_topic(f->node->image, str_from_c(name)));
    }
}
