/*
 * Ottla's side of the comparison of the produce path's checks: answers each line "RULES HEX" as
 * `RecordTool judge` does. RULES is
 *   version,codec or producer,log append time 0/1,compacted 0/1,before,after,max size
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/limits.h"
#include "wire/record_set.h"
#include "wire/record_text_test_int.h"

static const int64_t now_ms = 1700000000000;

struct judge {
    struct compression *compression;
    struct arena arena;
    struct buffer out;
    struct buffer text;
};

static void parse_rules(char *text, struct record_set_rules *rules, int *version) {
    char codec[32];
    int log_append_time, compacted;
    if (sscanf(text, "%d,%31[^,],%d,%d,%" SCNd64 ",%" SCNd64 ",%" SCNd32, version, codec,
               &log_append_time, &compacted, &rules->timestamp_before_ms_max,
               &rules->timestamp_after_ms_max, &rules->message_size_max) != 7) {
        fprintf(stderr, "no rules: %s\n", text);
        exit(2);
    }
    rules->log_append_time = log_append_time;
    rules->compacted = compacted;
    rules->keep_compression = strcmp(codec, "producer") == 0;
    for (int i = 0; i < COMPRESSION_TYPE_COUNT; i++) {
        if (strcmp(codec, compression_name((enum compression_type)i)) == 0) {
            rules->compression = (enum compression_type)i;
        }
    }
}

static void judge_one(struct judge *judge, char *rules_text, uint8_t *records, size_t size) {
    struct record_set_rules rules = {
        .partition = STR("topic-3"),
        .gzip_level = -1,
        .lz4_level = 9,
        .zstd_level = 3,
        .segment_size_max = INT32_MAX,
        .decompressed_size_max = RECORD_SET_DECOMPRESSED_MAX,
    };
    int version;
    parse_rules(rules_text, &rules, &version);
    err_t err =
        record_set_check_request((int16_t)version, (struct bytes){.data = records, .size = size});
    if (err != ERR_OK) {
        printf("request %s\n", err_name(err));
        return;
    }
    struct record_set_result result;
    struct record_set_refusal refusal;
    err = record_set_validate(&rules, records, size, now_ms, judge->compression, &judge->out,
                              &judge->arena, &result, &refusal);
    if (err == ERR_OK) {
        record_batch_set_leader_epoch(result.records, 0);
        err = record_text_print(&judge->text,
                                (struct bytes){.data = result.records, .size = result.size},
                                judge->compression, ';');
        printf("ok max %" PRId64 " %.*s%s\n", result.max_timestamp, (int)judge->text.size,
               (char *)judge->text.data, err == ERR_OK ? "" : err_name(err));
        return;
    }
    printf("error %s %.*s", err_name(err),
           refusal.message.data == NULL ? 4 : (int)refusal.message.size,
           refusal.message.data == NULL ? "null" : refusal.message.data);
    for (int32_t i = 0; i < refusal.error_count; i++) {
        printf(" | %" PRId32 " %.*s", refusal.errors[i].record_index,
               STR_ARGS(refusal.errors[i].message));
    }
    printf("\n");
}

static size_t from_hex(char *hex) {
    size_t size = strlen(hex) / 2;
    for (size_t i = 0; i < size; i++) {
        char two[3] = {hex[2 * i], hex[2 * i + 1], 0};
        hex[i] = (char)strtol(two, NULL, 16);
    }
    return size;
}

int main(void) {
    struct judge judge = {.compression = compression_new()};
    arena_init(&judge.arena, SIZE_MAX);
    char *line = NULL;
    size_t capacity = 0;
    while (getline(&line, &capacity, stdin) > 0) {
        line[strcspn(line, "\n")] = 0;
        char *hex = strchr(line, ' ');
        if (hex == NULL) {
            return 2;
        }
        *hex++ = 0;
        size_t size = from_hex(hex);
        uint8_t *copy = malloc(size + 1); /* so that a sanitizer sees reads beyond it */
        if (copy == NULL) {
            return 2;
        }
        memcpy(copy, hex, size);
        judge_one(&judge, line, copy, size);
        free(copy);
        arena_reset(&judge.arena);
        buffer_clear(&judge.out);
        buffer_clear(&judge.text);
    }
    free(line);
    buffer_done(&judge.out);
    buffer_done(&judge.text);
    arena_done(&judge.arena);
    compression_free(judge.compression);
    return 0;
}
