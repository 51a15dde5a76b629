/*
 * The civil calendar by arithmetic. Days are counted from 1 March of the year 0, so that the leap
 * day is the last of its year, and the lengths of the months before it follow one formula (153 days
 * in five months). An era is 400 years, after which everything repeats.
 */
#include "base/date.h"

#include <stdio.h>

enum {
    DAYS_OF_ERA = 146097,
    DAYS_TO_1970 = 719468, /* from 1 March of the year 0 */
    DAY_MS = 24 * 60 * 60 * 1000,
};

bool date_is_valid(struct date date) {
    static const int lengths[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    if (date.year < 1 || date.year > 9999 || date.month < 1 || date.month > 12) {
        return false;
    }
    bool leap = (date.year % 4 == 0 && date.year % 100 != 0) || date.year % 400 == 0;
    return date.day >= 1 && date.day <= lengths[date.month - 1] + (date.month == 2 && leap);
}

int64_t date_to_days(struct date date) {
    int64_t year = date.month <= 2 ? date.year - 1 : date.year;
    int64_t month_from_march = date.month > 2 ? date.month - 3 : date.month + 9;
    int64_t era = year / 400; /* of valid dates it is not negative */
    int64_t year_of_era = year - era * 400;
    int64_t day_of_year = (153 * month_from_march + 2) / 5 + date.day - 1;
    int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    return era * DAYS_OF_ERA + day_of_era - DAYS_TO_1970;
}

struct date date_from_days(int64_t days) {
    days += DAYS_TO_1970;
    int64_t era = (days >= 0 ? days : days - (DAYS_OF_ERA - 1)) / DAYS_OF_ERA;
    int64_t day_of_era = days - era * DAYS_OF_ERA;
    int64_t year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / (DAYS_OF_ERA - 1)) /
        365;
    int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int64_t month_from_march = (5 * day_of_year + 2) / 153;
    struct date date = {
        .month = (int)(month_from_march < 10 ? month_from_march + 3 : month_from_march - 9),
        .day = (int)(day_of_year - (153 * month_from_march + 2) / 5 + 1)};
    date.year = (int)(year_of_era + era * 400 + (date.month <= 2));
    return date;
}

void date_time_format(int64_t epoch_ms, char text[DATE_TEXT_SIZE]) {
    int64_t rest = epoch_ms % DAY_MS;
    unsigned ms = (unsigned)(rest < 0 ? rest + DAY_MS : rest);
    struct date date = date_from_days(epoch_ms / DAY_MS - (rest < 0));
    (void)snprintf(text, DATE_TEXT_SIZE, "%04d-%02u-%02uT%02u:%02u:%02u.%03uZ", date.year,
                   (unsigned)date.month % 100, (unsigned)date.day % 100, ms / 3600000 % 100,
                   ms / 60000 % 60, ms / 1000 % 60, ms % 1000);
}
