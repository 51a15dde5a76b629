#pragma once

#include <jansson.h>
#include <stdio.h>

#include "base/arena.h"
#include "base/buffer.h"
#include "ottla/types.h"

/*
 * Records as text, out and in.
 *
 * A format string, as kcat's, of text and
 *
 *     %t topic   %p partition   %o offset   %T timestamp in ms   %d the same as a date
 *     %k key     %K its size    %v %s value %V %S its size       %h headers: a=b,c=d
 *     %e leader epoch           %% a percent sign                \n \t \r \0 \\ \xHH
 *
 * (a key or value that is null prints as nothing, its size as -1); and a JSON object per record,
 * which `ottla consume -o json` prints and `ottla produce --json` takes:
 *
 *     {"topic": "orders", "partition": 0, "offset": 7, "timestamp": 1795257015250, "leaderEpoch":
 * 0, "key": "a", "value": "text", "headers": [{"key": "h", "value": "x"}]}
 *
 * What is not UTF-8 comes as keyBase64, valueBase64; null is null.
 */
struct record_format;

/* NULL: a % or \ that means nothing; *ret_error says where. Lives in the arena. */
struct record_format *record_format_parse(struct arena *arena, const char *text,
                                          const char **ret_error);
void record_format_print(const struct record_format *format, const struct ottla_record *record,
                         FILE *out);

json_t *record_to_json(const struct ottla_record *record);

/* Fills what is to be produced (key, value, headers, partition, timestamp; topic stays). Memory is
 * the arena's. NULL, or what is wrong. */
const char *record_from_json(const json_t *json, struct arena *arena,
                             struct ottla_record *ret_record);

/* A text with \n, \t, \r, \0, \\ and \xHH resolved, in the arena; bytes NULL when wrong. */
struct ottla_bytes record_unescape(struct arena *arena, const char *text);
