#include "cli/when.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

enum {
    SECOND_MS = 1000,
    MINUTE_MS = 60 * SECOND_MS,
    HOUR_MS = 60 * MINUTE_MS,
    DAY_MS = 24 * HOUR_MS,
    DIGITS_MAX = 15,         /* so that no product overflows */
    SECONDS_DIGITS_MAX = 10, /* an epoch with more digits is in milliseconds */
};

static const int64_t last_ms = INT64_C(253402300799999); /* 9999-12-31T23:59:59.999Z */

/* --- numbers --- */

/* At most `most` digits; moves behind them. */
static bool take_digits(const char **at, int least, int most, int64_t *ret_number) {
    int64_t number = 0;
    int count = 0;
    while (**at >= '0' && **at <= '9' && count < most) {
        number = number * 10 + (*(*at)++ - '0');
        count++;
    }
    *ret_number = number;
    return count >= least;
}

static bool take(const char **at, char c) {
    if (**at != c) {
        return false;
    }
    (*at)++;
    return true;
}

/* --- durations --- */

static bool take_duration(const char **at, int64_t *ret_ms) {
    static const struct {
        const char *unit;
        int64_t ms;
    } units[] = {{"ms", 1}, {"s", SECOND_MS}, {"m", MINUTE_MS}, {"h", HOUR_MS}, {"d", DAY_MS}};
    int64_t number;
    if (!take_digits(at, 1, DIGITS_MAX - 6, &number)) {
        return false;
    }
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        size_t size = strlen(units[i].unit);
        char next = strncmp(*at, units[i].unit, size) == 0 ? (*at)[size] : 'x';
        if (next == '\0' || next == '-') {
            *at += size;
            *ret_ms = number * units[i].ms;
            return true;
        }
    }
    return false;
}

bool when_duration_parse(const char *text, int64_t *ret_ms) {
    int64_t ms;
    if (!take_duration(&text, &ms) || *text != '\0') {
        return false;
    }
    *ret_ms = ms;
    return true;
}

/* --- dates --- */

/* "Z", "+01:00" or nothing. */
static bool take_zone(const char **at, int64_t *ret_offset_ms) {
    *ret_offset_ms = 0;
    if (**at == '\0' || take(at, 'Z')) {
        return true;
    }
    int64_t sign = **at == '-' ? -1 : 1;
    int64_t hours;
    int64_t minutes = 0;
    if ((!take(at, '+') && !take(at, '-')) || !take_digits(at, 2, 2, &hours)) {
        return false;
    }
    (void)take(at, ':');
    if (**at != '\0' && !take_digits(at, 2, 2, &minutes)) {
        return false;
    }
    *ret_offset_ms = sign * (hours * HOUR_MS + minutes * MINUTE_MS);
    return hours < 24 && minutes < 60;
}

static bool take_clock(const char **at, int64_t *ret_ms) {
    int64_t hour;
    int64_t minute;
    int64_t second = 0;
    int64_t fraction_ms = 0;
    if (!take_digits(at, 2, 2, &hour) || !take(at, ':') || !take_digits(at, 2, 2, &minute)) {
        return false;
    }
    if (take(at, ':') && !take_digits(at, 2, 2, &second)) {
        return false;
    }
    if (take(at, '.')) {
        const char *start = *at;
        if (!take_digits(at, 1, 3, &fraction_ms)) {
            return false;
        }
        for (long digits = *at - start; digits < 3; digits++) {
            fraction_ms *= 10;
        }
        *at += strspn(*at, "0123456789"); /* finer than we keep */
    }
    *ret_ms = hour * HOUR_MS + minute * MINUTE_MS + second * SECOND_MS + fraction_ms;
    return hour < 24 && minute < 60 && second < 60;
}

static bool parse_date(const char *at, int64_t *ret_ms) {
    int64_t year;
    int64_t month;
    int64_t day;
    int64_t clock_ms = 0;
    int64_t offset_ms = 0;
    if (!take_digits(&at, 4, 4, &year) || !take(&at, '-') || !take_digits(&at, 2, 2, &month) ||
        !take(&at, '-') || !take_digits(&at, 2, 2, &day)) {
        return false;
    }
    struct date date = {.year = (int)year, .month = (int)month, .day = (int)day};
    if (!date_is_valid(date)) {
        return false;
    }
    if ((take(&at, 'T') || take(&at, ' ')) && !take_clock(&at, &clock_ms)) {
        return false;
    }
    if (!take_zone(&at, &offset_ms) || *at != '\0') {
        return false;
    }
    *ret_ms = date_to_days(date) * DAY_MS + clock_ms - offset_ms;
    return true;
}

/* --- points in time --- */

bool when_parse(const char *text, int64_t now_ms, int64_t *ret_ms) {
    if (strcmp(text, "now") == 0) {
        *ret_ms = now_ms;
        return true;
    }
    const char *at = text;
    int64_t number;
    if (take_duration(&at, &number) && strcmp(at, "-ago") == 0) {
        *ret_ms = now_ms - number;
        return true;
    }
    at = text;
    if (take_digits(&at, 1, DIGITS_MAX, &number) && *at == '\0') {
        *ret_ms = at - text <= SECONDS_DIGITS_MAX ? number * SECOND_MS : number;
        return true;
    }
    return parse_date(text, ret_ms);
}

void when_format(int64_t ms, char text[WHEN_TEXT_SIZE]) {
    if (ms < 0 || ms > last_ms) { /* no time of a record that is well */
        (void)snprintf(text, WHEN_TEXT_SIZE, "%" PRId64, ms);
        return;
    }
    date_time_format(ms, text);
}

void when_duration_format(int64_t ms, char text[WHEN_TEXT_SIZE]) {
    if (ms < 0) {
        (void)snprintf(text, WHEN_TEXT_SIZE, "-");
    } else if (ms < 10 * SECOND_MS) {
        (void)snprintf(text, WHEN_TEXT_SIZE, "%.1f s", (double)ms / SECOND_MS);
    } else if (ms < 2 * MINUTE_MS) {
        (void)snprintf(text, WHEN_TEXT_SIZE, "%" PRId64 " s", ms / SECOND_MS);
    } else if (ms < 2 * HOUR_MS) {
        (void)snprintf(text, WHEN_TEXT_SIZE, "%" PRId64 " min", ms / MINUTE_MS);
    } else if (ms < DAY_MS) {
        (void)snprintf(text, WHEN_TEXT_SIZE, "%" PRId64 " h %" PRId64 " min", ms / HOUR_MS,
                       ms / MINUTE_MS % 60);
    } else {
        (void)snprintf(text, WHEN_TEXT_SIZE, "%" PRId64 " d %" PRId64 " h", ms / DAY_MS,
                       ms / HOUR_MS % 24);
    }
}
