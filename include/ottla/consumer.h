#pragma once

#include "ottla/types.h"

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Records from the cluster.
 *
 * A consumer reads partitions that were assigned to it by hand, or those that a group gives it.
 * ottla_consumer_poll hands out a batch of records; the position of a partition is behind the last
 * record handed out. Fetches run ahead of the application, bounded by fetch.max.bytes and
 * max.partition.fetch.bytes. isolation.level=read_committed leaves out aborted transactions.
 *
 * Groups: group.protocol=classic (client-side assignors: range, roundrobin, sticky,
 * cooperative-sticky, by Java's class names or librdkafka's short ones) or consumer (KIP-848,
 * group.remote.assignor). Heartbeats are sent while the loop runs: the application calls
 * ottla_consumer_poll or ottla_client_run more often than session.timeout.ms, and
 * ottla_consumer_poll more often than max.poll.interval.ms; else it leaves the group.
 *
 * Offsets are committed by the application, or behind it each auto.commit.interval.ms
 * (enable.auto.commit) for what earlier polls handed out; also before partitions are given away and
 * at close.
 */
struct ottla_consumer;

int ottla_consumer_new(struct ottla_client *client, struct ottla_consumer **ret_consumer,
                       struct ottla_error *ret_error);

/* Commits if enable.auto.commit, leaves the group; waits up to timeout_ms. */
int ottla_consumer_close(struct ottla_consumer *consumer, int64_t timeout_ms);

/* Without a word to the group when it was not closed. Commits that were not answered are told
 * OTTLA_CLOSED. Accepts NULL. */
void ottla_consumer_free(struct ottla_consumer *consumer);

/* --- what to read --- */

/*
 * Called inside ottla_consumer_poll and ottla_consumer_close. `assigned` may seek before the first
 * record comes. `revoked` may still commit; `lost` may not: others own them already. With a
 * cooperative assignor or group.protocol=consumer the lists hold only what changes, else all; they
 * may be empty for `assigned`. Any may be NULL; without `lost`, `revoked` is called for it.
 *
 * Inside them the consumer cannot be polled, closed, assigned or subscribed (OTTLA_BUSY).
 */
struct ottla_rebalance {
    void (*assigned)(void *arg, struct ottla_consumer *consumer,
                     const struct ottla_partition *partitions, size_t count);
    void (*revoked)(void *arg, struct ottla_consumer *consumer,
                    const struct ottla_partition *partitions, size_t count);
    void (*lost)(void *arg, struct ottla_consumer *consumer,
                 const struct ottla_partition *partitions, size_t count);
    void *arg;
};

/* Replaces what was subscribed or assigned; count 0 unsubscribes. rebalance may be NULL. */
int ottla_consumer_subscribe(struct ottla_consumer *consumer, const char *const *topics,
                             size_t count, const struct ottla_rebalance *rebalance,
                             struct ottla_error *ret_error);

/* Topics whose whole name matches: evaluated by the broker (RE2) with group.protocol=consumer, by
 * the client (PCRE2) over metadata with classic. */
int ottla_consumer_subscribe_pattern(struct ottla_consumer *consumer, const char *pattern,
                                     const struct ottla_rebalance *rebalance,
                                     struct ottla_error *ret_error);

/* By hand; without a group's help. offset may be OTTLA_OFFSET_EARLIEST, _LATEST, or _NONE: the
 * committed one, else auto.offset.reset. Here, in seeks and in commits, a leader_epoch of 0 is
 * taken as not known (-1), as it may be a field that was not set. */
int ottla_consumer_assign(struct ottla_consumer *consumer, const struct ottla_position *positions,
                          size_t count, struct ottla_error *ret_error);

/* Copies up to `size` entries, returns how many there are. Topics are good until the next call that
 * polls or changes the assignment. */
size_t ottla_consumer_assignment(const struct ottla_consumer *consumer,
                                 struct ottla_partition *partitions, size_t size);

/* --- reading --- */

/*
 * Waits up to timeout_ms (-1: without limit) for records, at most max.poll.records of them.
 * *ret_records and all they point at are good until the next poll, close or free. OTTLA_OK with
 * *ret_count 0: none came. OTTLA_CLOSED: ottla_client_interrupt, or the consumer was closed.
 * Errors end nothing by themselves: OFFSET_OUT_OF_RANGE and OTTLA_OFFSET_NONE-like cases only with
 * auto.offset.reset=none, CORRUPT_MESSAGE (the position stays), TOPIC_AUTHORIZATION_FAILED …; the
 * text names the partition.
 */
int ottla_consumer_poll(struct ottla_consumer *consumer, int64_t timeout_ms,
                        const struct ottla_record **ret_records, size_t *ret_count,
                        struct ottla_error *ret_error);

int ottla_consumer_pause(struct ottla_consumer *consumer, const struct ottla_partition *partitions,
                         size_t count);
int ottla_consumer_resume(struct ottla_consumer *consumer, const struct ottla_partition *partitions,
                          size_t count);

/* OTTLA_NOT_FOUND: not assigned. */
int ottla_consumer_seek(struct ottla_consumer *consumer, const struct ottla_position *position);

/* The offset of the next record poll will hand out; OTTLA_NOT_FOUND while it is not known. */
int ottla_consumer_position(const struct ottla_consumer *consumer,
                            const struct ottla_partition *partition,
                            struct ottla_position *ret_position);

/* Records between the position and the end that fetches have told of (the last stable offset with
 * read_committed); -1: not known yet. */
int64_t ottla_consumer_lag(const struct ottla_consumer *consumer,
                           const struct ottla_partition *partition);

/* True once poll handed out everything up to the end that the partition had when last fetched. */
bool ottla_consumer_at_end(const struct ottla_consumer *consumer,
                           const struct ottla_partition *partition);

/* --- commits --- */

/* positions NULL: of everything assigned, as handed out so far. Waits. */
int ottla_consumer_commit(struct ottla_consumer *consumer, const struct ottla_position *positions,
                          size_t count, int64_t timeout_ms, struct ottla_error *ret_error);

typedef void (*ottla_commit_fn)(void *arg, int code, const struct ottla_position *positions,
                                size_t count);
/* done may be NULL. Commits are made and answered one after the other, each repeated on errors that
 * pass, up to default.api.timeout.ms. OTTLA_BUSY: too many wait. */
int ottla_consumer_commit_async(struct ottla_consumer *consumer,
                                const struct ottla_position *positions, size_t count,
                                ottla_commit_fn done, void *arg);

/* Fills offset, leader_epoch, metadata and code of each; offset OTTLA_OFFSET_NONE: no commit.
 * metadata is good until the next call for committed offsets. Waits. */
int ottla_consumer_committed(struct ottla_consumer *consumer, struct ottla_position *positions,
                             size_t count, int64_t timeout_ms, struct ottla_error *ret_error);

/* In: offset is a timestamp in ms, or OTTLA_OFFSET_EARLIEST/_LATEST. Out: the offset of the first
 * record at or after it, or OTTLA_OFFSET_NONE. Waits. */
int ottla_consumer_offsets_for_times(struct ottla_consumer *consumer,
                                     struct ottla_position *positions, size_t count,
                                     int64_t timeout_ms, struct ottla_error *ret_error);

/* --- the group --- */

struct ottla_membership {
    const char *group_id;
    const char *member_id;   /* "" before the first join */
    const char *instance_id; /* NULL: dynamic */
    int32_t generation;      /* or the member epoch; -1: none yet, or it has unsubscribed */
};
/* Also what transactional commits carry. Texts are good until the next poll. After the membership
 * was lost it is that of before, until a poll has told of the next: the group refuses it, and what
 * others may have read by now is not committed. */
int ottla_consumer_membership(const struct ottla_consumer *consumer,
                              struct ottla_membership *ret_membership);

/* Asks the group for a new rebalance at the next poll (classic only; else nothing happens). */
int ottla_consumer_enforce_rebalance(struct ottla_consumer *consumer, const char *reason);

#ifdef __cplusplus
}
#endif
