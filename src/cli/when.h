#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/date.h"

/*
 * Points in time as people write them, in milliseconds of the epoch.
 *
 *     now   90s-ago  15m-ago  36h-ago  7d-ago  500ms-ago
 *     2026-11-21   2026-11-21T10:30   2026-11-21T10:30:15.250Z   2026-11-21T10:30:15+01:00
 *     1795255815250 (milliseconds)   1795255815 (seconds)
 *
 * Without an offset a date is UTC.
 */
bool when_parse(const char *text, int64_t now_ms, int64_t *ret_ms);

/* A duration: 500ms, 90s, 15m, 36h, 7d. */
bool when_duration_parse(const char *text, int64_t *ret_ms);

/* "2026-11-21T10:30:15.250Z"; WHEN_TEXT_SIZE bytes with the zero. */
enum { WHEN_TEXT_SIZE = DATE_TEXT_SIZE };
void when_format(int64_t ms, char text[WHEN_TEXT_SIZE]);

/* "3 d 4 h", "12 min", "1.2 s": what a person wants to know of a duration. */
void when_duration_format(int64_t ms, char text[WHEN_TEXT_SIZE]);
