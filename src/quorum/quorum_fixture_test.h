#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "log/directory.h"
#include "quorum/quorum.h"
#include "sys/sim.h"

/* A quorum of one on a simulated host, for unit tests. */
#define DIR    "/data"
#define FOLDER DIR "/__cluster_metadata-0"

enum { APPENDS_MAX = 4000, TEXT_MAX = 512 };

/* One topic per append, so that a topic's presence says whether its append came back. */
struct topic_append {
    struct quorum_append append;
    struct node *node;
    struct sys_task task;
    int number;
    bool done;
    err_t err;
};

/* What a process has; abandoned at a crash. */
struct node {
    struct fixture *f;
    struct sys_loop *loop;
    struct sys_pool *pool;
    struct log_cache *cache;
    struct log_directory *directory;
    struct quorum *quorum;
    struct quorum_listener listener;
    struct meta_image *image;
    struct sys_task start_task, stop_task;
    bool started, stopped, failed;
    err_t started_err;
    int32_t leader_epoch;
    int image_count;
};

struct fixture {
    struct sim_world *world;
    struct sim_host *host;
    struct sys *sys;
    struct node *node;
    struct quorum_options options;
    struct text_log text_log;
    char said[8192]; /* lines of warn and error */
    char text[TEXT_MAX];
    int acknowledged[APPENDS_MAX];
    int acknowledged_count;
    int next_number;
    struct topic_append *appends[APPENDS_MAX]; /* freed at the end: a crash abandons them */
    int append_count;
    int sync_count;
};

int setup(void **state); /* for cmocka */
int teardown(void **state);
int setup_seed(void **state, uint64_t seed);

void format_dir(struct fixture *f, bool standalone);

void node_launch(struct fixture *f); /* begins a start */
err_t node_start(struct fixture *f); /* and waits for its outcome */
void node_stop(struct fixture *f);
bool is_started(void *arg); /* a node */

void topic_name(int number, char name[32]);
struct topic_append *append_topic(struct fixture *f);
bool append_is_done(void *arg); /* a topic_append */
err_t append_and_wait(struct fixture *f);
void expect_acknowledged(struct fixture *f); /* is in the image */
