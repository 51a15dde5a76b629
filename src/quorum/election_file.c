/*
 * The file quorum-state: QuorumStateData as JSON with `data_version`, one line without an end.
 * Version 0 belongs to kraft.version 0 and names the voters, version 1 to kraft.version 1.
 */
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "quorum/quorum_int.h"
#include "sys/file.h"
#include "wire/json.h"
#include "wire/messages.h"

enum { FILE_SIZE_MAX = 64 * 1024 }; /* a voter takes 15 bytes */

static void file_path(const char *folder, char path[QUORUM_PATH_SIZE]) {
    quorum_print(path, QUORUM_PATH_SIZE, "%s/quorum-state", folder);
}

static err_t parse(const char *data, size_t size, struct raft_election *ret_election,
                   struct buffer *error) {
    json_error_t where;
    json_t *json = json_loadb(data, size, 0, &where);
    if (json == NULL) {
        buffer_printf(error, "%s", where.text);
        return ERR_CORRUPT;
    }
    const json_t *number = json_object_get(json, "data_version");
    json_int_t version = json_is_integer(number) ? json_integer_value(number) : -1;
    (void)json_object_del(json, "data_version");
    struct arena arena;
    arena_init(&arena, SIZE_MAX);
    struct quorum_state_data state;
    err_t err = ERR_CORRUPT;
    if (version < 0 || version > 1) {
        buffer_printf(error, "data_version is not 0 or 1");
    } else {
        err =
            wire_from_json(&quorum_state_data_type, (int16_t)version, json, &arena, &state, error);
    }
    if (err == ERR_OK) {
        *ret_election = (struct raft_election){
            .epoch = state.leader_epoch < 0 ? 0 : state.leader_epoch,
            .leader_id = state.leader_id,
            .voted_id = state.voted_id,
            .voted_directory_id = state.voted_directory_id,
        };
    }
    arena_done(&arena);
    json_decref(json);
    return err == ERR_OK ? ERR_OK : ERR_CORRUPT;
}

err_t election_file_read(struct sys *sys, const char *folder, struct raft_election *ret_election,
                         char *text, size_t text_size) {
    char path[QUORUM_PATH_SIZE];
    file_path(folder, path);
    char *data;
    size_t size;
    err_t err = sys_file_read_all(sys, path, FILE_SIZE_MAX, &data, &size);
    if (err == ERR_NOT_FOUND) {
        *ret_election = (struct raft_election){.epoch = 0, .leader_id = -1, .voted_id = -1};
        return ERR_OK;
    }
    if (err != ERR_OK) {
        quorum_print(text, text_size, "%s cannot be read: %s", path, err_text(err));
        return err;
    }
    struct buffer error = {0};
    err = parse(data, size, ret_election, &error);
    if (err != ERR_OK) {
        quorum_print(text, text_size,
                     "%s is damaged (%.*s); it holds the vote of this node. Where this node is the "
                     "only voter, moving the file away is safe",
                     path, (int)error.size, (const char *)error.data);
    }
    buffer_done(&error);
    free(data);
    return err;
}

static void add_voters(struct arena *arena, const struct raft_voters *voters,
                       struct quorum_state_data *state) {
    state->current_voters =
        ARENA_ARRAY(arena, struct quorum_state_data_voter, (size_t)voters->voter_count + 1);
    state->current_voters_count = voters->voter_count;
    for (int32_t i = 0; i < voters->voter_count; i++) {
        state->current_voters[i].voter_id = voters->voters[i].id;
    }
}

err_t election_file_write(struct sys *sys, const char *folder, const struct raft_election *election,
                          int16_t kraft_version, const struct raft_voters *voters) {
    struct arena arena;
    arena_init(&arena, SIZE_MAX);
    struct quorum_state_data state;
    wire_init(&quorum_state_data_type, &state);
    state.leader_id = election->leader_id;
    state.leader_epoch = election->epoch;
    state.voted_id = election->voted_id;
    int16_t version = kraft_version > 0 ? 1 : 0;
    if (version == 0) {
        state.cluster_id = STR("");
        add_voters(&arena, voters, &state);
    } else {
        state.voted_directory_id = election->voted_directory_id;
    }
    json_t *json = wire_to_json(&quorum_state_data_type, version, &state);
    (void)json_object_set_new(json, "data_version", json_integer(version));
    char *text = json_dumps(json, JSON_COMPACT);
    char path[QUORUM_PATH_SIZE];
    file_path(folder, path);
    err_t err = sys_file_replace(sys, path, text, strlen(text));
    free(text);
    json_decref(json);
    arena_done(&arena);
    return err;
}
