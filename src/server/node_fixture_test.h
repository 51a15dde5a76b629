#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/buffer.h"
#include "client/connection.h"
#include "server/node.h"
#include "sys/sim.h"
#include "sys/sim_disk.h"
#include "wire/api.h"
#include "wire/messages.h"

/*
 * Nodes over the simulator, each on a host of its own ("n0" at 10.0.0.1, …) with its data under
 * /data, and a client at 10.0.1.1.
 */
enum { FIXTURE_NODES_MAX = 3 };

struct fixture;

struct machine {
    struct fixture *f;
    struct sim_host *host;
    int number;
    struct text_log text_log;
    struct config *config;
    struct config_pair more[8]; /* settings over the fixture's */
    size_t more_count;
    bool formats; /* auto_format */
    struct node *node;
    bool started;
    err_t start_err;
    char start_text[512];
    bool stopped;
    bool failed;
};

struct fixture {
    struct sim_world *world;
    struct sim_host *client_host;
    struct sys_loop *loop; /* the client's */
    struct machine machines[FIXTURE_NODES_MAX];
    int machine_count;
    struct buffer lines; /* of all text logs */
    struct arena arena;
};

void fixture_init(struct fixture *f, int machine_count);
void fixture_done(struct fixture *f); /* stops what runs */

/* Of the next starts. */
void machine_set(struct machine *machine, const char *name, const char *value);

/* Begins a start. */
void machine_launch(struct machine *machine);
/* Launches and waits; the outcome. After an error the node has been stopped and freed. */
err_t machine_try(struct machine *machine);
/* The same, and it must serve. */
void machine_start(struct machine *machine);
/* Waits until the node has stopped, which must be within a minute, and frees it. */
void machine_stop(struct machine *machine);
/* SIGKILL, or the plug; the host is up again afterwards. Memory of the node is lost. */
void machine_crash(struct machine *machine, bool power);

void fixture_run_for(struct fixture *f, int64_t ms);
bool fixture_run_until(struct fixture *f, bool (*until)(void *arg), void *arg); /* in a minute */

/* --- a client --- */

struct peer {
    struct machine *machine;
    struct client_connection *connection;
    err_t state;
};

void peer_open(struct peer *peer, struct machine *machine);
void peer_open_controller(struct peer *peer, struct machine *machine); /* its other listener */
void peer_close(struct peer *peer);

/* A call on its way. */
struct call {
    struct peer *peer;
    int16_t api_key;
    int16_t version;
    const void *request;
    void *response; /* of the API's type; strings live in the fixture's arena */
    struct sys_task task;
    err_t err;
    bool done;
};

void call_begin(struct call *call, struct peer *peer, int16_t api_key, int16_t version,
                const void *request, void *response);
/* Waits; the error of the connection. */
err_t call_wait(struct call *call);
void call(struct peer *peer, int16_t api_key, int16_t version, const void *request, void *response);

/* Kafka's code of the answer. */
int16_t create_topic(struct peer *peer, const char *name, int partitions);
int16_t delete_topic(struct peer *peer, const char *name);
/* One batch of that many records; its base offset, or minus the error code. */
int64_t produce(struct peer *peer, const char *topic, int32_t partition, int records);
/* The log's high watermark, by a fetch at offset 0 that returns the first batches. */
int64_t end_of(struct peer *peer, const char *topic, int32_t partition);

/* A fetch of one partition by name. */
void fetch_begin(struct call *call, struct peer *peer, const char *topic, int64_t offset,
                 int32_t wait_ms, int32_t bytes_min, struct fetch_response *response);

bool told(struct fixture *f, const char *text); /* forgets it all */
