#pragma once

#include <stdbool.h>
#include <stdint.h>

/*
 * Every way in which a call can fail.
 *
 * The errors that Kafka's protocol names have Kafka's names and Kafka's numbers, so an err_t of a
 * handler is the error code of its answer. Our own follow from ERR_OWN_FIRST; one table
 * (err_kafka_code) says which of Kafka's a client is told instead. Functions that can fail return
 * err_t and leave their ret_ outputs untouched on failure.
 */
typedef enum err {
    ERR_OK = 0, /* NONE */
    ERR_UNKNOWN_SERVER_ERROR = -1,
    ERR_OFFSET_OUT_OF_RANGE = 1,
    ERR_CORRUPT_MESSAGE = 2,
    ERR_UNKNOWN_TOPIC_OR_PARTITION = 3,
    ERR_INVALID_FETCH_SIZE = 4,
    ERR_LEADER_NOT_AVAILABLE = 5,
    ERR_NOT_LEADER_OR_FOLLOWER = 6,
    ERR_REQUEST_TIMED_OUT = 7,
    ERR_BROKER_NOT_AVAILABLE = 8,
    ERR_REPLICA_NOT_AVAILABLE = 9,
    ERR_MESSAGE_TOO_LARGE = 10,
    ERR_STALE_CONTROLLER_EPOCH = 11,
    ERR_OFFSET_METADATA_TOO_LARGE = 12,
    ERR_NETWORK_EXCEPTION = 13,
    ERR_COORDINATOR_LOAD_IN_PROGRESS = 14,
    ERR_COORDINATOR_NOT_AVAILABLE = 15,
    ERR_NOT_COORDINATOR = 16,
    ERR_INVALID_TOPIC_EXCEPTION = 17,
    ERR_RECORD_LIST_TOO_LARGE = 18,
    ERR_NOT_ENOUGH_REPLICAS = 19,
    ERR_NOT_ENOUGH_REPLICAS_AFTER_APPEND = 20,
    ERR_INVALID_REQUIRED_ACKS = 21,
    ERR_ILLEGAL_GENERATION = 22,
    ERR_INCONSISTENT_GROUP_PROTOCOL = 23,
    ERR_INVALID_GROUP_ID = 24,
    ERR_UNKNOWN_MEMBER_ID = 25,
    ERR_INVALID_SESSION_TIMEOUT = 26,
    ERR_REBALANCE_IN_PROGRESS = 27,
    ERR_INVALID_COMMIT_OFFSET_SIZE = 28,
    ERR_TOPIC_AUTHORIZATION_FAILED = 29,
    ERR_GROUP_AUTHORIZATION_FAILED = 30,
    ERR_CLUSTER_AUTHORIZATION_FAILED = 31,
    ERR_INVALID_TIMESTAMP = 32,
    ERR_UNSUPPORTED_SASL_MECHANISM = 33,
    ERR_ILLEGAL_SASL_STATE = 34,
    ERR_UNSUPPORTED_VERSION = 35,
    ERR_TOPIC_ALREADY_EXISTS = 36,
    ERR_INVALID_PARTITIONS = 37,
    ERR_INVALID_REPLICATION_FACTOR = 38,
    ERR_INVALID_REPLICA_ASSIGNMENT = 39,
    ERR_INVALID_CONFIG = 40,
    ERR_NOT_CONTROLLER = 41,
    ERR_INVALID_REQUEST = 42,
    ERR_UNSUPPORTED_FOR_MESSAGE_FORMAT = 43,
    ERR_POLICY_VIOLATION = 44,
    ERR_OUT_OF_ORDER_SEQUENCE_NUMBER = 45,
    ERR_DUPLICATE_SEQUENCE_NUMBER = 46,
    ERR_INVALID_PRODUCER_EPOCH = 47,
    ERR_INVALID_TXN_STATE = 48,
    ERR_INVALID_PRODUCER_ID_MAPPING = 49,
    ERR_INVALID_TRANSACTION_TIMEOUT = 50,
    ERR_CONCURRENT_TRANSACTIONS = 51,
    ERR_TRANSACTION_COORDINATOR_FENCED = 52,
    ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED = 53,
    ERR_SECURITY_DISABLED = 54,
    ERR_OPERATION_NOT_ATTEMPTED = 55,
    ERR_KAFKA_STORAGE_ERROR = 56,
    ERR_LOG_DIR_NOT_FOUND = 57,
    ERR_SASL_AUTHENTICATION_FAILED = 58,
    ERR_UNKNOWN_PRODUCER_ID = 59,
    ERR_REASSIGNMENT_IN_PROGRESS = 60,
    ERR_DELEGATION_TOKEN_AUTH_DISABLED = 61,
    ERR_DELEGATION_TOKEN_NOT_FOUND = 62,
    ERR_DELEGATION_TOKEN_OWNER_MISMATCH = 63,
    ERR_DELEGATION_TOKEN_REQUEST_NOT_ALLOWED = 64,
    ERR_DELEGATION_TOKEN_AUTHORIZATION_FAILED = 65,
    ERR_DELEGATION_TOKEN_EXPIRED = 66,
    ERR_INVALID_PRINCIPAL_TYPE = 67,
    ERR_NON_EMPTY_GROUP = 68,
    ERR_GROUP_ID_NOT_FOUND = 69,
    ERR_FETCH_SESSION_ID_NOT_FOUND = 70,
    ERR_INVALID_FETCH_SESSION_EPOCH = 71,
    ERR_LISTENER_NOT_FOUND = 72,
    ERR_TOPIC_DELETION_DISABLED = 73,
    ERR_FENCED_LEADER_EPOCH = 74,
    ERR_UNKNOWN_LEADER_EPOCH = 75,
    ERR_UNSUPPORTED_COMPRESSION_TYPE = 76,
    ERR_STALE_BROKER_EPOCH = 77,
    ERR_OFFSET_NOT_AVAILABLE = 78,
    ERR_MEMBER_ID_REQUIRED = 79,
    ERR_PREFERRED_LEADER_NOT_AVAILABLE = 80,
    ERR_GROUP_MAX_SIZE_REACHED = 81,
    ERR_FENCED_INSTANCE_ID = 82,
    ERR_ELIGIBLE_LEADERS_NOT_AVAILABLE = 83,
    ERR_ELECTION_NOT_NEEDED = 84,
    ERR_NO_REASSIGNMENT_IN_PROGRESS = 85,
    ERR_GROUP_SUBSCRIBED_TO_TOPIC = 86,
    ERR_INVALID_RECORD = 87,
    ERR_UNSTABLE_OFFSET_COMMIT = 88,
    ERR_THROTTLING_QUOTA_EXCEEDED = 89,
    ERR_PRODUCER_FENCED = 90,
    ERR_RESOURCE_NOT_FOUND = 91,
    ERR_DUPLICATE_RESOURCE = 92,
    ERR_UNACCEPTABLE_CREDENTIAL = 93,
    ERR_INCONSISTENT_VOTER_SET = 94,
    ERR_INVALID_UPDATE_VERSION = 95,
    ERR_FEATURE_UPDATE_FAILED = 96,
    ERR_PRINCIPAL_DESERIALIZATION_FAILURE = 97,
    ERR_SNAPSHOT_NOT_FOUND = 98,
    ERR_POSITION_OUT_OF_RANGE = 99,
    ERR_UNKNOWN_TOPIC_ID = 100,
    ERR_DUPLICATE_BROKER_REGISTRATION = 101,
    ERR_BROKER_ID_NOT_REGISTERED = 102,
    ERR_INCONSISTENT_TOPIC_ID = 103,
    ERR_INCONSISTENT_CLUSTER_ID = 104,
    ERR_TRANSACTIONAL_ID_NOT_FOUND = 105,
    ERR_FETCH_SESSION_TOPIC_ID_ERROR = 106,
    ERR_INELIGIBLE_REPLICA = 107,
    ERR_NEW_LEADER_ELECTED = 108,
    ERR_OFFSET_MOVED_TO_TIERED_STORAGE = 109,
    ERR_FENCED_MEMBER_EPOCH = 110,
    ERR_UNRELEASED_INSTANCE_ID = 111,
    ERR_UNSUPPORTED_ASSIGNOR = 112,
    ERR_STALE_MEMBER_EPOCH = 113,
    ERR_MISMATCHED_ENDPOINT_TYPE = 114,
    ERR_UNSUPPORTED_ENDPOINT_TYPE = 115,
    ERR_UNKNOWN_CONTROLLER_ID = 116,
    ERR_UNKNOWN_SUBSCRIPTION_ID = 117,
    ERR_TELEMETRY_TOO_LARGE = 118,
    ERR_INVALID_REGISTRATION = 119,
    ERR_TRANSACTION_ABORTABLE = 120,
    ERR_INVALID_RECORD_STATE = 121,
    ERR_SHARE_SESSION_NOT_FOUND = 122,
    ERR_INVALID_SHARE_SESSION_EPOCH = 123,
    ERR_FENCED_STATE_EPOCH = 124,
    ERR_INVALID_VOTER_KEY = 125,
    ERR_DUPLICATE_VOTER = 126,
    ERR_VOTER_NOT_FOUND = 127,
    ERR_INVALID_REGULAR_EXPRESSION = 128,
    ERR_REBOOTSTRAP_REQUIRED = 129,
    ERR_STREAMS_INVALID_TOPOLOGY = 130,
    ERR_STREAMS_INVALID_TOPOLOGY_EPOCH = 131,
    ERR_STREAMS_TOPOLOGY_FENCED = 132,
    ERR_SHARE_SESSION_LIMIT_REACHED = 133,

    ERR_OWN_FIRST = 1000,
    ERR_PENDING,       /* not an error: it goes on, and the completion will be called */
    ERR_WOULD_BLOCK,   /* a socket has nothing to give, or takes no more, now */
    ERR_CLOSED,        /* the peer closed, or the object was shut down */
    ERR_REFUSED,       /* nobody listens there, or the host is unreachable */
    ERR_IN_USE,        /* an address, a lock or a name that somebody else holds */
    ERR_NOT_FOUND,     /* no such file, key or entry */
    ERR_EXISTS,        /* it is there already */
    ERR_ACCESS,        /* the operating system forbids it */
    ERR_NO_SPACE,      /* the disk, or a quota on it, is full */
    ERR_IO,            /* the device failed, or a file ended where it must not */
    ERR_NO_FILES,      /* no file descriptor left */
    ERR_NO_MEMORY,     /* a bound on memory was reached */
    ERR_CORRUPT,       /* bytes on disk are not what was written there */
    ERR_MALFORMED,     /* bytes from outside do not follow their format */
    ERR_UNSUPPORTED,   /* well formed, but of a kind or version we do not know */
    ERR_LIMIT,         /* more than a limit of base/limits.h allows */
    ERR_BUSY,          /* a queue or budget is full; later it may go */
    ERR_SHUTTING_DOWN, /* the node is on its way down */
    ERR_INVALID,       /* an argument or setting that cannot be */
    ERR_TIMED_OUT,
    ERR_OWN_LAST,
} err_t;

/* The name, "OFFSET_OUT_OF_RANGE" or "NO_SPACE"; "?" for a number that is none. */
const char *err_name(err_t err);

/* One sentence in English for people, without a full stop, so that it fits into a longer one. */
const char *err_text(err_t err);

/* The code that goes on the wire: itself for Kafka's, the mapped one for ours (one table). */
int16_t err_kafka_code(err_t err);

/* The error of a code from the wire; ERR_UNKNOWN_SERVER_ERROR for one we do not know. */
err_t err_from_kafka_code(int16_t code);

/* Whether Kafka's clients may try again after it. */
bool err_retriable(err_t err);
