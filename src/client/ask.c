/*
 * The life of an ask.
 *
 *   state        the ask is                       left by
 *   ----------   ------------------------------   -------------------------------------------------
 *   READY        in client->ready                 the client's turn: client_ask_route
 *   UNKNOWN      in client->unknown               metadata came or failed ─► READY
 *   UNKNOWN_CO   in coordinator->waiting          found ─► READY; not found ─► failed
 *   CONNECTING   in line->waiting                 up ─► transmit; down ─► failed
 *   SENT         with the connection              answer ─► judged; connection lost ─► failed
 *   PAUSED       with its timer                   ─► READY
 *
 * Invariants
 *   1. `done` is called once, from a turn of the loop (or client_free), unless it was cancelled.
 *   2. Between two tries there is a pause, or an event that is paced itself (metadata, a
 *      connection): a broker that errs for ever costs no more than that.
 *   3. When the next try would begin behind the deadline, the answer at hand is handed over with
 *      the error in it: it says more than TIMED_OUT.
 *   4. What the connection has cannot be taken back: an ask that is over meanwhile stays in memory
 *      until the connection has told of it.
 */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/core_int.h"
#include "wire/api.h"

static void time_over(struct sys_timer *timer);

/* --- life --- */

static char *copy_key(struct str key) {
    char *copy = malloc(key.size + 1);
    memcpy(copy, key.size == 0 ? "" : key.data, key.size);
    copy[key.size] = 0;
    return copy;
}

struct client_asked *client_ask(struct ottla_client *client, const struct client_ask *ask) {
    assert(ask->done != NULL);
    assert((ask->request == NULL) != (ask->build == NULL));
    struct client_asked *asked = calloc(1, sizeof *asked);
    asked->client = client;
    asked->ask = *ask;
    asked->key = copy_key(ask->key);
    asked->ask.key.data = asked->key;
    int64_t timeout_ms =
        ask->timeout_ms > 0 ? ask->timeout_ms : client->settings.default_api_timeout_ms;
    asked->deadline_ms = sys_mono_ms(client->sys) + timeout_ms;
    asked->timer.fire = time_over;
    list_add_last(&client->asks, &asked->all);
    client_ask_ready(asked);
    return asked;
}

static void asked_free(struct client_asked *asked) {
    sys_timer_clear(asked->client->loop, &asked->timer);
    list_remove(&asked->link);
    list_remove(&asked->all);
    if (asked->coordinator != NULL) {
        asked->coordinator->asked_count--;
    }
    free(asked->key);
    free(asked);
}

/* From now on nobody is told; the memory stays while the connection has it. */
static void end(struct client_asked *asked) {
    asked->over = true;
    sys_timer_clear(asked->client->loop, &asked->timer);
    list_remove(&asked->link);
    if (asked->state != ASK_SENT) {
        asked_free(asked);
    }
}

void client_ask_cancel(struct client_asked *asked) {
    assert(!asked->over);
    end(asked);
}

const char *client_ask_trouble(const struct client_asked *asked) {
    const struct client_coordinator *coordinator = asked->coordinator;
    bool looking = asked->state == ASK_UNKNOWN_CO && coordinator->lookup != NULL;
    return looking && coordinator->lookup->text[0] != 0 ? coordinator->lookup->text : asked->text;
}

void client_ask_finish(struct client_asked *asked, const struct client_answer *answer) {
    client_answer_fn done = asked->ask.done;
    void *arg = asked->ask.arg;
    struct client_answer told = *answer;
    char text[ASK_TEXT_SIZE];
    (void)snprintf(text, sizeof text, "%s", asked->text);
    told.text = answer->err == ERR_OK ? "" : text;
    end(asked);
    done(arg, &told);
}

static void finish_with(struct client_asked *asked, err_t err) {
    int32_t broker_id = asked->node == NULL ? -1 : asked->node->broker.id;
    struct client_answer answer = {.err = err, .broker_id = broker_id, .version = -1};
    client_ask_finish(asked, &answer);
}

void client_asks_done(struct ottla_client *client) {
    struct list todo;
    list_init(&todo);
    list_splice_last(&todo, &client->asks);
    struct list *link;
    while ((link = list_take_first(&todo)) != NULL) {
        list_add_last(&client->asks, link); /* where those stay that a connection has */
        struct client_asked *asked = container_of(link, struct client_asked, all);
        if (!asked->over) {
            (void)snprintf(asked->text, sizeof asked->text, "The client was closed");
            finish_with(asked, ERR_CLOSED);
        }
    }
}

/* --- from state to state --- */

static void set_timer(struct client_asked *asked) {
    int64_t next_ms = asked->deadline_ms;
    if (asked->state == ASK_PAUSED && asked->resume_ms < next_ms) {
        next_ms = asked->resume_ms;
    }
    sys_timer_set(asked->client->loop, &asked->timer, next_ms);
}

void client_ask_wait(struct client_asked *asked, enum ask_state state, struct list *list) {
    list_remove(&asked->link);
    asked->state = state;
    if (list != NULL) {
        list_add_last(list, &asked->link);
    }
    set_timer(asked);
}

void client_ask_ready(struct client_asked *asked) {
    client_ask_wait(asked, ASK_READY, &asked->client->ready);
    client_post_task(asked->client);
}

void client_ask_pause(struct client_asked *asked, int64_t resume_ms) {
    asked->resume_ms = resume_ms;
    client_ask_wait(asked, ASK_PAUSED, NULL);
}

void client_asks_all_ready(struct list *list) {
    struct list *link;
    while ((link = list_first(list)) != NULL) {
        client_ask_ready(container_of(link, struct client_asked, link));
    }
}

static void time_over(struct sys_timer *timer) {
    struct client_asked *asked = container_of(timer, struct client_asked, timer);
    struct ottla_client *client = asked->client;
    int64_t now_ms = sys_loop_now_ms(client->loop);
    if (now_ms >= asked->deadline_ms) {
        char before[ASK_TEXT_SIZE];
        (void)snprintf(before, sizeof before, "%s", asked->text);
        (void)snprintf(asked->text, sizeof asked->text, "%s was not done in time%s%.180s%s",
                       wire_api(asked->ask.api_key)->name, before[0] == 0 ? "" : " (", before,
                       before[0] == 0 ? "" : ")");
        finish_with(asked, ERR_TIMED_OUT);
    } else {
        assert(asked->state == ASK_PAUSED);
        client_ask_ready(asked);
    }
}

/* --- a try --- */

static err_t choose_version(const struct client_asked *asked,
                            const struct client_connection *connection, int16_t *ret_version) {
    int16_t low, high;
    err_t err = client_connection_version(connection, asked->ask.api_key, &high);
    if (err == ERR_OK && asked->ask.version_max >= 0 && asked->ask.version_max < high) {
        int16_t highest;
        high = asked->ask.version_max;
        if (!client_connection_versions(connection, asked->ask.api_key, &low, &highest) ||
            high < low) {
            err = ERR_UNSUPPORTED_VERSION;
        }
    }
    if (err == ERR_OK) {
        *ret_version = high;
    }
    return err;
}

static void answered(void *arg, const struct client_response *response);

static err_t send(struct client_asked *asked, struct client_line *line) {
    const struct client_ask *ask = &asked->ask;
    int16_t version;
    err_t err = choose_version(asked, line->connection, &version);
    struct arena arena;
    arena_init(&arena, SIZE_MAX);
    const void *request = ask->request;
    if (err == ERR_OK && request == NULL) {
        err = ask->build(ask->arg, version, asked->node->broker.id, &arena, &request);
    }
    if (err == ERR_OK && ask->no_answer) {
        err = client_connection_send_forget(line->connection, ask->api_key, version, request,
                                            answered, asked);
    } else if (err == ERR_OK) {
        err = client_connection_send_for(line->connection, ask->api_key, version, request,
                                         ask->try_timeout_ms, answered, asked);
    }
    arena_done(&arena);
    return err;
}

void client_ask_transmit(struct client_asked *asked) {
    struct client_line *line = &asked->node->lines[asked->ask.lane];
    client_line_used(line);
    list_remove(&asked->link);
    err_t err = send(asked, line);
    if (err == ERR_OK) {
        client_ask_wait(asked, ASK_SENT, NULL);
    } else {
        client_ask_failed(asked, err, asked->node);
    }
}

/* Whether there is another try: it begins at *ret_resume_ms. */
static bool try_again(struct client_asked *asked, int64_t *ret_resume_ms) {
    struct ottla_client *client = asked->client;
    if (asked->ask.judge == NULL || asked->tries > client->settings.retries || client->closing) {
        return false;
    }
    *ret_resume_ms = sys_mono_ms(client->sys) + client_backoff_ms(client, asked->tries);
    return *ret_resume_ms < asked->deadline_ms;
}

void client_ask_failed(struct client_asked *asked, err_t err, const struct client_node *node) {
    char text[NODE_TEXT_SIZE];
    asked->tries++;
    if (node != NULL) {
        (void)snprintf(asked->text, sizeof asked->text, "%s: %s", client_node_text(node, text),
                       client_connection_text(err));
    }
    if (asked->coordinator != NULL && client_connection_lost(err)) {
        client_coordinator_forget(asked->coordinator, node == NULL ? -1 : node->broker.id);
    }
    int64_t resume_ms;
    if (client_connection_lost(err) && try_again(asked, &resume_ms)) {
        client_ask_pause(asked, resume_ms);
    } else {
        finish_with(asked, err);
    }
}

void client_ask_unroutable(struct client_asked *asked, err_t err, const char *why) {
    asked->tries++;
    (void)snprintf(asked->text, sizeof asked->text, "The coordinator of %.100s was not found: %s",
                   asked->key, why[0] == 0 ? err_text(err) : why);
    finish_with(asked, err);
}

/* --- an answer --- */

/* What an error says about who is to be asked the next time. */
static void learn_from(struct client_asked *asked, err_t err) {
    switch (err) {
    case ERR_NOT_COORDINATOR:
    case ERR_COORDINATOR_NOT_AVAILABLE:
        if (asked->coordinator != NULL) {
            client_coordinator_forget(asked->coordinator, asked->node->broker.id);
        }
        break;
    case ERR_NOT_CONTROLLER:
    case ERR_NOT_LEADER_OR_FOLLOWER:
    case ERR_FENCED_LEADER_EPOCH:
    case ERR_UNKNOWN_LEADER_EPOCH:
    case ERR_LEADER_NOT_AVAILABLE:
    case ERR_UNKNOWN_TOPIC_OR_PARTITION:
    case ERR_UNKNOWN_TOPIC_ID:
    case ERR_INCONSISTENT_TOPIC_ID:
    case ERR_KAFKA_STORAGE_ERROR:
        client_metadata_refresh(asked->client);
        break;
    default:
        break;
    }
}

static void answered(void *arg, const struct client_response *response) {
    struct client_asked *asked = arg;
    assert(asked->state == ASK_SENT);
    asked->state = ASK_READY; /* the connection has it no more */
    if (asked->over) {
        asked_free(asked);
        return;
    }
    if (response->err != ERR_OK) {
        client_ask_failed(asked, response->err, asked->node);
        return;
    }
    const struct client_ask *ask = &asked->ask;
    struct client_line *line = &asked->node->lines[ask->lane];
    client_line_used(line);
    int64_t throttle_ms = client_line_throttle(line, ask->api_key, response->message);
    err_t err =
        ask->judge == NULL ? ERR_OK : ask->judge(ask->arg, response->version, response->message);
    int64_t resume_ms;
    if (err != ERR_OK) {
        char text[NODE_TEXT_SIZE];
        asked->tries++;
        (void)snprintf(asked->text, sizeof asked->text, "%s: %s (%s)",
                       client_node_text(asked->node, text), err_text(err), err_name(err));
        learn_from(asked, err);
        if (err_retriable(err) && try_again(asked, &resume_ms)) {
            client_ask_pause(asked, resume_ms);
            return;
        }
    }
    struct client_answer answer = {
        .broker_id = asked->node->broker.id,
        .version = response->version,
        .response = response->message,
        .arena = response->arena,
        .frame = response->frame,
        .throttle_ms = throttle_ms,
        .from = response,
    };
    client_ask_finish(asked, &answer);
}
