#pragma once

#include "library_txn.h"

/*
 * A program that has transactions, in its lives: it crashes and another one comes with the same
 * transactional id, while the old one may go on as a zombie; or nobody comes for what it left open,
 * and the next has an id of its own. What it does is its maker's.
 */
enum { LIBRARY_LIVES = 3 };

struct library_programs;

struct library_program { /* one life; the maker's own are behind it */
    struct library_programs *all;
    struct sys_timer timer;
    struct ottla_client *library; /* NULL: nobody lives here */
    struct library_txn txn;
    uint32_t number;
    int64_t zombie_ends_ms;
};

struct library_work {
    void (*live)(struct library_program *program); /* sets `library`, and txn to life */
    void (*die)(struct library_program *program);  /* all that is beside the two */
    /* The txn is neither fatal nor is a call under way. */
    void (*turn)(struct library_program *program);
    bool (*is_over)(struct library_program *program); /* while the run finishes */
    const char *name;                                 /* of points: library_NAME_crash ... */
    bool abandons;                                    /* nobody comes, now and then */
};

struct library_programs {
    struct node_client client;
    const struct library_work *work;
    struct library_program *lives[LIBRARY_LIVES];
    struct library_program *current;
    struct library_txn_id *ids[64]; /* it has had; the last is that of `current` */
    int id_count;
    int number;
    uint32_t life_count;
    int64_t dies_one_in;
    struct scenario_range wait;
};

/* Takes the lives, which begin in turns. */
void library_programs_begin(struct library_programs *all, const struct library_work *work,
                            struct scenario_line *line);
void library_programs_end(struct library_programs *all);

struct library_txn_id *library_programs_id(const struct library_programs *all);

/* Takes its turn that much later. */
void library_program_stall(struct library_program *program, int64_t ms);

void library_program_point(const struct library_program *program, const char *what);
