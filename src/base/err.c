#include "base/err.h"

#include <assert.h>
#include <stddef.h>

/*
 * One row per error, in the order of the numbers: Kafka's from -1 on, then ours. A row's place
 * follows from its number; the unit test checks every row.
 */
struct err_row {
    err_t err;
    err_t kafka; /* what a client is told */
    bool retriable;
    const char *name;
    const char *text;
};

#define KAFKA_FATAL(name, text)                                                                    \
    { ERR_##name, ERR_##name, false, #name, text }
#define KAFKA_RETRY(name, text)                                                                    \
    { ERR_##name, ERR_##name, true, #name, text }
#define OWN(name, kafka, text)                                                                     \
    { ERR_##name, ERR_##kafka, false, #name, text }

static const struct err_row kafka_rows[] = {
    KAFKA_FATAL(UNKNOWN_SERVER_ERROR, "The server met an error it did not expect"),
    {ERR_OK, ERR_OK, false, "NONE", "No error"},
    KAFKA_FATAL(OFFSET_OUT_OF_RANGE, "The offset lies outside the partition's log"),
    KAFKA_RETRY(CORRUPT_MESSAGE, "The records are damaged, too large or otherwise not valid"),
    KAFKA_RETRY(UNKNOWN_TOPIC_OR_PARTITION, "This server does not host the topic or partition"),
    KAFKA_FATAL(INVALID_FETCH_SIZE, "The fetch size is not valid"),
    KAFKA_RETRY(LEADER_NOT_AVAILABLE, "The partition has no leader now; an election goes on"),
    KAFKA_RETRY(NOT_LEADER_OR_FOLLOWER, "This broker does not lead the partition, or is no "
                                        "replica of it"),
    KAFKA_RETRY(REQUEST_TIMED_OUT, "The request timed out"),
    KAFKA_FATAL(BROKER_NOT_AVAILABLE, "The broker is not available"),
    KAFKA_RETRY(REPLICA_NOT_AVAILABLE, "The replica is not available for this request"),
    KAFKA_FATAL(MESSAGE_TOO_LARGE, "A record or batch is larger than the server accepts"),
    KAFKA_FATAL(STALE_CONTROLLER_EPOCH, "The controller moved to another node"),
    KAFKA_FATAL(OFFSET_METADATA_TOO_LARGE, "The metadata of a committed offset is too large"),
    KAFKA_RETRY(NETWORK_EXCEPTION, "The server disconnected before an answer came"),
    KAFKA_RETRY(COORDINATOR_LOAD_IN_PROGRESS, "The coordinator still loads its state"),
    KAFKA_RETRY(COORDINATOR_NOT_AVAILABLE, "The coordinator is not available"),
    KAFKA_RETRY(NOT_COORDINATOR, "This broker is not the coordinator asked for"),
    KAFKA_FATAL(INVALID_TOPIC_EXCEPTION, "The topic's name is not valid for this operation"),
    KAFKA_FATAL(RECORD_LIST_TOO_LARGE, "The batches are larger than a segment may be"),
    KAFKA_RETRY(NOT_ENOUGH_REPLICAS, "Fewer replicas are in sync than the topic requires; "
                                     "nothing was written"),
    KAFKA_RETRY(NOT_ENOUGH_REPLICAS_AFTER_APPEND,
                "The records were written, but to fewer in-sync replicas than required"),
    KAFKA_FATAL(INVALID_REQUIRED_ACKS, "The produce request's acks value is not valid"),
    KAFKA_FATAL(ILLEGAL_GENERATION, "The group's generation is not the current one"),
    KAFKA_FATAL(INCONSISTENT_GROUP_PROTOCOL,
                "The member's protocols do not match those of the group"),
    KAFKA_FATAL(INVALID_GROUP_ID, "The group id is not valid"),
    KAFKA_FATAL(UNKNOWN_MEMBER_ID, "The coordinator does not know this member"),
    KAFKA_FATAL(INVALID_SESSION_TIMEOUT, "The session timeout is outside the broker's bounds"),
    KAFKA_FATAL(REBALANCE_IN_PROGRESS, "The group rebalances; join it again"),
    KAFKA_FATAL(INVALID_COMMIT_OFFSET_SIZE, "The size of the committed offset data is not valid"),
    KAFKA_FATAL(TOPIC_AUTHORIZATION_FAILED, "Access to the topic is denied"),
    KAFKA_FATAL(GROUP_AUTHORIZATION_FAILED, "Access to the group is denied"),
    KAFKA_FATAL(CLUSTER_AUTHORIZATION_FAILED, "The operation on the cluster is denied"),
    KAFKA_FATAL(INVALID_TIMESTAMP, "A record's timestamp is outside the accepted range"),
    KAFKA_FATAL(UNSUPPORTED_SASL_MECHANISM, "The server does not offer this SASL mechanism"),
    KAFKA_FATAL(ILLEGAL_SASL_STATE, "The request does not fit the state of authentication"),
    KAFKA_FATAL(UNSUPPORTED_VERSION, "The version of the API is not supported"),
    KAFKA_FATAL(TOPIC_ALREADY_EXISTS, "A topic of this name exists already"),
    KAFKA_FATAL(INVALID_PARTITIONS, "The number of partitions is not valid"),
    KAFKA_FATAL(INVALID_REPLICATION_FACTOR,
                "The replication factor is not positive, or larger than the number of brokers"),
    KAFKA_FATAL(INVALID_REPLICA_ASSIGNMENT, "The replica assignment is not valid"),
    KAFKA_FATAL(INVALID_CONFIG, "The configuration is not valid"),
    KAFKA_RETRY(NOT_CONTROLLER, "This node is not the active controller"),
    KAFKA_FATAL(INVALID_REQUEST, "The request is malformed, or contradicts itself"),
    KAFKA_FATAL(UNSUPPORTED_FOR_MESSAGE_FORMAT,
                "The log's message format does not support the request"),
    KAFKA_FATAL(POLICY_VIOLATION, "The request violates a policy of the cluster"),
    KAFKA_FATAL(OUT_OF_ORDER_SEQUENCE_NUMBER,
                "A producer's sequence numbers do not follow what was written"),
    KAFKA_FATAL(DUPLICATE_SEQUENCE_NUMBER, "A producer sent sequence numbers a second time"),
    KAFKA_FATAL(INVALID_PRODUCER_EPOCH, "The producer's epoch is old"),
    KAFKA_FATAL(INVALID_TXN_STATE, "The transaction's state does not allow the operation"),
    KAFKA_FATAL(INVALID_PRODUCER_ID_MAPPING,
                "The producer id is not the one assigned to this transactional id"),
    KAFKA_FATAL(INVALID_TRANSACTION_TIMEOUT,
                "The transaction timeout is larger than the broker allows"),
    KAFKA_RETRY(CONCURRENT_TRANSACTIONS,
                "Another operation of the same transactional id is not finished yet"),
    KAFKA_FATAL(TRANSACTION_COORDINATOR_FENCED,
                "The transaction coordinator is no longer the current one"),
    KAFKA_FATAL(TRANSACTIONAL_ID_AUTHORIZATION_FAILED, "Access to the transactional id is denied"),
    KAFKA_FATAL(SECURITY_DISABLED, "The security feature is disabled"),
    KAFKA_FATAL(OPERATION_NOT_ATTEMPTED,
                "The operation was not tried, because another one in the request failed"),
    KAFKA_RETRY(KAFKA_STORAGE_ERROR, "The broker cannot use the disk that the log is on"),
    KAFKA_FATAL(LOG_DIR_NOT_FOUND, "The broker has no such log directory"),
    KAFKA_FATAL(SASL_AUTHENTICATION_FAILED, "SASL authentication failed"),
    KAFKA_FATAL(UNKNOWN_PRODUCER_ID,
                "The partition has no state of this producer; its records were deleted"),
    KAFKA_FATAL(REASSIGNMENT_IN_PROGRESS, "The partition is being reassigned"),
    KAFKA_FATAL(DELEGATION_TOKEN_AUTH_DISABLED, "Delegation tokens are disabled"),
    KAFKA_FATAL(DELEGATION_TOKEN_NOT_FOUND, "There is no such delegation token"),
    KAFKA_FATAL(DELEGATION_TOKEN_OWNER_MISMATCH,
                "The principal is neither owner nor renewer of the token"),
    KAFKA_FATAL(DELEGATION_TOKEN_REQUEST_NOT_ALLOWED,
                "Delegation tokens cannot be asked for on this kind of connection"),
    KAFKA_FATAL(DELEGATION_TOKEN_AUTHORIZATION_FAILED, "Access to the token is denied"),
    KAFKA_FATAL(DELEGATION_TOKEN_EXPIRED, "The delegation token has expired"),
    KAFKA_FATAL(INVALID_PRINCIPAL_TYPE, "Principals of this type are not supported"),
    KAFKA_FATAL(NON_EMPTY_GROUP, "The group still has members"),
    KAFKA_FATAL(GROUP_ID_NOT_FOUND, "There is no group of this id"),
    KAFKA_RETRY(FETCH_SESSION_ID_NOT_FOUND, "There is no fetch session of this id"),
    KAFKA_RETRY(INVALID_FETCH_SESSION_EPOCH, "The fetch session's epoch is not the next one"),
    KAFKA_RETRY(LISTENER_NOT_FOUND,
                "The leader has no listener of the name the request came in through"),
    KAFKA_FATAL(TOPIC_DELETION_DISABLED, "Deleting topics is disabled"),
    KAFKA_RETRY(FENCED_LEADER_EPOCH, "The leader epoch is older than the broker's"),
    KAFKA_RETRY(UNKNOWN_LEADER_EPOCH, "The leader epoch is newer than the broker's"),
    KAFKA_FATAL(UNSUPPORTED_COMPRESSION_TYPE,
                "The client's version does not support the compression type"),
    KAFKA_FATAL(STALE_BROKER_EPOCH, "The broker registered again since then"),
    KAFKA_RETRY(OFFSET_NOT_AVAILABLE,
                "The new leader's high watermark has not caught up yet; try again soon"),
    KAFKA_FATAL(MEMBER_ID_REQUIRED, "Join again with the member id of this answer"),
    KAFKA_RETRY(PREFERRED_LEADER_NOT_AVAILABLE, "The preferred leader cannot lead now"),
    KAFKA_FATAL(GROUP_MAX_SIZE_REACHED, "The group has as many members as it may"),
    KAFKA_FATAL(FENCED_INSTANCE_ID, "Another member uses the same static instance id"),
    KAFKA_RETRY(ELIGIBLE_LEADERS_NOT_AVAILABLE, "No replica may become leader now"),
    KAFKA_RETRY(ELECTION_NOT_NEEDED, "The partition needs no election"),
    KAFKA_FATAL(NO_REASSIGNMENT_IN_PROGRESS, "The partition is not being reassigned"),
    KAFKA_FATAL(GROUP_SUBSCRIBED_TO_TOPIC,
                "The group is subscribed to the topic whose offsets were to be deleted"),
    KAFKA_FATAL(INVALID_RECORD, "A record did not pass the broker's validation"),
    KAFKA_RETRY(UNSTABLE_OFFSET_COMMIT, "Offsets of a transaction wait for its end"),
    KAFKA_RETRY(THROTTLING_QUOTA_EXCEEDED, "A quota is used up"),
    KAFKA_FATAL(PRODUCER_FENCED, "A newer producer uses the same transactional id"),
    KAFKA_FATAL(RESOURCE_NOT_FOUND, "The request names something that does not exist"),
    KAFKA_FATAL(DUPLICATE_RESOURCE, "The request names the same thing twice"),
    KAFKA_FATAL(UNACCEPTABLE_CREDENTIAL, "The credential does not meet the requirements"),
    KAFKA_FATAL(INCONSISTENT_VOTER_SET, "Sender and receiver disagree on who votes"),
    KAFKA_FATAL(INVALID_UPDATE_VERSION, "The update's version is not valid"),
    KAFKA_FATAL(FEATURE_UPDATE_FAILED, "The finalized features could not be changed"),
    KAFKA_FATAL(PRINCIPAL_DESERIALIZATION_FAILURE,
                "The principal in a forwarded request cannot be read"),
    KAFKA_FATAL(SNAPSHOT_NOT_FOUND, "There is no such snapshot"),
    KAFKA_FATAL(POSITION_OUT_OF_RANGE, "The position lies outside the snapshot"),
    KAFKA_RETRY(UNKNOWN_TOPIC_ID, "This server hosts no topic of this id"),
    KAFKA_FATAL(DUPLICATE_BROKER_REGISTRATION, "A live broker has registered under this id"),
    KAFKA_FATAL(BROKER_ID_NOT_REGISTERED, "No broker has registered under this id"),
    KAFKA_RETRY(INCONSISTENT_TOPIC_ID, "The topic's id in the log differs from the request's"),
    KAFKA_FATAL(INCONSISTENT_CLUSTER_ID, "The request is meant for another cluster"),
    KAFKA_FATAL(TRANSACTIONAL_ID_NOT_FOUND, "There is no such transactional id"),
    KAFKA_RETRY(FETCH_SESSION_TOPIC_ID_ERROR, "The fetch session mixes topic names with topic ids"),
    KAFKA_FATAL(INELIGIBLE_REPLICA, "The replica may not join the in-sync replicas"),
    KAFKA_FATAL(NEW_LEADER_ELECTED,
                "The change went through, but the partition has another leader now"),
    KAFKA_FATAL(OFFSET_MOVED_TO_TIERED_STORAGE, "The offset is in tiered storage"),
    KAFKA_FATAL(FENCED_MEMBER_EPOCH, "The group fenced the member; it must join again"),
    KAFKA_FATAL(UNRELEASED_INSTANCE_ID,
                "Another member of the group still holds the static instance id"),
    KAFKA_FATAL(UNSUPPORTED_ASSIGNOR, "The group does not support the assignor"),
    KAFKA_FATAL(STALE_MEMBER_EPOCH, "The member's epoch is old; it must heartbeat first"),
    KAFKA_FATAL(MISMATCHED_ENDPOINT_TYPE, "The request came in at the wrong kind of endpoint"),
    KAFKA_FATAL(UNSUPPORTED_ENDPOINT_TYPE, "Endpoints of this kind are not known"),
    KAFKA_FATAL(UNKNOWN_CONTROLLER_ID, "There is no controller of this id"),
    KAFKA_FATAL(UNKNOWN_SUBSCRIPTION_ID,
                "The telemetry subscription is not the client's current one"),
    KAFKA_FATAL(TELEMETRY_TOO_LARGE, "The client's telemetry is larger than the broker accepts"),
    KAFKA_FATAL(INVALID_REGISTRATION, "The controller does not accept the registration"),
    KAFKA_FATAL(TRANSACTION_ABORTABLE, "The transaction must be aborted; a new one may follow"),
    KAFKA_FATAL(INVALID_RECORD_STATE, "The record's state does not allow acknowledging it"),
    KAFKA_RETRY(SHARE_SESSION_NOT_FOUND, "There is no such share session"),
    KAFKA_RETRY(INVALID_SHARE_SESSION_EPOCH, "The share session's epoch is not the next one"),
    KAFKA_FATAL(FENCED_STATE_EPOCH, "The share group's state epoch is old"),
    KAFKA_FATAL(INVALID_VOTER_KEY, "The voter key is not that of the replica it was sent to"),
    KAFKA_FATAL(DUPLICATE_VOTER, "The voter is in the set already"),
    KAFKA_FATAL(VOTER_NOT_FOUND, "There is no such voter"),
    KAFKA_FATAL(INVALID_REGULAR_EXPRESSION, "The regular expression is not valid"),
    KAFKA_FATAL(REBOOTSTRAP_REQUIRED,
                "What the client knows of the cluster is too old; it must bootstrap again"),
    KAFKA_FATAL(STREAMS_INVALID_TOPOLOGY, "The streams topology is not valid"),
    KAFKA_FATAL(STREAMS_INVALID_TOPOLOGY_EPOCH, "The streams topology's epoch is not valid"),
    KAFKA_FATAL(STREAMS_TOPOLOGY_FENCED, "The streams topology's epoch is old"),
    KAFKA_RETRY(SHARE_SESSION_LIMIT_REACHED, "The broker has as many share sessions as it may"),
};

static const struct err_row own_rows[] = {
    OWN(PENDING, UNKNOWN_SERVER_ERROR, "It is not finished yet"),
    OWN(WOULD_BLOCK, UNKNOWN_SERVER_ERROR, "It would have to wait"),
    OWN(CLOSED, NETWORK_EXCEPTION, "It was closed"),
    OWN(REFUSED, NETWORK_EXCEPTION, "Nobody listens there, or the host cannot be reached"),
    OWN(IN_USE, KAFKA_STORAGE_ERROR, "Somebody else holds it"),
    OWN(NOT_FOUND, RESOURCE_NOT_FOUND, "There is no such thing"),
    OWN(EXISTS, DUPLICATE_RESOURCE, "It exists already"),
    OWN(ACCESS, KAFKA_STORAGE_ERROR, "The operating system denies access"),
    OWN(NO_SPACE, KAFKA_STORAGE_ERROR, "The disk, or a quota on it, is full"),
    OWN(IO, KAFKA_STORAGE_ERROR, "Reading or writing failed"),
    OWN(NO_FILES, KAFKA_STORAGE_ERROR, "The process has no file descriptor left"),
    OWN(NO_MEMORY, THROTTLING_QUOTA_EXCEEDED, "A bound on memory was reached"),
    OWN(CORRUPT, KAFKA_STORAGE_ERROR, "The bytes on disk are damaged"),
    OWN(MALFORMED, INVALID_REQUEST, "The bytes do not follow their format"),
    OWN(UNSUPPORTED, UNSUPPORTED_VERSION, "It is of a kind or version that is not known"),
    OWN(LIMIT, INVALID_REQUEST, "It is more than a limit allows"),
    OWN(BUSY, THROTTLING_QUOTA_EXCEEDED, "Too much waits already; it may go later"),
    OWN(SHUTTING_DOWN, NOT_LEADER_OR_FOLLOWER, "The node is shutting down"),
    OWN(INVALID, INVALID_REQUEST, "An argument or setting is not valid"),
    OWN(TIMED_OUT, REQUEST_TIMED_OUT, "It took too long"),
};

enum {
    KAFKA_ROW_COUNT = sizeof kafka_rows / sizeof kafka_rows[0],
    OWN_ROW_COUNT = sizeof own_rows / sizeof own_rows[0],
};

_Static_assert(KAFKA_ROW_COUNT == ERR_SHARE_SESSION_LIMIT_REACHED + 2, "a row per Kafka error");
_Static_assert(OWN_ROW_COUNT == ERR_OWN_LAST - ERR_OWN_FIRST - 1, "a row per error of ours");

static const struct err_row *row_of(err_t err) {
    int number = (int)err;
    const struct err_row *row = NULL;
    if (number >= -1 && number + 1 < KAFKA_ROW_COUNT) {
        row = &kafka_rows[number + 1];
    } else if (number > ERR_OWN_FIRST && number < ERR_OWN_LAST) {
        row = &own_rows[number - ERR_OWN_FIRST - 1];
    }
    assert(row == NULL || row->err == err);
    return row;
}

const char *err_name(err_t err) {
    const struct err_row *row = row_of(err);
    return row == NULL ? "?" : row->name;
}

const char *err_text(err_t err) {
    const struct err_row *row = row_of(err);
    return row == NULL ? "The error is not known" : row->text;
}

int16_t err_kafka_code(err_t err) {
    const struct err_row *row = row_of(err);
    return (int16_t)(row == NULL ? ERR_UNKNOWN_SERVER_ERROR : row->kafka);
}

err_t err_from_kafka_code(int16_t code) {
    bool known = code >= -1 && code + 1 < KAFKA_ROW_COUNT;
    return known ? (err_t)code : ERR_UNKNOWN_SERVER_ERROR;
}

bool err_retriable(err_t err) {
    const struct err_row *row = row_of(err);
    return row != NULL && row_of(row->kafka)->retriable;
}
