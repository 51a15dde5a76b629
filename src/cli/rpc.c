/*
 * ottla rpc HOST:PORT Api[:version] '{json}': sends one request and prints the answer as JSON. The
 * field names are those of the protocol's schemas in camelCase; fields left out have their
 * defaults. `-` reads the JSON from standard input.
 */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/rpc_int.h"
#include "sys/linux.h"
#include "wire/json.h"
#include "wire/messages.h"

static const char help[] =
    "usage: ottla rpc HOST:PORT API[:VERSION] [JSON | -] [--timeout SECONDS]\n"
    "       ottla rpc HOST:PORT --script FILE [--timeout SECONDS]\n"
    "       ottla rpc --list\n"
    "\n"
    "Sends a request of Kafka's protocol and prints the answer as JSON.\n"
    "\n"
    "  ottla rpc localhost:9092 ApiVersions\n"
    "  ottla rpc localhost:9092 Metadata '{\"topics\":[{\"name\":\"orders\"}]}'\n"
    "  ottla rpc localhost:9092 CreateTopics:7 \\\n"
    "      '{\"topics\":[{\"name\":\"orders\",\"numPartitions\":3,\"replicationFactor\":1}]}'\n"
    "\n"
    "Without a version the highest that both sides know is used. Fields that are left out have\n"
    "the defaults of the protocol. --list prints the APIs and their versions.\n"
    "\n"
    "A script (`-` reads standard input) has one request per line, all on one connection,\n"
    "which is made anew after the node closed it. One line of JSON comes out for each:\n"
    "\n"
    "  Metadata:12 {\"topics\":null}      {\"answer\": ...}, {\"closed\": true}, {\"error\": "
    "...},\n"
    "                                    or {\"none\": true} for Produce with acks=0\n"
    "  frame 00120063... [API:VERSION]   a frame in hexadecimal, sent as it stands:\n"
    "                                    {\"frame\": ...}, or the answer read as this API's\n";

static int fail(const char *format, const char *what) {
    fprintf(stderr, format, what);
    fputc('\n', stderr);
    return 1;
}

static int list_apis(void) {
    for (int16_t key = 0; key < API_KEYS_MAX; key++) {
        const struct wire_api *api = wire_api(key);
        if (api != NULL && api->request != NULL) {
            printf("%3d %-32s %d-%d\n", key, api->name, api->versions.low, api->versions.high);
        }
    }
    return 0;
}

static bool parse_address(struct rpc *rpc) {
    struct str host;
    if (!client_server_parse(str_from_c(rpc->address), &host, &rpc->port)) {
        return false;
    }
    memcpy(rpc->host, host.data, host.size);
    rpc->host[host.size] = '\0';
    return true;
}

/* Whole seconds, at least one. */
static bool parse_timeout(const char *text, int64_t *ret_ms) {
    enum { DIGITS_MAX = 9 };
    size_t digits = strspn(text, "0123456789");
    if (digits == 0 || digits > DIGITS_MAX || text[digits] != '\0') {
        return false;
    }
    *ret_ms = strtol(text, NULL, 10) * 1000;
    return *ret_ms > 0;
}

bool rpc_parse_api(struct str text, const struct wire_api **ret_api, int16_t *ret_version) {
    const char *colon = text.size == 0 ? NULL : memchr(text.data, ':', text.size);
    struct str name = {.data = text.data,
                       .size = colon == NULL ? text.size : (size_t)(colon - text.data)};
    int32_t version = -1;
    if (colon != NULL) {
        version = 0;
        for (const char *digit = colon + 1; digit < text.data + text.size; digit++) {
            if (*digit < '0' || *digit > '9' || version > INT16_MAX) {
                return false;
            }
            version = version * 10 + (*digit - '0');
        }
        if (colon + 1 == text.data + text.size || version > INT16_MAX) {
            return false;
        }
    }
    *ret_api = wire_api_by_name(name);
    *ret_version = (int16_t)version;
    return *ret_api != NULL && (*ret_api)->request != NULL;
}

static int parse_arguments(int argc, char **argv, struct rpc *rpc) {
    const char *plain[3] = {NULL};
    int count = 0;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            fputs(help, stdout);
            exit(0);
        } else if (strcmp(argv[i], "--list") == 0) {
            exit(list_apis());
        } else if (strcmp(argv[i], "--timeout") == 0 && i + 1 < argc) {
            if (!parse_timeout(argv[++i], &rpc->timeout_ms)) {
                return 1 + fail("--timeout %s: this is no number of seconds", argv[i]);
            }
        } else if (strcmp(argv[i], "--script") == 0 && i + 1 < argc) {
            rpc->script = argv[++i];
        } else if (count < 3) {
            plain[count++] = argv[i];
        } else {
            count = 4;
        }
    }
    if (rpc->script != NULL ? count != 1 : count < 2 || count > 3) {
        fputs(help, stderr);
        return 2;
    }
    rpc->address = plain[0];
    rpc->api_text = plain[1];
    rpc->json_text = plain[2] == NULL ? "{}" : plain[2];
    if (!parse_address(rpc)) {
        return 1 + fail("%s: write the address as HOST:PORT", rpc->address);
    }
    if (rpc->script == NULL &&
        !rpc_parse_api(str_from_c(rpc->api_text), &rpc->api, &rpc->version)) {
        return 1 + fail("%s: no such API; ottla rpc --list prints them", rpc->api_text);
    }
    return 0;
}

static json_t *parse_json(const struct rpc *rpc) {
    json_error_t error;
    json_t *json = strcmp(rpc->json_text, "-") == 0
                       ? json_loadf(stdin, JSON_REJECT_DUPLICATES, &error)
                       : json_loads(rpc->json_text, JSON_REJECT_DUPLICATES, &error);
    if (json == NULL) {
        fprintf(stderr, "The request is not JSON: %s (line %d, column %d)\n", error.text,
                error.line, error.column);
    }
    return json;
}

static int print_answer(const struct rpc *rpc, int16_t version, const void *message) {
    json_t *answer = wire_to_json(rpc->api->response, version, message);
    if (answer == NULL) {
        return fail("%s: the answer cannot be shown", rpc->api->name);
    }
    json_dumpf(answer, stdout, JSON_INDENT(2) | JSON_PRESERVE_ORDER);
    putchar('\n');
    json_decref(answer);
    return 0;
}

void *rpc_make_request(const struct wire_api *api, int16_t version, const json_t *json,
                       struct arena *arena, struct buffer *error) {
    void *request = arena_alloc_zero(arena, wire_struct_size(api->request));
    err_t err = wire_from_json(api->request, version, json, arena, request, error);
    if (err != ERR_OK && error->size == 0) {
        buffer_add_str(error, str_from_c(err_text(err)));
    }
    return err == ERR_OK ? request : NULL;
}

/* Why a call was not sent, or what became of it. */
static int fail_call(const struct rpc *rpc, int16_t version, err_t err) {
    const struct wire_versions known = rpc->api->versions;
    if (err == ERR_UNSUPPORTED_VERSION && version < 0) {
        fprintf(stderr, "%s: %s is not served there in a version from %d to %d\n", rpc->address,
                rpc->api->name, known.low, known.high);
    } else if (version < 0) {
        fprintf(stderr, "%s: %s (%s)\n", rpc->address, err_text(err), err_name(err));
    } else {
        fprintf(stderr, "%s %s:%d: %s (%s)\n", rpc->address, rpc->api->name, version, err_text(err),
                err_name(err));
    }
    return 1;
}

/* A broker refuses an ApiVersions request that does not say who asks. */
static void introduce(struct api_versions_request *hello) {
    if (hello->client_software_name.size == 0) {
        hello->client_software_name = STR("ottla");
    }
    if (hello->client_software_version.size == 0) {
        hello->client_software_version = STR("1");
    }
}

static int call(const struct rpc *rpc, const json_t *json, struct client_connection *connection,
                struct arena *arena) {
    int16_t version = rpc->version;
    if (version < 0) {
        /* Any call brings the connection up; ApiVersions is asked anyway. */
        struct api_versions_request hello;
        void *ignored;
        wire_init(&api_versions_request_type, &hello);
        introduce(&hello);
        err_t err = client_call_blocking(connection, API_API_VERSIONS, -1, &hello, arena, &ignored);
        if (err == ERR_OK) {
            err = client_connection_version(connection, rpc->api->key, &version);
        }
        if (err != ERR_OK) {
            return fail_call(rpc, -1, err);
        }
    }
    if (!wire_versions_have(rpc->api->versions, version)) {
        fprintf(stderr, "%s:%d: the versions of this API are %d to %d\n", rpc->api->name, version,
                rpc->api->versions.low, rpc->api->versions.high);
        return 2;
    }
    struct buffer error = {0};
    void *request = rpc_make_request(rpc->api, version, json, arena, &error);
    if (request == NULL) {
        fprintf(stderr, "%s:%d: %.*s\n", rpc->api->name, version, (int)error.size,
                (const char *)error.data);
        buffer_done(&error);
        return 2;
    }
    buffer_done(&error);
    if (rpc->api->key == API_API_VERSIONS && version >= 3) {
        introduce(request);
    }
    void *answer;
    err_t err = client_call_blocking(connection, rpc->api->key, version, request, arena, &answer);
    if (err != ERR_OK) {
        return fail_call(rpc, version, err);
    }
    return print_answer(rpc, version, answer);
}

static int run(struct sys *sys, struct sys_loop *loop, const struct rpc *rpc, const json_t *json) {
    struct sys_address addresses[8];
    size_t count = 0;
    err_t err = sys_resolve(sys, rpc->host, rpc->port, addresses, 8, &count);
    if (err != ERR_OK || count == 0) {
        return fail("%s: this host name cannot be resolved", rpc->host);
    }
    struct client_connection_settings settings = {
        .sys = sys,
        .loop = loop,
        .addresses = addresses,
        .address_count = count,
        .client_id = "ottla-rpc",
        .request_timeout_ms = rpc->timeout_ms,
        .negotiate = rpc->version < 0,
    };
    if (rpc->script != NULL) {
        return rpc_script(rpc, &settings);
    }
    struct arena arena;
    arena_init(&arena, SIZE_MAX);
    struct client_connection *connection = client_connection_new(&settings);
    int code = call(rpc, json, connection, &arena);
    client_connection_free(connection);
    arena_done(&arena);
    return code;
}

int cli_rpc(int argc, char **argv) {
    struct rpc rpc = {.timeout_ms = CLIENT_REQUEST_TIMEOUT_MS, .version = -1};
    int code = parse_arguments(argc, argv, &rpc);
    if (code != 0) {
        return code;
    }
    json_t *json = rpc.script == NULL ? parse_json(&rpc) : NULL;
    if (json == NULL && rpc.script == NULL) {
        return 2;
    }
    struct sys *sys = NULL;
    struct sys_loop *loop = NULL;
    err_t err = sys_linux_new(&sys);
    if (err == ERR_OK) {
        err = sys_loop_new(sys, "rpc", &loop);
    }
    code = err == ERR_OK ? run(sys, loop, &rpc, json) : fail("%s", err_text(err));
    sys_loop_free(loop);
    sys_linux_free(sys);
    json_decref(json);
    return code;
}
