#pragma once

#include "client/consumer_int.h"
#include "client/offsets.h"

/* Private to offsets_commit.c (how a commit is made) and consumer_commit.c (who makes one). */

struct commit {
    struct list link;
    struct ottla_consumer *consumer;
    struct arena arena;
    struct ottla_position *positions; /* topics and metadata in the arena */
    size_t count;
    struct offsets_list list;
    int32_t generation; /* made in; of the last try */
    bool in_group;
    uint64_t losses; /* of its member that the application knew of */
    int64_t deadline_ms;
    int attempt;
    struct client_asked *asked; /* NULL: not on its way */
    struct sys_timer timer;     /* to try again; or to begin */
    bool automatic;
    ottla_commit_fn done;
    void *arg;
};

/* The request on its way is forgotten; nobody is told. */
void commit_free(struct commit *commit);
/* The oldest is sent, in a later turn, when it is not on its way already. */
void commits_start(struct ottla_consumer *consumer);
void commit_on_timer(struct sys_timer *timer); /* of every commit */
