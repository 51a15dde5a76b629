#pragma once

#include "client/member_classic.h"

/* Private to member_classic.c and member_classic_answers.c: its changes of state. */

/* In a group, or on its way into one. */
bool member_classic_is_active(const struct member_classic *member);

void member_classic_text(char **field, struct str text);

/* Has the owner give back what it must before a join, which begins at that time. */
void member_classic_prepare(struct member_classic *member, int64_t at_ms);

/* Prepares for another join: the first time at once, unless a pause is wanted; then with pauses. */
void member_classic_join_again(struct member_classic *member, bool pause, int64_t now_ms);

/* It is out: what it has is lost, and it joins again. */
void member_classic_fenced(struct member_classic *member, const char *request, err_t err,
                           int64_t now_ms);

/* Likewise, and it does not. */
void member_classic_fail(struct member_classic *member, err_t err, const char *request);

/* `next` is what it has from now on. */
void member_classic_assigned(struct member_classic *member, int64_t now_ms);
