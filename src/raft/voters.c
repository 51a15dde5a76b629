#include "raft/voters.h"

#include "wire/codec.h"
#include "wire/messages.h"

enum { PORT_MAX = 65535 };

void raft_voters_init(struct raft_voters *voters) {
    *voters = (struct raft_voters){0};
    arena_init(&voters->arena, SIZE_MAX);
}

void raft_voters_done(struct raft_voters *voters) {
    arena_done(&voters->arena);
}

static void clear(struct raft_voters *voters, int32_t count, bool dynamic) {
    arena_reset(&voters->arena);
    voters->voters = ARENA_ARRAY(&voters->arena, struct raft_voter, (size_t)count + 1);
    voters->voter_count = count;
    voters->dynamic = dynamic;
}

static void copy_endpoints(struct raft_voters *voters, struct raft_voter *voter,
                           const struct raft_endpoint *endpoints, int32_t count) {
    voter->endpoints = ARENA_ARRAY(&voters->arena, struct raft_endpoint, (size_t)count + 1);
    voter->endpoint_count = count;
    for (int32_t i = 0; i < count; i++) {
        voter->endpoints[i].name = arena_str(&voters->arena, endpoints[i].name);
        voter->endpoints[i].host = arena_str(&voters->arena, endpoints[i].host);
        voter->endpoints[i].port = endpoints[i].port;
    }
}

void raft_voters_copy(struct raft_voters *to, const struct raft_voters *from) {
    clear(to, from->voter_count, from->dynamic);
    for (int32_t i = 0; i < from->voter_count; i++) {
        to->voters[i] = from->voters[i];
        copy_endpoints(to, &to->voters[i], from->voters[i].endpoints,
                       from->voters[i].endpoint_count);
    }
}

/* Reads a decimal number up to `max` that fills the text. */
static bool parse_number(struct str text, int64_t max, int64_t *ret_value) {
    int64_t value = 0;
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] < '0' || text.data[i] > '9') {
            return false;
        }
        value = value * 10 + (text.data[i] - '0');
        if (value > max) {
            return false;
        }
    }
    *ret_value = value;
    return text.size > 0;
}

static struct str cut(struct str text, size_t start, size_t end) {
    return (struct str){.data = text.data + start, .size = end - start};
}

/* "1@host:9093" */
static err_t parse_voter(struct raft_voters *voters, struct raft_voter *voter, struct str text) {
    size_t at = 0;
    while (at < text.size && text.data[at] != '@') {
        at++;
    }
    size_t colon = text.size;
    while (colon > at && text.data[colon - 1] != ':') {
        colon--;
    }
    int64_t id, port;
    if (at == text.size || colon <= at + 2 || !parse_number(cut(text, 0, at), INT32_MAX, &id) ||
        !parse_number(cut(text, colon, text.size), PORT_MAX, &port)) {
        return ERR_INVALID;
    }
    struct str host = cut(text, at + 1, colon - 1);
    if (host.size > 2 && host.data[0] == '[' && host.data[host.size - 1] == ']') {
        host = cut(host, 1, host.size - 1);
    }
    struct raft_endpoint endpoint = {.name = STR_NULL, .host = host, .port = (uint16_t)port};
    voter->id = (int32_t)id;
    copy_endpoints(voters, voter, &endpoint, 1);
    return ERR_OK;
}

err_t raft_voters_parse(struct raft_voters *voters, struct str text) {
    int32_t count = 1;
    for (size_t i = 0; i < text.size; i++) {
        count += text.data[i] == ',';
    }
    struct raft_voters parsed;
    raft_voters_init(&parsed);
    clear(&parsed, count, false);
    size_t start = 0;
    err_t err = ERR_OK;
    for (int32_t i = 0; i < count && err == ERR_OK; i++) {
        size_t end = start;
        while (end < text.size && text.data[end] != ',') {
            end++;
        }
        err = parse_voter(&parsed, &parsed.voters[i], cut(text, start, end));
        start = end + 1;
    }
    if (err == ERR_OK) {
        raft_voters_copy(voters, &parsed);
    }
    raft_voters_done(&parsed);
    return err;
}

static void copy_voter(struct raft_voters *voters, struct raft_voter *voter,
                       const struct voters_record_voter *from) {
    voter->id = from->voter_id;
    voter->directory_id = from->voter_directory_id;
    voter->kraft_version_min = from->kraft_version_feature.min_supported_version;
    voter->kraft_version_max = from->kraft_version_feature.max_supported_version;
    voter->endpoint_count = from->endpoints_count;
    voter->endpoints =
        ARENA_ARRAY(&voters->arena, struct raft_endpoint, (size_t)from->endpoints_count + 1);
    for (int32_t i = 0; i < from->endpoints_count; i++) {
        voter->endpoints[i] = (struct raft_endpoint){
            .name = arena_str(&voters->arena, from->endpoints[i].name),
            .host = arena_str(&voters->arena, from->endpoints[i].host),
            .port = from->endpoints[i].port,
        };
    }
}

void raft_voters_from_record(struct raft_voters *voters, const struct voters_record *record) {
    clear(voters, record->voters_count, true);
    for (int32_t i = 0; i < record->voters_count; i++) {
        copy_voter(voters, &voters->voters[i], &record->voters[i]);
    }
}

void raft_voters_to_record(const struct raft_voters *voters, struct arena *arena,
                           struct voters_record *ret_record) {
    wire_init(&voters_record_type, ret_record);
    ret_record->voters =
        ARENA_ARRAY(arena, struct voters_record_voter, (size_t)voters->voter_count + 1);
    ret_record->voters_count = voters->voter_count;
    for (int32_t i = 0; i < voters->voter_count; i++) {
        const struct raft_voter *from = &voters->voters[i];
        struct voters_record_voter *to = &ret_record->voters[i];
        to->voter_id = from->id;
        to->voter_directory_id = from->directory_id;
        to->kraft_version_feature.min_supported_version = from->kraft_version_min;
        to->kraft_version_feature.max_supported_version = from->kraft_version_max;
        to->endpoints =
            ARENA_ARRAY(arena, struct voters_record_endpoint, (size_t)from->endpoint_count + 1);
        to->endpoints_count = from->endpoint_count;
        for (int32_t j = 0; j < from->endpoint_count; j++) {
            to->endpoints[j] = (struct voters_record_endpoint){
                .name = from->endpoints[j].name,
                .host = from->endpoints[j].host,
                .port = from->endpoints[j].port,
            };
        }
    }
}
