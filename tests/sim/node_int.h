#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "audit.h"
#include "audit_effects.h"
#include "audit_txn.h"
#include "base/arena.h"
#include "base/buffer.h"
#include "base/text_log.h"
#include "base/uuid.h"
#include "client/connection.h"
#include "config/config.h"
#include "run.h"
#include "server/node.h"
#include "sys/loop.h"
#include "wire/batch_builder.h"
#include "wire/compression.h"
#include "wire/messages.h"
#include "wire/record_batch.h"

/*
 * The driver of the real node: its process, and clients that speak the wire to it.
 *
 *   node_driver    the process on each host: settings, start, stop; and which clients there are
 *   node_topics    which topics there must be: what was asked for, what was acknowledged
 *   node_link      a connection that is made again whenever it ends
 *   node_producer  sends batches, again and again until they are answered, as real clients do
 *   node_reader    follows all partitions, with and without fetch sessions
 *   node_walker    reads whole logs, from begin to end, after each power cut and at the end
 *   node_admin     creates, changes and deletes topics, and looks whether what it was told holds
 *   node_internal  gives the topics of the coordinators small segments, so that they are compacted
 *   node_features  the level of transaction.version, from the first start on
 *   node_member    members of consumer groups; see node_member.h
 *   node_txn       transactional producers; see node_txn.h
 *   node_txn_reader  reads committed records only, with and without fetch sessions
 *   library_*      clients of libottla; see library.h
 *
 *   config  log.dirs=/data                      any of the broker's settings, and
 *   config  sim.dirs=1-3                        so many log directories, each a disk of its own
 *   topic   orders partitions=3 synced=yes segment=8KiB
 *   topic   versions compacted=yes tombstones=2s-10s
 *   topic   states compacted=yes changes_policy=yes
 *   client  produce count=3 in_flight=1-5 records=1-10 size=30-300 wait=10ms-100ms
 *   client  read count=2 wait=10ms-200ms
 *   client  admin wait=200ms-2s
 *   client  member group=readers protocol=classic count=3
 *   client  transact count=3 version=2 late=yes
 *   client  read-committed count=2
 *   client  internal segment=8KiB
 *   client  features wait=5s-20s                changes transaction.version now and then
 *   transaction_version 0-2                     of the cluster when it is formatted
 *
 * All clients live on one host that nothing ever happens to, and on one loop.
 */

enum {
    SIM_TOPICS_MAX = 24,
    SIM_PARTITIONS_MAX = 8,
    SIM_DIRS_MAX = 4,
    SIM_PORT = 9092,
};

struct library_group;
struct node_sim;

/* --- topics --- */

enum topic_state {
    TOPIC_ABSENT,   /* never made, or its deletion was acknowledged */
    TOPIC_CREATING, /* asked for; it may be there */
    TOPIC_PRESENT,  /* acknowledged */
    TOPIC_DELETING, /* asked for; it may be gone */
};

struct topic_partition {
    struct audit_partition *audit;
    int64_t high_watermark; /* the largest that anybody was told */
    int64_t final_end;      /* of the last walk; -1 before */
};

struct node_topic {
    struct node_sim *sim;
    char name[48];
    enum topic_state state;
    uint32_t incarnation; /* from 1 with the first creation */
    bool id_known;
    struct uuid id;
    int32_t partition_count;  /* acknowledged */
    int32_t partitions_asked; /* the same, or one more */
    struct topic_partition partitions[SIM_PARTITIONS_MAX];
    int64_t setting;       /* delete.retention.ms: acknowledged, or -1 */
    int64_t setting_asked; /* the same, or what was asked for */

    /* of the scenario */
    int32_t first_partition_count;
    bool synced;          /* flush.messages=1: what is acknowledged is synced */
    bool comes_and_goes;  /* is created and deleted during the run */
    bool deletes_records; /* DeleteRecords is called on it */
    bool grows;           /* gets partitions */
    bool compacted;       /* its records have keys (audit_compaction_key) */
    bool changes_policy;  /* is compacted now, and now not; nothing of it is ever deleted */
    bool is_input;        /* of programs that transform */
    int64_t segment_bytes;
    int64_t retention_bytes; /* -1: none */
    int64_t tombstones_ms;   /* how long those of transactions stay; -1: there are none */
};

/* The key of a record of this topic, as bytes that `text` keeps; none when it is not compacted. */
enum { TOPIC_KEY_MAX = 16 };
struct bytes topic_key(const struct node_topic *topic, uint64_t value, char text[TOPIC_KEY_MAX]);

/* Whether a transaction's record of this value is a tombstone: what names the value is its first
 * header then. */
bool topic_is_tombstone(const struct node_topic *topic, uint64_t value);

/* Whether clients may work on it. */
bool topic_is_usable(const struct node_topic *topic);
void topics_read(struct node_sim *sim);
struct node_topic *topic_by_id(struct node_sim *sim, struct uuid id);
struct node_topic *topic_by_name(struct node_sim *sim, struct str name);

/* The first answer tells the id; later ones must tell the same. */
void topic_note_id(struct node_topic *topic, struct uuid id);
/* A new incarnation is about to be created. */
void topic_begin(struct node_topic *topic);
void topic_set_partition_count(struct node_topic *topic, int32_t count);
void topic_note_high_watermark(struct node_topic *topic, int32_t partition, int64_t offset);

/* --- links --- */

struct node_link {
    struct node_sim *sim;
    struct client_connection *connection;
    struct sys_timer timer;
    bool is_up;
    bool asks;    /* for ApiVersions every other time that it comes up; else now and then */
    uint32_t cut; /* run->power_cut_count when it came up; an answer may come later */
    void (*up)(struct node_link *link);   /* may be NULL */
    void (*down)(struct node_link *link); /* its calls have all failed; may be NULL */
};

void node_link_begin(struct node_link *link, struct node_sim *sim);
/* An error: it is down, and `done` will not be called. While `done` runs, sim->said_cut is how
 * often the power had been cut when the answer was given; the auditor knows it, too. */
err_t node_link_send(struct node_link *link, int16_t api_key, int16_t version, const void *request,
                     client_done_fn done, void *arg);
/* Ends the connection from this side, now; a new one is made. Not from inside an answer. */
void node_link_break(struct node_link *link);

/* --- records --- */

/* Adds a transaction's record of this value, with its key; now and then a tombstone (see
 * topic_is_tombstone), of which the auditor is told. */
void node_record_add(struct batch_builder *builder, const struct node_topic *topic, uint64_t value,
                     struct bytes bytes);

struct node_records { /* scratch memory */
    struct compression *compression;
    struct buffer scratch;
};

struct node_records *node_records_new(void);
void node_records_free(struct node_records *records);

struct node_fetched {
    struct node_topic *topic;
    int32_t partition;
    struct bytes records;
    int64_t high_watermark;
    void (*take)(void *arg, const struct node_fetched *fetched, int64_t offset, uint64_t value);
    /* The same for batches that are skipped; may be NULL. */
    void (*pass)(void *arg, const struct node_fetched *fetched, int64_t offset, uint64_t value);
    void (*marker)(void *arg, const struct node_fetched *fetched,
                   const struct record_batch *batch);           /* may be NULL */
    bool (*skips)(void *arg, const struct record_batch *batch); /* aborted; may be NULL */
    void *arg;
};

/* Checks every byte of what was fetched at *offset, hands over each record from there on, and moves
 * *offset behind them. The last batch may be cut short. False: a violation. */
bool node_records_read(struct node_records *records, const struct node_fetched *fetched,
                       int64_t *offset);

/* --- clients --- */

struct node_client {
    struct node_sim *sim;
    struct node_client *next;
    const char *name;
    bool over; /* after `finishing`: it has come to its end */
    void (*free)(struct node_client *client);
    /* What it waits for, for people; may be NULL. */
    void (*describe)(struct node_client *client, char *text, size_t size);
};

void node_producer_new(struct node_sim *sim, struct scenario_line *line);
void node_reader_new(struct node_sim *sim, struct scenario_line *line);
void node_admin_new(struct node_sim *sim, struct scenario_line *line);
void node_walker_new(struct node_sim *sim);
void node_member_new(struct node_sim *sim, struct scenario_line *line);
void library_producer_new(struct node_sim *sim, struct scenario_line *line);
void library_consumer_new(struct node_sim *sim, struct scenario_line *line);
void library_transact_new(struct node_sim *sim, struct scenario_line *line);
void library_transform_new(struct node_sim *sim, struct scenario_line *line);
void node_txn_new(struct node_sim *sim, struct scenario_line *line);
void node_txn_reader_new(struct node_sim *sim, struct scenario_line *line);
void node_internal_new(struct node_sim *sim, struct scenario_line *line);
void node_features_new(struct node_sim *sim, struct scenario_line *line);

/* Before the first start: where the scenario says which transaction.version there is, the disks are
 * formatted with it; else the node does that itself. */
void node_features_format(struct node_sim *sim);
void node_members_topic_begins(struct node_topic *topic); /* a new incarnation is asked for */
void node_client_add(struct node_sim *sim, struct node_client *client, const char *name);

/* --- all of it --- */

struct node_process {
    struct node_sim *sim;
    int number;
    struct node *node;
    struct config *config;
    struct text_log text_log;
    bool serving;
    bool stopping;
    char last_error[400]; /* line of its log */
};

struct node_sim {
    struct run *run;
    struct sim_host *host; /* of the clients */
    struct sys *sys;
    struct sys_loop *loop;
    struct sys_address address; /* of the node */
    struct node_process processes[RUN_NODES_MAX];
    struct node_topic topics[SIM_TOPICS_MAX];
    int topic_count;
    struct node_client *clients;
    struct node_group *groups; /* node_member.h */
    struct library_group *library_groups;
    struct audit_txns *txns;
    struct audit_effects *effects;
    bool unsynced;         /* sim.unsynced=yes: a power cut may take ends of transactions */
    uint32_t shaken_count; /* power cuts that txns knows of */
    int txn_client_count;
    struct arena arena; /* of the settings */
    int dir_count;
    int16_t transaction_version; /* with which the disks were formatted; -1: with the newest */
    int64_t *producer_ids;
    size_t producer_id_count;
    uint32_t said_cut;   /* run->power_cut_count when the answer that is handled was given */
    uint32_t down_count; /* crashes, power cuts and ends of the node */
    bool finishing;
    int64_t inputs_over_ms; /* since when only who transforms writes; -1: others do */
    bool final_walk;        /* nothing is written any more */
    bool final_walk_done;   /* final_end is known */
    char waits_for[200];
};

/* Random numbers of the driver. */
int64_t node_draw(struct node_sim *sim, struct scenario_range range);
uint64_t node_below(struct node_sim *sim, uint64_t bound);

/* Sets a timer of the clients' loop. */
void node_timer_in(struct node_sim *sim, struct sys_timer *timer, int64_t delay_ms);

/* The broker gave out this producer id; it must never do so again. */
void node_note_producer_id(struct node_sim *sim, int64_t id);

/* A violation. */
#define node_fail(sim, ...) audit_fail((sim)->run->audit, __VA_ARGS__)

/* An error after which clients try again. */
bool node_error_passes(int16_t code);
