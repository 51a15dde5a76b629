#include "base/err.h"

#include <stddef.h>

/* Names and retriability of Kafka's errors; the texts are ours. Ordered by code. */
struct kafka_err {
    const char *name;
    const char *text; /* NULL: the name, in words */
    bool retriable;
};

enum { KAFKA_FIRST = -1, KAFKA_LAST = 133 };

static const struct kafka_err kafka_errs[] = {
    {"UNKNOWN_SERVER_ERROR", "The server met an error it has no name for", false},
    {"NONE", "No error", false},
    {"OFFSET_OUT_OF_RANGE", "The offset is outside the range that the log keeps", false},
    {"CORRUPT_MESSAGE",
     "The record batch failed its checksum, has an impossible size, or lacks a key that its topic "
     "needs",
     true},
    {"UNKNOWN_TOPIC_OR_PARTITION", "There is no such topic or partition here", true},
    {"INVALID_FETCH_SIZE", "Invalid fetch size", false},
    {"LEADER_NOT_AVAILABLE", "Leader not available", true},
    {"NOT_LEADER_OR_FOLLOWER", "This broker is not the leader or a follower of the partition",
     true},
    {"REQUEST_TIMED_OUT", "The request timed out", true},
    {"BROKER_NOT_AVAILABLE", "Broker not available", false},
    {"REPLICA_NOT_AVAILABLE", "Replica not available", true},
    {"MESSAGE_TOO_LARGE", "The batch is larger than the topic allows", false},
    {"STALE_CONTROLLER_EPOCH", "Stale controller epoch", false},
    {"OFFSET_METADATA_TOO_LARGE", "Offset metadata too large", false},
    {"NETWORK_EXCEPTION", "Network exception", true},
    {"COORDINATOR_LOAD_IN_PROGRESS", "Coordinator load in progress", true},
    {"COORDINATOR_NOT_AVAILABLE", "Coordinator not available", true},
    {"NOT_COORDINATOR", "Not coordinator", true},
    {"INVALID_TOPIC_EXCEPTION", "The topic name is not legal", false},
    {"RECORD_LIST_TOO_LARGE", "The batch is larger than a segment of the log", false},
    {"NOT_ENOUGH_REPLICAS", "Not enough replicas", true},
    {"NOT_ENOUGH_REPLICAS_AFTER_APPEND", "Not enough replicas after append", true},
    {"INVALID_REQUIRED_ACKS", "Invalid required acks", false},
    {"ILLEGAL_GENERATION", "Illegal generation", false},
    {"INCONSISTENT_GROUP_PROTOCOL", "Inconsistent group protocol", false},
    {"INVALID_GROUP_ID", "Invalid group id", false},
    {"UNKNOWN_MEMBER_ID", "Unknown member id", false},
    {"INVALID_SESSION_TIMEOUT", "Invalid session timeout", false},
    {"REBALANCE_IN_PROGRESS", "Rebalance in progress", false},
    {"INVALID_COMMIT_OFFSET_SIZE", "Invalid commit offset size", false},
    {"TOPIC_AUTHORIZATION_FAILED", "Topic authorization failed", false},
    {"GROUP_AUTHORIZATION_FAILED", "Group authorization failed", false},
    {"CLUSTER_AUTHORIZATION_FAILED", "Cluster authorization failed", false},
    {"INVALID_TIMESTAMP", "The timestamp of a record is outside what the topic allows", false},
    {"UNSUPPORTED_SASL_MECHANISM", "Unsupported sasl mechanism", false},
    {"ILLEGAL_SASL_STATE", "Illegal sasl state", false},
    {"UNSUPPORTED_VERSION", "The version of the API is not supported", false},
    {"TOPIC_ALREADY_EXISTS", "A topic of this name exists", false},
    {"INVALID_PARTITIONS", "Invalid partitions", false},
    {"INVALID_REPLICATION_FACTOR", "Invalid replication factor", false},
    {"INVALID_REPLICA_ASSIGNMENT", "Invalid replica assignment", false},
    {"INVALID_CONFIG", "Invalid config", false},
    {"NOT_CONTROLLER", "This node is not the active controller", true},
    {"INVALID_REQUEST", "The request makes no sense; see the log of the server", false},
    {"UNSUPPORTED_FOR_MESSAGE_FORMAT", "Unsupported for message format", false},
    {"POLICY_VIOLATION", "Policy violation", false},
    {"OUT_OF_ORDER_SEQUENCE_NUMBER",
     "The sequence number of the batch does not follow the last one", false},
    {"DUPLICATE_SEQUENCE_NUMBER", "Duplicate sequence number", false},
    {"INVALID_PRODUCER_EPOCH", "The producer was fenced by a newer one", false},
    {"INVALID_TXN_STATE", "Invalid txn state", false},
    {"INVALID_PRODUCER_ID_MAPPING", "Invalid producer id mapping", false},
    {"INVALID_TRANSACTION_TIMEOUT", "Invalid transaction timeout", false},
    {"CONCURRENT_TRANSACTIONS", "Concurrent transactions", true},
    {"TRANSACTION_COORDINATOR_FENCED", "Transaction coordinator fenced", false},
    {"TRANSACTIONAL_ID_AUTHORIZATION_FAILED", "Transactional id authorization failed", false},
    {"SECURITY_DISABLED", "Security disabled", false},
    {"OPERATION_NOT_ATTEMPTED", "Operation not attempted", false},
    {"KAFKA_STORAGE_ERROR", "The disk of the log failed or is full", true},
    {"LOG_DIR_NOT_FOUND", "Log dir not found", false},
    {"SASL_AUTHENTICATION_FAILED", "Sasl authentication failed", false},
    {"UNKNOWN_PRODUCER_ID", "Unknown producer id", false},
    {"REASSIGNMENT_IN_PROGRESS", "Reassignment in progress", false},
    {"DELEGATION_TOKEN_AUTH_DISABLED", "Delegation token auth disabled", false},
    {"DELEGATION_TOKEN_NOT_FOUND", "Delegation token not found", false},
    {"DELEGATION_TOKEN_OWNER_MISMATCH", "Delegation token owner mismatch", false},
    {"DELEGATION_TOKEN_REQUEST_NOT_ALLOWED", "Delegation token request not allowed", false},
    {"DELEGATION_TOKEN_AUTHORIZATION_FAILED", "Delegation token authorization failed", false},
    {"DELEGATION_TOKEN_EXPIRED", "Delegation token expired", false},
    {"INVALID_PRINCIPAL_TYPE", "Invalid principal type", false},
    {"NON_EMPTY_GROUP", "Non empty group", false},
    {"GROUP_ID_NOT_FOUND", "Group id not found", false},
    {"FETCH_SESSION_ID_NOT_FOUND", "Fetch session id not found", true},
    {"INVALID_FETCH_SESSION_EPOCH", "Invalid fetch session epoch", true},
    {"LISTENER_NOT_FOUND", "Listener not found", true},
    {"TOPIC_DELETION_DISABLED", "Topic deletion disabled", false},
    {"FENCED_LEADER_EPOCH", "Fenced leader epoch", true},
    {"UNKNOWN_LEADER_EPOCH", "Unknown leader epoch", true},
    {"UNSUPPORTED_COMPRESSION_TYPE", "Unsupported compression type", false},
    {"STALE_BROKER_EPOCH", "Stale broker epoch", false},
    {"OFFSET_NOT_AVAILABLE", "Offset not available", true},
    {"MEMBER_ID_REQUIRED", "Member id required", false},
    {"PREFERRED_LEADER_NOT_AVAILABLE", "Preferred leader not available", true},
    {"GROUP_MAX_SIZE_REACHED", "Group max size reached", false},
    {"FENCED_INSTANCE_ID", "Fenced instance id", false},
    {"ELIGIBLE_LEADERS_NOT_AVAILABLE", "Eligible leaders not available", true},
    {"ELECTION_NOT_NEEDED", "Election not needed", true},
    {"NO_REASSIGNMENT_IN_PROGRESS", "No reassignment in progress", false},
    {"GROUP_SUBSCRIBED_TO_TOPIC", "Group subscribed to topic", false},
    {"INVALID_RECORD", "A record failed a check of the broker", false},
    {"UNSTABLE_OFFSET_COMMIT", "Unstable offset commit", true},
    {"THROTTLING_QUOTA_EXCEEDED", "Throttling quota exceeded", true},
    {"PRODUCER_FENCED", "Producer fenced", false},
    {"RESOURCE_NOT_FOUND", "Resource not found", false},
    {"DUPLICATE_RESOURCE", "Duplicate resource", false},
    {"UNACCEPTABLE_CREDENTIAL", "Unacceptable credential", false},
    {"INCONSISTENT_VOTER_SET", "Inconsistent voter set", false},
    {"INVALID_UPDATE_VERSION", "Invalid update version", false},
    {"FEATURE_UPDATE_FAILED", "Feature update failed", false},
    {"PRINCIPAL_DESERIALIZATION_FAILURE", "Principal deserialization failure", false},
    {"SNAPSHOT_NOT_FOUND", "Snapshot not found", false},
    {"POSITION_OUT_OF_RANGE", "Position out of range", false},
    {"UNKNOWN_TOPIC_ID", "Unknown topic id", true},
    {"DUPLICATE_BROKER_REGISTRATION", "Duplicate broker registration", false},
    {"BROKER_ID_NOT_REGISTERED", "Broker id not registered", false},
    {"INCONSISTENT_TOPIC_ID", "Inconsistent topic id", true},
    {"INCONSISTENT_CLUSTER_ID", "Inconsistent cluster id", false},
    {"TRANSACTIONAL_ID_NOT_FOUND", "Transactional id not found", false},
    {"FETCH_SESSION_TOPIC_ID_ERROR", "Fetch session topic id error", true},
    {"INELIGIBLE_REPLICA", "Ineligible replica", false},
    {"NEW_LEADER_ELECTED", "New leader elected", false},
    {"OFFSET_MOVED_TO_TIERED_STORAGE", "Offset moved to tiered storage", false},
    {"FENCED_MEMBER_EPOCH", "Fenced member epoch", false},
    {"UNRELEASED_INSTANCE_ID", "Unreleased instance id", false},
    {"UNSUPPORTED_ASSIGNOR", "Unsupported assignor", false},
    {"STALE_MEMBER_EPOCH", "Stale member epoch", false},
    {"MISMATCHED_ENDPOINT_TYPE", "Mismatched endpoint type", false},
    {"UNSUPPORTED_ENDPOINT_TYPE", "Unsupported endpoint type", false},
    {"UNKNOWN_CONTROLLER_ID", "Unknown controller id", false},
    {"UNKNOWN_SUBSCRIPTION_ID", "Unknown subscription id", false},
    {"TELEMETRY_TOO_LARGE", "Telemetry too large", false},
    {"INVALID_REGISTRATION", "Invalid registration", false},
    {"TRANSACTION_ABORTABLE", "Transaction abortable", false},
    {"INVALID_RECORD_STATE", "Invalid record state", false},
    {"SHARE_SESSION_NOT_FOUND", "Share session not found", true},
    {"INVALID_SHARE_SESSION_EPOCH", "Invalid share session epoch", true},
    {"FENCED_STATE_EPOCH", "Fenced state epoch", false},
    {"INVALID_VOTER_KEY", "Invalid voter key", false},
    {"DUPLICATE_VOTER", "Duplicate voter", false},
    {"VOTER_NOT_FOUND", "Voter not found", false},
    {"INVALID_REGULAR_EXPRESSION", "Invalid regular expression", false},
    {"REBOOTSTRAP_REQUIRED", "Rebootstrap required", false},
    {"STREAMS_INVALID_TOPOLOGY", "Streams invalid topology", false},
    {"STREAMS_INVALID_TOPOLOGY_EPOCH", "Streams invalid topology epoch", false},
    {"STREAMS_TOPOLOGY_FENCED", "Streams topology fenced", false},
    {"SHARE_SESSION_LIMIT_REACHED", "Share session limit reached", true},
};

_Static_assert(sizeof kafka_errs / sizeof kafka_errs[0] == KAFKA_LAST - KAFKA_FIRST + 1,
               "one row per code");

/* Ours, and what a client is told instead. */
struct own_err {
    err_t err;
    int16_t kafka_code;
    const char *name;
    const char *text;
};

static const struct own_err own_errs[] = {
    {ERR_PENDING, ERR_UNKNOWN_SERVER_ERROR, "PENDING", "It goes on"},
    {ERR_WOULD_BLOCK, ERR_UNKNOWN_SERVER_ERROR, "WOULD_BLOCK", "It would have to wait"},
    {ERR_CLOSED, ERR_NETWORK_EXCEPTION, "CLOSED", "The connection was closed"},
    {ERR_REFUSED, ERR_NETWORK_EXCEPTION, "REFUSED", "Nobody listens at that address"},
    {ERR_IN_USE, ERR_KAFKA_STORAGE_ERROR, "IN_USE", "Somebody else uses it"},
    {ERR_NOT_FOUND, ERR_RESOURCE_NOT_FOUND, "NOT_FOUND", "It does not exist"},
    {ERR_EXISTS, ERR_DUPLICATE_RESOURCE, "EXISTS", "It exists already"},
    {ERR_ACCESS, ERR_KAFKA_STORAGE_ERROR, "ACCESS", "The operating system does not permit it"},
    {ERR_NO_SPACE, ERR_KAFKA_STORAGE_ERROR, "NO_SPACE", "The disk is full"},
    {ERR_IO, ERR_KAFKA_STORAGE_ERROR, "IO", "The disk failed"},
    {ERR_NO_FILES, ERR_KAFKA_STORAGE_ERROR, "NO_FILES",
     "The process has no file descriptor left; raise its limit (ulimit -n)"},
    {ERR_NO_MEMORY, ERR_THROTTLING_QUOTA_EXCEEDED, "NO_MEMORY", "A bound on memory was reached"},
    {ERR_CORRUPT, ERR_KAFKA_STORAGE_ERROR, "CORRUPT", "Bytes on the disk are not what was written"},
    {ERR_MALFORMED, ERR_INVALID_REQUEST, "MALFORMED", "The bytes do not follow their format"},
    {ERR_UNSUPPORTED, ERR_UNSUPPORTED_VERSION, "UNSUPPORTED",
     "It is of a kind or version that is not supported"},
    {ERR_LIMIT, ERR_INVALID_REQUEST, "LIMIT", "It is larger than a limit allows"},
    {ERR_BUSY, ERR_THROTTLING_QUOTA_EXCEEDED, "BUSY", "A queue is full; try again later"},
    {ERR_SHUTTING_DOWN, ERR_NOT_LEADER_OR_FOLLOWER, "SHUTTING_DOWN", "The node is shutting down"},
    {ERR_INVALID, ERR_INVALID_REQUEST, "INVALID", "An argument or setting cannot be"},
    {ERR_TIMED_OUT, ERR_REQUEST_TIMED_OUT, "TIMED_OUT", "It took too long"},
};

_Static_assert(sizeof own_errs / sizeof own_errs[0] == ERR_OWN_LAST - ERR_OWN_FIRST - 1,
               "one row per error");

static const struct kafka_err *kafka_find(int code) {
    return code >= KAFKA_FIRST && code <= KAFKA_LAST ? &kafka_errs[code - KAFKA_FIRST] : NULL;
}

static const struct own_err *own_find(int err) {
    return err > ERR_OWN_FIRST && err < ERR_OWN_LAST ? &own_errs[err - ERR_OWN_FIRST - 1] : NULL;
}

const char *err_name(err_t err) {
    const struct kafka_err *kafka = kafka_find(err);
    const struct own_err *own = own_find(err);
    return kafka != NULL ? kafka->name : own != NULL ? own->name : "?";
}

const char *err_text(err_t err) {
    const struct kafka_err *kafka = kafka_find(err);
    const struct own_err *own = own_find(err);
    return kafka != NULL ? kafka->text : own != NULL ? own->text : "?";
}

int16_t err_kafka_code(err_t err) {
    const struct own_err *own = own_find(err);
    if (own != NULL) {
        return own->kafka_code;
    }
    return kafka_find(err) != NULL ? (int16_t)err : (int16_t)ERR_UNKNOWN_SERVER_ERROR;
}

err_t err_from_kafka_code(int16_t code) {
    return kafka_find(code) != NULL ? (err_t)code : ERR_UNKNOWN_SERVER_ERROR;
}

bool err_retriable(err_t err) {
    const struct kafka_err *kafka = kafka_find(err_kafka_code(err));
    return kafka->retriable;
}
