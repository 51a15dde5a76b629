/*
 * The object graph of `ottla server`:
 *
 *   arguments ──► config ──► sys (Linux) ──► text log ──► node ──┬── reactors
 *                                                                └── http: /metrics /live /ready
 *
 * The first TERM, INT or HUP begins a controlled shutdown; the second ends the process at once,
 * which loses nothing that was acknowledged: the next start recovers.
 */
#include "bin/server.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "config/config.h"
#include "http/http.h"
#include "server/node.h"
#include "sys/linux.h"
#include "sys/socket.h"

static const char help[] =
    "usage: ottla server [server.properties] [--override KEY=VALUE]...\n"
    "       ottla server --help-config [-o json]\n"
    "\n"
    "Runs a node until it gets TERM or INT. Without a properties file it is a single node, broker\n"
    "and controller, on 127.0.0.1:9092, with its data under ./data, formatted on the first start.\n"
    "\n"
    "  --override KEY=VALUE   sets a key over the file's value; the last one wins\n"
    "  --help-config          prints every setting: type, range, default, and whether it is\n"
    "                         live (works), inert (known, without effect) or protective (would\n"
    "                         protect and is not enforced: setting it ends the start)\n"
    "\n"
    "  ottla server\n"
    "  ottla server server.properties --override log.dirs=/var/lib/ottla\n"
    "  curl -s http://127.0.0.1:8092/metrics\n";

struct server {
    struct sys *sys;
    struct config *config;
    struct text_log text_log;
    struct node *node;
    struct http_server *http;
    int signals;
    int code;
};

/* --- the text log --- */

static void write_line(void *arg, enum text_log_level level, const char *line, int size) {
    (void)arg;
    (void)level;
    (void)fwrite(line, 1, (size_t)size, stderr);
}

static int64_t wall_ms(void *arg) {
    return sys_wall_ms(((struct server *)arg)->sys);
}

static enum text_log_level parse_level(struct str text) {
    static const char *const names[] = {"error", "warn", "info", "debug"};
    for (int i = 0; i < 4; i++) {
        if (str_equal(text, str_from_c(names[i]))) {
            return (enum text_log_level)i;
        }
    }
    return TEXT_LOG_INFO;
}

static void start_text_log(struct server *server) {
    server->text_log = (struct text_log){
        .sink = write_line,
        .now_ms = wall_ms,
        .arg = server,
        .level = parse_level(config_str(server->config, CONFIG_OTTLA_LOG_LEVEL)),
        .json = str_equal(config_str(server->config, CONFIG_OTTLA_LOG_FORMAT), STR("json")),
    };
}

static void log_warnings(struct server *server, const struct config_report *report) {
    for (size_t i = 0; i < report->warning_count; i++) {
        text_log_warn(&server->text_log, "server", "%.*s", STR_ARGS(report->warnings[i]));
    }
}

/* --- HTTP --- */

static void serve_metrics(void *arg, const struct http_request *request,
                          struct http_response *response) {
    (void)request;
    struct server *server = arg;
    response->content_type = "text/plain; version=0.0.4; charset=utf-8";
    metrics_render(node_metrics(server->node), sys_mono_ms(server->sys), &response->body);
}

static void answer_state(struct http_response *response, bool fine, const char *yes,
                         const char *no) {
    response->status = fine ? 200 : 503;
    buffer_printf(&response->body, "%s\n", fine ? yes : no);
}

static void serve_live(void *arg, const struct http_request *request,
                       struct http_response *response) {
    (void)request;
    answer_state(response, node_is_live(((struct server *)arg)->node), "live", "not live");
}

static void serve_ready(void *arg, const struct http_request *request,
                        struct http_response *response) {
    (void)request;
    answer_state(response, node_is_ready(((struct server *)arg)->node), "ready", "not ready");
}

/* Why the listener cannot be served; a taken port names who has it. */
static void why_no_http(struct server *server, const char *listener, err_t err, char *ret_text,
                        size_t size) {
    const char *colon = strrchr(listener, ':');
    char holder[128];
    if (err == ERR_ACCESS) {
        (void)snprintf(ret_text, size,
                       "only loopback addresses are allowed, as nothing authenticates yet");
    } else if (err == ERR_IN_USE && colon != NULL &&
               sys_port_holder(server->sys, (uint16_t)atoi(colon + 1), holder, sizeof holder) ==
                   ERR_OK) {
        (void)snprintf(ret_text, size, "the port is held by %s", holder);
    } else {
        (void)snprintf(ret_text, size, "%s", err_text(err));
    }
}

static err_t start_http(struct server *server) {
    char listener[256];
    struct str setting = config_str(server->config, CONFIG_OTTLA_HTTP_LISTENER);
    if (setting.size == 0 || str_equal(setting, STR("none"))) {
        return ERR_OK;
    }
    (void)snprintf(listener, sizeof listener, "%.*s", STR_ARGS(setting));
    const struct http_route routes[] = {
        {"GET", "/metrics", serve_metrics, server},
        {"GET", "/live", serve_live, server},
        {"GET", "/ready", serve_ready, server},
    };
    err_t err = http_server_start(listener, routes, 3, &server->text_log, &server->http);
    if (err != ERR_OK) {
        char why[256];
        why_no_http(server, listener, err, why, sizeof why);
        text_log_error(&server->text_log, "http",
                       "ottla.http.listener=%s cannot be served: %s. Set it to another address, or "
                       "to none",
                       listener, why);
    }
    return err;
}

/* --- the node --- */

static void node_started(void *arg, err_t err, const char *text) {
    (void)text;
    struct server *server = arg;
    if (err != ERR_OK) {
        server->code = 1;
        node_stop(server->node);
    }
}

static void node_stopped(void *arg) {
    node_end_loops(((struct server *)arg)->node);
}

static void node_failed(void *arg, const char *text) {
    (void)text;
    struct server *server = arg;
    server->code = 1;
    node_stop(server->node);
}

static void on_signal(void *arg, int signal) {
    (void)signal;
    struct server *server = arg;
    if (++server->signals > 1) {
        text_log_warn(&server->text_log, "server", "Ending at once; the next start recovers");
        _Exit(1);
    }
    node_stop(server->node);
}

static int run_node(struct server *server, bool auto_format) {
    struct node_settings settings = {
        .sys = server->sys,
        .text_log = &server->text_log,
        .config = server->config,
        .auto_format = auto_format,
        .started = node_started,
        .stopped = node_stopped,
        .failed = node_failed,
        .arg = server,
    };
    err_t err = node_new(&settings, &server->node);
    if (err == ERR_OK) {
        err = sys_linux_on_signals(server->sys, node_loop(server->node), on_signal, server);
    }
    if (err == ERR_OK) {
        err = start_http(server);
    }
    if (err == ERR_OK) {
        err = node_start(server->node);
    }
    if (err == ERR_OK) {
        node_join(server->node);
    }
    http_server_stop(server->http);
    node_free(server->node);
    return err == ERR_OK ? server->code : 1;
}

/* --- arguments --- */

static int print_config_help(int argc, char **argv) {
    struct buffer out = {0};
    bool json = false;
    for (int i = 1; i + 1 < argc; i++) {
        json = json || (strcmp(argv[i], "-o") == 0 && strcmp(argv[i + 1], "json") == 0);
    }
    if (json) {
        config_help_json(&out);
    } else {
        config_help_text(&out);
    }
    (void)fwrite(out.data, 1, out.size, stdout);
    buffer_done(&out);
    return 0;
}

static int parse(int argc, char **argv, const char **ret_file, char **overrides,
                 int *ret_override_count) {
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--override") == 0 && i + 1 < argc) {
            overrides[(*ret_override_count)++] = argv[++i];
        } else if (argv[i][0] != '-' && *ret_file == NULL) {
            *ret_file = argv[i];
        } else {
            fprintf(stderr, "ottla server: %s: not understood\n\n%s", argv[i], help);
            return 2;
        }
    }
    return 0;
}

int run_server(int argc, char **argv) {
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
            fputs(help, stdout);
            return 0;
        }
        if (strcmp(argv[i], "--help-config") == 0) {
            return print_config_help(argc, argv);
        }
    }
    const char *file = NULL;
    char **overrides = calloc((size_t)argc, sizeof *overrides);
    int override_count = 0;
    struct server server = {.code = 0};
    struct config_report report;
    config_report_init(&report);
    int code = parse(argc, argv, &file, overrides, &override_count);
    if (code == 0 && sys_linux_new(&server.sys) != ERR_OK) {
        code = 1;
    }
    if (code == 0) {
        code =
            cli_config_load(server.sys, file, overrides, override_count, &report, &server.config);
    }
    if (code == 0) {
        start_text_log(&server);
        log_warnings(&server, &report);
        (void)sys_raise_file_limit(server.sys);
        code =
            run_node(&server, file == NULL || config_bool(server.config, CONFIG_OTTLA_AUTO_FORMAT));
    }
    config_report_done(&report);
    config_unref(server.config);
    sys_linux_free(server.sys);
    free(overrides);
    return code;
}
