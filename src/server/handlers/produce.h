#pragma once

#include "server/handlers/produce_txn.h"
#include "server/request.h"

/* A produce request on its way: what it names, and what is answered. In the request's arena. */
struct named_part {
    int32_t topic; /* its place in the request */
    const struct produce_request_partition_produce_data *data;
    struct produce_response_topic_produce_response *answer;
    bool superseded;               /* named again later */
    const struct produce_txn *txn; /* NULL: its records are of no transaction */
};

struct named_parts {
    struct named_part *items;
    int32_t count;
};

struct produce {
    struct request *request;
    struct produce_response response;
    struct named_parts parts;
    struct produce_txns txns;
    err_t refused;   /* all of it, */
    struct str why;  /* with this message; may be null */
    int32_t pending; /* appends, and one for all that is yet to be begun */
    bool failed;
    bool parked;
};

/* --- produce_parts.c --- */

/* Fills in the parts, and the answer's topics with room for theirs. */
void produce_list_parts(struct produce *produce);

/* What stands against all of the request; lists the parts' transactions for produce_txns_look. */
err_t produce_check(struct produce *produce);

/* By name or id, as the version has it. */
err_t produce_find_topic(struct request *request,
                         const struct produce_request_topic_produce_data *data,
                         const struct meta_topic **ret_topic);
