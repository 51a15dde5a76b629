/* Tools and the cluster: connecting, waiting, and errors as Kafka's tools name them. */
#include <assert.h>
#include <ctype.h>
#include <string.h>

#include "base/err.h"
#include "cli/kafka/tool_int.h"

static int set(const struct tool *tool, struct ottla_config *config, const char *name,
               const char *value) {
    struct ottla_error error;
    return value == NULL || ottla_config_set(config, name, value, &error) == OTTLA_OK
               ? TOOL_DONE
               : tool_fail(tool, "%s", error.text);
}

/* The file's settings; one that is not there is told by its name alone. */
static int read_file(const struct tool *tool, struct ottla_config *config, const char *path) {
    FILE *file = fopen(path, "re");
    if (file == NULL) {
        return tool_fail(tool, "%s", path);
    }
    fclose(file);
    struct ottla_error error;
    return ottla_config_read(config, path, &error) == OTTLA_OK ? TOOL_DONE
                                                               : tool_fail(tool, "%s", error.text);
}

static int configure(const struct tool *tool, struct ottla_config *config) {
    const char *path = tool_text_of(tool, "command-config");
    if (path == NULL && strcmp(tool->kind->name, "kafka-cluster") == 0) {
        path = tool_text_of(tool, "config"); /* what it was called before */
    }
    const char *servers = tool_text_of(tool, "bootstrap-server");
    const char *controllers = tool_text_of(tool, "bootstrap-controller");
    int code = path == NULL ? TOOL_DONE : read_file(tool, config, path);
    if (code == TOOL_DONE) {
        code = set(tool, config, "bootstrap.servers", controllers != NULL ? "" : servers);
    }
    if (code == TOOL_DONE) {
        code = set(tool, config, "bootstrap.controllers",
                   controllers == NULL && servers != NULL ? "" : controllers);
    }
    return code;
}

int tool_connect(struct tool *tool, struct ottla_client **ret_client) {
    struct ottla_config *config = ottla_config_new();
    struct ottla_error error;
    int code = configure(tool, config);
    if (code == TOOL_DONE && ottla_client_new(config, &tool->client, &error) != OTTLA_OK) {
        code = tool_fail(tool, "Failed to create new KafkaAdminClient\n%s", error.text);
    }
    ottla_config_free(config);
    *ret_client = tool->client;
    return code;
}

int tool_wait(struct tool *tool, struct ottla_call *call, struct ottla_error *ret_error) {
    assert(tool->call_count < TOOL_CALLS_MAX);
    tool->calls[tool->call_count++] = call;
    return ottla_call_wait(call, -1, ret_error);
}

/* --- names of errors --- */

/* Where the class is not called as the error. */
static const struct {
    err_t err;
    const char *name;
} unusual[] = {
    {ERR_UNKNOWN_SERVER_ERROR, "UnknownServerException"},
    {ERR_CORRUPT_MESSAGE, "CorruptRecordException"},
    {ERR_REQUEST_TIMED_OUT, "TimeoutException"},
    {ERR_MESSAGE_TOO_LARGE, "RecordTooLargeException"},
    {ERR_STALE_CONTROLLER_EPOCH, "ControllerMovedException"},
    {ERR_OFFSET_METADATA_TOO_LARGE, "OffsetMetadataTooLarge"},
    {ERR_NETWORK_EXCEPTION, "NetworkException"},
    {ERR_INVALID_TOPIC_EXCEPTION, "InvalidTopicException"},
    {ERR_RECORD_LIST_TOO_LARGE, "RecordBatchTooLargeException"},
    {ERR_TOPIC_AUTHORIZATION_FAILED, "TopicAuthorizationException"},
    {ERR_GROUP_AUTHORIZATION_FAILED, "GroupAuthorizationException"},
    {ERR_CLUSTER_AUTHORIZATION_FAILED, "ClusterAuthorizationException"},
    {ERR_TOPIC_ALREADY_EXISTS, "TopicExistsException"},
    {ERR_INVALID_CONFIG, "InvalidConfigurationException"},
    {ERR_OUT_OF_ORDER_SEQUENCE_NUMBER, "OutOfOrderSequenceException"},
    {ERR_DUPLICATE_SEQUENCE_NUMBER, "DuplicateSequenceException"},
    {ERR_INVALID_PRODUCER_ID_MAPPING, "InvalidPidMappingException"},
    {ERR_INVALID_TRANSACTION_TIMEOUT, "InvalidTxnTimeoutException"},
    {ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED, "TransactionalIdAuthorizationException"},
    {ERR_KAFKA_STORAGE_ERROR, "KafkaStorageException"},
    {ERR_SASL_AUTHENTICATION_FAILED, "SaslAuthenticationException"},
    {ERR_DELEGATION_TOKEN_AUTH_DISABLED, "DelegationTokenDisabledException"},
    {ERR_DELEGATION_TOKEN_REQUEST_NOT_ALLOWED, "UnsupportedByAuthenticationException"},
    {ERR_DELEGATION_TOKEN_AUTHORIZATION_FAILED, "DelegationTokenAuthorizationException"},
    {ERR_NON_EMPTY_GROUP, "GroupNotEmptyException"},
    {ERR_PRINCIPAL_DESERIALIZATION_FAILURE, "PrincipalDeserializationException"},
    {ERR_FETCH_SESSION_TOPIC_ID_ERROR, "FetchSessionTopicIdException"},
    {ERR_INVALID_REGULAR_EXPRESSION, "InvalidRegularExpression"},
    {ERR_TIMED_OUT, "TimeoutException"},
    {ERR_UNSUPPORTED, "UnsupportedVersionException"},
};

/* "POLICY_VIOLATION" to "PolicyViolation" */
static char *camel(struct arena *arena, const char *name) {
    char *text = arena_c_str(arena, str_from_c(name));
    size_t size = 0;
    for (size_t i = 0; name[i] != '\0'; i++) {
        bool first = i == 0 || name[i - 1] == '_';
        if (name[i] != '_') {
            text[size++] = (char)(first ? name[i] : tolower((unsigned char)name[i]));
        }
    }
    text[size] = '\0';
    return text;
}

/* What Kafka says of an error when the broker gives no words of its own; scripts look for some. */
static const struct {
    err_t err;
    const char *text;
} texts[] = {
    {ERR_OFFSET_OUT_OF_RANGE,
     "The requested offset is not within the range of offsets maintained by the server."},
    {ERR_UNKNOWN_TOPIC_OR_PARTITION, "This server does not host this topic-partition."},
    {ERR_INVALID_TOPIC_EXCEPTION,
     "The request attempted to perform an operation on an invalid topic."},
    {ERR_INVALID_GROUP_ID, "The group id is invalid."},
    {ERR_POLICY_VIOLATION, "Request parameters do not satisfy the configured policy."},
    {ERR_NON_EMPTY_GROUP, "The group is not empty."},
    {ERR_GROUP_ID_NOT_FOUND, "The group id does not exist."},
    {ERR_GROUP_SUBSCRIBED_TO_TOPIC, "Deleting offsets of a topic is forbidden while the consumer "
                                    "group is actively subscribed to it."},
};

const char *tool_error_text(int code, const char *text) {
    bool own = strcmp(text, ottla_code_text(code)) == 0;
    for (size_t i = 0; own && i < sizeof texts / sizeof texts[0]; i++) {
        if ((int)texts[i].err == code) {
            return texts[i].text;
        }
    }
    return text;
}

const char *tool_unlabelled(const struct ottla_error *error) {
    const char *colon = strstr(error->text, ": ");
    return tool_error_text(error->code, colon == NULL ? error->text : colon + 2);
}

const char *tool_exception(struct tool *tool, int code) {
    for (size_t i = 0; i < sizeof unusual / sizeof unusual[0]; i++) {
        if ((int)unusual[i].err == code) {
            return arena_printf(&tool->arena, "org.apache.kafka.common.errors.%s", unusual[i].name)
                .data;
        }
    }
    return arena_printf(&tool->arena, "org.apache.kafka.common.errors.%sException",
                        camel(&tool->arena, ottla_code_name(code)))
        .data;
}

const char *tool_capital(struct tool *tool, const char *word) {
    if (word[0] == '\0') {
        return "Unknown";
    }
    char *text = arena_c_str(&tool->arena, str_from_c(word));
    text[0] = (char)toupper((unsigned char)text[0]);
    return text;
}
