#pragma once

#include <stdbool.h>
#include <stdint.h>

/*
 * Days and dates of the Gregorian calendar, in UTC, without leap seconds; also from before it was
 * in use.
 */
struct date {
    int year;
    int month; /* 1 to 12 */
    int day;   /* 1 to 31 */
};

/* 30 February is not. Years are 1 to 9999. */
bool date_is_valid(struct date date);

/* Days from 1970-01-01 to a valid date, and back. */
int64_t date_to_days(struct date date);
struct date date_from_days(int64_t days);

/* Milliseconds of the epoch as "2026-11-21T10:30:15.250Z"; DATE_TEXT_SIZE bytes with the zero. */
enum { DATE_TEXT_SIZE = 32 };
void date_time_format(int64_t epoch_ms, char text[DATE_TEXT_SIZE]);
