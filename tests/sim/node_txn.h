#pragma once

#include "audit_groups.h"
#include "audit_txn.h"
#include "node_int.h"

/*
 * Transactional producers that speak the protocol themselves, of every transaction.version.
 *
 *   node_txn           a producer: its transactional id, its sessions, what goes wrong with them
 *   node_txn_session   one session: its requests, and what their answers mean
 *   node_txn_next      which request comes next
 *   node_txn_input     what it consumes, alone or as a member of a group
 *   node_txn_requests  requests as values, that can be sent again, late, and over any connection
 *   node_txn_late      copies of requests that arrive late
 *
 *   client  transact count=2 version=0-2   what the client knows; the cluster may be older
 *                    records=1-5 wait=..   records of a batch; between requests
 *                    timeout=2s-6s         of its transactions; now and then one takes longer
 *                    offsets=yes           consumes and transforms: offsets go with the records
 *                    group=workers         as a member of a group (node_member.h), whose settings
 *                                          it takes, too: protocol, static, session ...
 *                    late=yes              requests come late and twice, over other connections
 *
 * Before version 2 partitions are added before they are written. A client that knows version 2
 * works so, too, until it learns from ApiVersions, when it connects, that the cluster is of that
 * version.
 *
 * A session that crashes is followed by another one with the same transactional id; half of them go
 * on nevertheless, as zombies. Or nobody comes back, and the transaction has to time out. In a
 * group the next session may have another transactional id: then only the group keeps its zombie
 * out.
 */
enum { TXN_SESSIONS = 3, TXN_WRITES_MAX = 6, TXN_LATE_MAX = 8 };

struct member;
struct txn_client;

enum txn_kind {
    TXN_FIND,       /* the coordinator of transactions */
    TXN_FIND_GROUP, /* and that of the group */
    TXN_INIT,
    TXN_FETCH, /* the group's offset */
    TXN_ADD,
    TXN_PRODUCE,
    TXN_ADD_OFFSETS,
    TXN_OFFSETS,
    TXN_END,
    TXN_KINDS,
};

/* Who commits a group's offsets, and fetches them. */
struct txn_membership {
    char id[AUDIT_MEMBER_SIZE_MAX];
    char instance[32];
    int32_t generation; /* or epoch; -1: no member */
    bool fetches;       /* as that member: with the consumer protocol */
};

/* A request, with all it says. */
struct txn_message {
    enum txn_kind kind;
    bool version_2;
    char id[48]; /* transactional */
    int64_t producer_id;
    int16_t epoch;
    int32_t timeout_ms;
    bool commit;
    struct node_topic *topic;
    int32_t partition;
    const char *group;
    struct txn_membership who;
    int64_t offset;
    bool looks;        /* a fetch at the end */
    uint64_t asked_at; /* a fetch: audit_txns_now when it was sent last */
    uint64_t first_value;
    int32_t count;
    int16_t produce_version;
    struct buffer batch;
    struct audit_txn *txn; /* NULL: of none */
    int64_t first_sent_ms; /* -1: not yet */
    int sends;
};

/* node_txn_requests.c */
void txn_message_copy(struct txn_message *to, const struct txn_message *from);
void txn_message_done(struct txn_message *request);
err_t txn_message_send(struct txn_message *request, struct node_link *link, client_done_fn done,
                       void *arg);
/* The outcome; of an InitProducerId or EndTxn also id and epoch, of a Produce or fetch the offset.
 */
struct txn_answer {
    int16_t code;
    int64_t producer_id;
    int16_t epoch;
    int64_t offset;
};
struct txn_answer txn_answer_read(const struct txn_message *request, const void *message);
bool txn_error_passes(int16_t code);
bool txn_error_fences(int16_t code);
bool txn_error_aborts(int16_t code);
bool txn_error_of_group(int16_t code); /* it does not know the member any more */

struct txn_write {
    struct node_topic *topic;
    int32_t partition;
};

/* What a transaction consumes. */
struct txn_input {
    bool chosen;
    int place; /* of a group (node_member.h) */
    struct node_topic *topic;
    int32_t partition;
    const char *name; /* for the auditor */
    uint32_t given;   /* how often the member had been given it */
    struct txn_membership who;
    bool knows_offset;
    int64_t offset;
    int64_t to;
};

struct txn_session {
    struct txn_client *client;
    struct node_link link;
    struct sys_timer timer;
    bool active;
    bool zombie;
    uint32_t life; /* answers of another one are not heeded */
    uint32_t number;
    int64_t zombie_ends_ms;
    uint32_t begin_down; /* sim->down_count then */
    int64_t fenced_ms;   /* when its successor had its id; -1: not */
    uint32_t fenced_cut; /* power cuts until then */
    uint32_t id_cut;     /* power cuts until it had its own */
    char id[48];

    struct txn_message request; /* that is under way, or to be sent again */
    bool has_request;
    bool busy;
    bool found;
    bool found_group;
    int64_t producer_id; /* -1: none yet */
    int16_t epoch;
    bool version_2;    /* of this transaction, or the next one */
    int64_t strays_ms; /* since a late request may have begun a transaction; -1: none did */
    int64_t timeout_ms;
    int looked; /* at the end: at so many of the group's offsets */
    bool done;
    int32_t sequences[SIM_TOPICS_MAX][SIM_PARTITIONS_MAX];
    struct audit_producer *audits[SIM_TOPICS_MAX][SIM_PARTITIONS_MAX];

    struct audit_txn *txn;        /* NULL: none is open */
    const struct audit_txn *last; /* that ended with this epoch; NULL: none */
    bool waits;                   /* before it begins another one, for what comes late */
    int64_t begin_ms;             /* its first request was sent; -1: not yet */
    bool wants_commit;
    struct txn_write writes[TXN_WRITES_MAX];
    bool added[SIM_TOPICS_MAX][SIM_PARTITIONS_MAX];
    int write_count;
    int written;
    bool added_offsets;
    bool sent_offsets;
    bool stalls; /* once in this transaction, until it has timed out */
    struct txn_input input;
};

struct txn_late {
    struct txn_client *client;
    struct txn_message request;
    struct sys_timer timer;
    bool used;
};

struct txn_client {
    struct node_client client;
    struct txn_session sessions[TXN_SESSIONS];
    struct txn_session *current;
    struct txn_late lates[TXN_LATE_MAX];
    struct node_link late_link;
    char name[40];
    char group[40];
    int number;
    int ids; /* transactional ids it has had */
    uint32_t session_count;
    bool knows_version_2;
    int64_t features_epoch; /* of what it was told of the cluster last; -1: nothing yet */
    int16_t cluster_version;
    bool offsets;
    struct member *member; /* of a real group; NULL: it consumes alone */
    int64_t begun;         /* alone: some transaction consumes up to there */
    bool late;
    int64_t loose_until_ms; /* an InitProducerId that may come in late fences who it should not */
    int64_t dies_one_in;
    struct scenario_range wait;
    struct scenario_range records;
    struct scenario_range timeout;
};

/* node_txn.c */
void txn_client_crash(struct txn_session *session); /* now and then */
/* The same just when it sends a request: that arrives late, for the first time. */
bool txn_client_crash_sending(struct txn_session *session);
/* An InitProducerId without an answer may take effect any time soon. */
void txn_client_loosen(struct txn_client *client);

/* node_txn_session.c */
/* A request that begins a transaction may come in once more: with this epoch one may be open. */
void txn_session_strays(struct txn_session *session, const struct txn_message *request);
void txn_session_begin(struct txn_session *session);
void txn_session_turn(struct txn_session *session);
bool txn_session_is_over(const struct txn_session *session);

/* node_txn_input.c */
void txn_input_new(struct txn_client *client, struct scenario_line *line);
void txn_input_forget(struct txn_session *session);
/* What the next transaction consumes; false: there is nothing now. */
bool txn_input_choose(struct txn_session *session);
void txn_input_fetched(struct txn_session *session, int64_t offset);
void txn_input_begin(struct txn_session *session);                       /* with the transaction */
const struct txn_membership *txn_input_who(struct txn_session *session); /* commits its offset */
void txn_input_refused(struct txn_session *session);
void txn_input_ended(struct txn_session *session, bool commit);
/* The next of the offsets to look at in the end; false: it has seen them all. */
bool txn_input_look(struct txn_session *session);

/* node_txn_next.c: the request that comes next, if there is one; and one of a kind. */
void txn_session_next(struct txn_session *session);
void txn_session_prepare(struct txn_session *session, enum txn_kind kind);

/* node_txn_late.c: perhaps a copy of what was just sent is sent again later. */
void txn_late_offer(struct txn_session *session, const struct txn_message *request);
void txn_late_keep(struct txn_session *session, const struct txn_message *request);
bool txn_lates_pending(const struct txn_client *client);
