#pragma once

#include "points.h"
#include "sys/sim.h"

/*
 * Watches a world's events: counts the points that can be seen from outside, and pulls the trigger
 * of faults that strike at a certain call. watch.c has the table of points.
 */
struct watch;

struct watch *watch_new(struct sim_world *world, struct points *points);
void watch_free(struct watch *watch);

/* Calls `pull` when a call of a host begins whose name and path fit the patterns (fnmatch), one
 * time in so many. The patterns are borrowed. */
void watch_add_trigger(struct watch *watch, const char *what, const char *path, uint64_t one_in,
                       void (*pull)(void *arg, struct sim_host *host), void *arg);
