/*
 * ottla rpc --script: many requests, one per line, on one connection.
 *
 * A line's request is done before the next line is read. A connection that ended, for whatever
 * reason, is told as the outcome of the request that found it so; the next request makes a new one.
 */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/rpc_int.h"
#include "sys/loop.h"
#include "wire/json.h"
#include "wire/messages.h"

struct script {
    const struct rpc *rpc;
    struct client_connection_settings settings;
    struct client_connection *connection; /* NULL: none now */
    struct sys_task stop_task;
    bool connecting;
    const struct wire_api *frame_api; /* how to show the answer to a frame; NULL: as it stands */
    int16_t frame_version;
    bool done;
    json_t *outcome; /* of the line that runs */
};

static void set_outcome(struct script *script, const char *kind, json_t *value) {
    json_decref(script->outcome);
    script->outcome = json_object();
    json_object_set_new(script->outcome, kind, value);
}

static void set_error(struct script *script, const char *text, size_t size) {
    set_outcome(script, "error", json_stringn_nocheck(text, size));
}

static void set_failure(struct script *script, err_t err) {
    /* A node that closes before it read all is seen as a reset. */
    if (err == ERR_CLOSED || err == ERR_IO) {
        set_outcome(script, "closed", json_true());
    } else {
        set_error(script, err_text(err), strlen(err_text(err)));
    }
    client_connection_free(script->connection);
    script->connection = NULL;
}

/* --- the connection --- */

static void run_until_done(struct script *script) {
    while (!script->done) {
        sys_loop_run(script->settings.loop);
    }
}

static void end_run(struct script *script) {
    script->done = true;
    sys_loop_stop(script->settings.loop);
}

static void on_state(void *arg, struct client_connection *connection, err_t state) {
    struct script *script = arg;
    (void)connection;
    (void)state;
    if (script->connecting) { /* else a call tells the same */
        script->connecting = false;
        end_run(script);
    }
}

/* A connection that is up, or the reason why there is none. */
static err_t connect(struct script *script) {
    if (script->connection == NULL) {
        script->done = false;
        script->connecting = true;
        script->connection = client_connection_new(&script->settings);
        run_until_done(script);
    }
    return client_connection_error(script->connection);
}

/* --- outcomes --- */

static void on_answer(void *arg, const struct client_response *response) {
    struct script *script = arg;
    if (response->err == ERR_OK) {
        const struct wire_api *api = wire_api(response->api_key);
        set_outcome(script, "answer",
                    wire_to_json(api->response, response->version, response->message));
    } else {
        script->outcome = json_integer(response->err);
    }
    end_run(script);
}

static json_t *show_hex(struct bytes frame) {
    char *hex = malloc(frame.size * 2 + 1);
    for (size_t i = 0; i < frame.size; i++) {
        snprintf(hex + 2 * i, 3, "%02x", frame.data[i]);
    }
    json_t *json = json_stringn(hex, frame.size * 2);
    free(hex);
    return json;
}

/* The answer in a frame; NULL when it is another. */
static json_t *read_frame(const struct wire_api *api, int16_t version, struct bytes frame) {
    struct arena arena;
    struct response_header header;
    size_t used = 0;
    arena_init(&arena, SIZE_MAX);
    json_t *json = NULL;
    void *message = arena_alloc_zero(&arena, wire_struct_size(api->response));
    err_t err = wire_decode(&response_header_type, wire_response_header_version(api->key, version),
                            frame, &arena, &header, &used);
    struct bytes body = {.data = frame.data + used, .size = frame.size - used};
    if (err == ERR_OK) {
        err = wire_decode(api->response, version, body, &arena, message, &used);
    }
    if (err == ERR_OK && used == body.size) {
        json = wire_to_json(api->response, version, message);
    }
    arena_done(&arena);
    return json;
}

static void on_frame(void *arg, const struct client_response *response) {
    struct script *script = arg;
    json_t *answer = NULL;
    if (response->err != ERR_OK) {
        script->outcome = json_integer(response->err);
    } else if (script->frame_api != NULL) {
        answer = read_frame(script->frame_api, script->frame_version, response->frame);
    }
    if (answer != NULL) {
        set_outcome(script, "answer", answer);
    } else if (response->err == ERR_OK) {
        set_outcome(script, "frame", show_hex(response->frame));
    }
    end_run(script);
}

/* Runs until the call that was begun has its outcome. A failed one left its error's number: what
 * it means is said here, outside of the connection's functions. */
static void finish_call(struct script *script, err_t begun) {
    if (begun == ERR_OK) {
        run_until_done(script);
        if (json_is_integer(script->outcome)) {
            begun = (err_t)json_integer_value(script->outcome);
            json_decref(script->outcome);
            script->outcome = NULL;
        }
    }
    if (begun != ERR_OK) {
        set_failure(script, begun);
    }
}

/* --- lines --- */

static void stop(struct sys_task *task) {
    end_run(container_of(task, struct script, stop_task));
}

static bool is_answered(const struct wire_api *api, const void *request) {
    return api->key != API_PRODUCE || ((const struct produce_request *)request)->acks != 0;
}

static void send_request(struct script *script, const struct wire_api *api, int16_t version,
                         const void *request) {
    err_t err = connect(script);
    script->done = false;
    if (err == ERR_OK && is_answered(api, request)) {
        err = client_connection_send(script->connection, api->key, version, request, on_answer,
                                     script);
    } else if (err == ERR_OK) {
        err = client_connection_send_forget(script->connection, api->key, version, request, NULL,
                                            NULL);
        script->stop_task.run = stop; /* comes after what the connection posted to write it */
        sys_loop_post(script->settings.loop, &script->stop_task);
        set_outcome(script, "none", json_true());
    }
    finish_call(script, err);
}

static void run_request(struct script *script, struct str name, const char *text) {
    const struct wire_api *api;
    int16_t version;
    if (!rpc_parse_api(name, &api, &version)) {
        set_error(script, "no such API; ottla rpc --list prints them", 41);
        return;
    }
    json_error_t error;
    json_t *json = json_loads(*text == '\0' ? "{}" : text, JSON_REJECT_DUPLICATES, &error);
    if (json == NULL) {
        set_error(script, error.text, strlen(error.text));
        return;
    }
    struct arena arena;
    struct buffer why = {0};
    arena_init(&arena, SIZE_MAX);
    version = version < 0 ? api->versions.high : version;
    void *request = rpc_make_request(api, version, json, &arena, &why);
    if (request == NULL) {
        set_error(script, (const char *)why.data, why.size);
    } else {
        send_request(script, api, version, request);
    }
    buffer_done(&why);
    arena_done(&arena);
    json_decref(json);
}

static bool read_hex(struct str text, struct buffer *out) {
    for (size_t i = 0; i < text.size; i += 2) {
        char digits[3] = {text.data[i], i + 1 < text.size ? text.data[i + 1] : '\0', '\0'};
        if (!isxdigit((unsigned char)digits[0]) || !isxdigit((unsigned char)digits[1])) {
            return false;
        }
        *buffer_extend(out, 1) = (uint8_t)strtoul(digits, NULL, 16);
    }
    return true;
}

static void send_frame(struct script *script, struct bytes frame) {
    err_t err = connect(script);
    script->done = false;
    if (err == ERR_OK) {
        err = client_connection_send_frame(script->connection, frame, on_frame, script);
    }
    finish_call(script, err);
}

/* text: hexadecimal digits, and maybe how to read the answer */
static void run_frame(struct script *script, const char *text) {
    struct str hex = {.data = text, .size = strcspn(text, " ")};
    const char *as = text + hex.size + strspn(text + hex.size, " ");
    struct buffer frame = {0};
    script->frame_api = NULL;
    if (!read_hex(hex, &frame)) {
        set_error(script, "a frame is written in hexadecimal", 33);
    } else if (*as != '\0' &&
               !rpc_parse_api(str_from_c(as), &script->frame_api, &script->frame_version)) {
        set_error(script, "no such API; ottla rpc --list prints them", 41);
    } else {
        send_frame(script, buffer_bytes(&frame));
    }
    buffer_done(&frame);
}

static void run_line(struct script *script, char *line) {
    size_t size = strcspn(line, " ");
    struct str name = {.data = line, .size = size};
    const char *rest = line + size + strspn(line + size, " ");
    if (str_equal(name, STR("frame"))) {
        run_frame(script, rest);
    } else {
        run_request(script, name, rest);
    }
    json_dumpf(script->outcome, stdout, JSON_COMPACT | JSON_PRESERVE_ORDER);
    putchar('\n');
    fflush(stdout);
    json_decref(script->outcome);
    script->outcome = NULL;
}

int rpc_script(const struct rpc *rpc, const struct client_connection_settings *settings) {
    FILE *file = strcmp(rpc->script, "-") == 0 ? stdin : fopen(rpc->script, "re");
    if (file == NULL) {
        fprintf(stderr, "%s: the script cannot be read\n", rpc->script);
        return 2;
    }
    struct script script = {.rpc = rpc, .settings = *settings};
    script.settings.negotiate = false;
    script.settings.on_state = on_state;
    script.settings.arg = &script;
    char *line = NULL;
    size_t capacity = 0;
    while (getline(&line, &capacity, file) >= 0) {
        line[strcspn(line, "\r\n")] = '\0';
        if (line[0] != '\0' && line[0] != '#') {
            run_line(&script, line);
        }
    }
    free(line);
    client_connection_free(script.connection);
    if (file != stdin) {
        (void)fclose(file);
    }
    return 0;
}
