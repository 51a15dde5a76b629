#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * libottla: what all parts of the client share: errors, bytes, records, settings, the client.
 *
 * Nothing here starts a thread. A `struct ottla_client` owns an event loop and the connections; the
 * producers, consumers and administrators made from it live on it. All calls for a client and for
 * what was made from it come from one thread at a time. Work is done inside the calls that run the
 * loop: ottla_client_run, and every call said to wait. Functions of the caller (deliveries,
 * rebalances, answers) are called from there, and never from a call that does not wait.
 *
 * A program with an event loop of its own watches ottla_client_fd, and calls ottla_client_run with
 * timeout 0 when the descriptor is readable or ottla_client_deadline_ms is over.
 */
#ifdef __cplusplus
extern "C" {
#endif

/* --- errors --- */

/*
 * 0 is success. Kafka's errors have Kafka's numbers (-1 and 1 to 999).
 * These are the client's own.
 */
enum ottla_code {
    OTTLA_OK = 0,
    OTTLA_PENDING = 1001,   /* it goes on; the function given will be called */
    OTTLA_CLOSED = 1003,    /* what it was asked of was closed meanwhile */
    OTTLA_REFUSED = 1004,   /* nobody listens at that address */
    OTTLA_NOT_FOUND = 1006, /* no such thing, known without asking a broker */
    OTTLA_EXISTS = 1007,
    OTTLA_IO = 1010,
    OTTLA_NO_MEMORY = 1012,   /* a bound on memory was reached */
    OTTLA_MALFORMED = 1014,   /* a broker's answer does not follow the protocol */
    OTTLA_UNSUPPORTED = 1015, /* the broker, or this library, has no such thing */
    OTTLA_LIMIT = 1016,       /* an answer larger than allowed */
    OTTLA_BUSY = 1017,        /* a queue is full: run the client, then try again */
    OTTLA_INVALID = 1019,     /* an argument or a setting that cannot be */
    OTTLA_TIMED_OUT = 1020,
};

/* "TOPIC_ALREADY_EXISTS", "TIMED_OUT"; one sentence in English, without a full stop. */
const char *ottla_code_name(int code);
const char *ottla_code_text(int code);
/* Whether the same may succeed later, as nothing is wrong with what was asked. */
bool ottla_code_retriable(int code);

/* What went wrong, for people. The text names the broker or topic, and what can be done. A function
 * fills in *ret_error when it returns anything but OTTLA_OK; NULL is accepted. */
enum { OTTLA_ERROR_TEXT_SIZE = 512 };
struct ottla_error {
    int code;
    char text[OTTLA_ERROR_TEXT_SIZE];
};

/* --- bytes and records --- */

/* data NULL is Kafka's null; an empty value has data that is not NULL. */
struct ottla_bytes {
    const void *data;
    size_t size;
};

struct ottla_header {
    const char *key; /* key_size bytes of UTF-8; zero-terminated where the library gives it */
    size_t key_size;
    struct ottla_bytes value;
};

enum ottla_timestamp_type { OTTLA_CREATE_TIME = 0, OTTLA_LOG_APPEND_TIME = 1 };

enum {
    OTTLA_PARTITION_ANY = -1,
    OTTLA_TIMESTAMP_NOW = -1,
    OTTLA_OFFSET_EARLIEST = -2,
    OTTLA_OFFSET_LATEST = -1,
    OTTLA_OFFSET_NONE = -1001, /* nothing is committed there */
};

/* The fields below the blank line are those of a consumed record; producing does not look at them.
 */
struct ottla_record {
    const char *topic;
    int32_t partition;    /* OTTLA_PARTITION_ANY: the partitioner chooses */
    int64_t timestamp_ms; /* of the epoch; OTTLA_TIMESTAMP_NOW */
    struct ottla_bytes key;
    struct ottla_bytes value;
    const struct ottla_header *headers;
    size_t header_count;

    int64_t offset;
    int32_t leader_epoch; /* -1: not known */
    enum ottla_timestamp_type timestamp_type;
};

struct ottla_partition {
    const char *topic;
    int32_t partition;
};

struct ottla_position {
    const char *topic;
    int32_t partition;
    int64_t offset;       /* of the next record to read; or OTTLA_OFFSET_… where allowed */
    int32_t leader_epoch; /* -1: not known */
    const char *metadata; /* of a commit; may be NULL */
    int code;             /* of this partition, in answers */
};

/* --- settings --- */

/*
 * Settings have the names, types, ranges and defaults of Kafka's clients (bootstrap.servers, acks,
 * group.id …); one set serves a client and all that is made from it. A name that only the Java
 * classes know is taken and has no effect; one that would protect and that this library does not
 * have yet is refused. `man ottla-client` lists them.
 */
struct ottla_config;

struct ottla_config *ottla_config_new(void);
struct ottla_config *ottla_config_copy(const struct ottla_config *config);
void ottla_config_free(struct ottla_config *config); /* accepts NULL */

/* OTTLA_INVALID: the value, OTTLA_NOT_FOUND: the name, with the nearest name in the text;
 * OTTLA_UNSUPPORTED. value NULL: back to the default. */
int ottla_config_set(struct ottla_config *config, const char *name, const char *value,
                     struct ottla_error *ret_error);

/* All of a properties file (Java's syntax). The first error ends it. */
int ottla_config_read(struct ottla_config *config, const char *path, struct ottla_error *ret_error);

/* The value in force as text; NULL when the name is not known or the value is null. Good until the
 * next call that changes it. */
const char *ottla_config_get(const struct ottla_config *config, const char *name);

/* The table: name, default and a line of help by index; false behind the last. */
struct ottla_config_row {
    const char *name;
    const char *type;
    const char *default_text; /* NULL: none */
    const char *valid;        /* NULL: anything */
    const char *help;
    bool effect; /* false: taken, without effect here */
};
bool ottla_config_row(size_t index, struct ottla_config_row *ret_row);

/* --- client --- */

struct ottla_client;

/* The config is copied. Connects to nobody yet. OTTLA_INVALID: settings that do not fit together.
 */
int ottla_client_new(const struct ottla_config *config, struct ottla_client **ret_client,
                     struct ottla_error *ret_error);

/* After all that was made from it. Accepts NULL. */
void ottla_client_free(struct ottla_client *client);

/* Waits up to timeout_ms for something to happen (-1: without limit), and does all that is ready.
 */
void ottla_client_run(struct ottla_client *client, int64_t timeout_ms);

/* To be watched for reading; never read from it. The same for the client's whole life. */
int ottla_client_fd(const struct ottla_client *client);

/* When ottla_client_run wants to be called though the descriptor is not readable, in milliseconds
 * of CLOCK_MONOTONIC; INT64_MAX: not at all. */
int64_t ottla_client_deadline_ms(const struct ottla_client *client);

/* From any thread or signal handler: the call that waits now, or the next one, returns OTTLA_CLOSED
 * (ottla_client_run just returns). */
void ottla_client_interrupt(struct ottla_client *client);

/* What happens beside the calls: a broker that cannot be reached, a group's coordinator that moved,
 * a fenced producer. NULL: nobody is told. The text is good inside the call. */
enum ottla_log_level { OTTLA_LOG_ERROR, OTTLA_LOG_WARNING, OTTLA_LOG_INFO, OTTLA_LOG_DEBUG };
typedef void (*ottla_log_fn)(void *arg, enum ottla_log_level level, const char *text);
void ottla_client_on_log(struct ottla_client *client, ottla_log_fn fn, void *arg);

/* Waits until the metadata of a topic is known. UNKNOWN_TOPIC_OR_PARTITION: there is none;
 * OTTLA_TIMED_OUT; OTTLA_CLOSED when interrupted. */
int ottla_client_partition_count(struct ottla_client *client, const char *topic, int64_t timeout_ms,
                                 int32_t *ret_count, struct ottla_error *ret_error);

#ifdef __cplusplus
}
#endif
