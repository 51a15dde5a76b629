#pragma once

#include "base/map.h"
#include "controller/controller_int.h"

/* The change of the settings of one resource. */
enum op_type { OP_SET, OP_DELETE, OP_APPEND, OP_SUBTRACT }; /* numbers of the protocol */

struct op {
    struct str name;
    int8_t type; /* enum op_type, or what a client made up */
    struct str value;
};

struct alteration {
    struct controller *controller;
    struct arena *arena;
    int8_t type; /* enum meta_resource, or what a client made up */
    struct str name;
    struct op *ops;
    int32_t op_count;
    bool replace;      /* AlterConfigs: what has no operation is deleted */
    bool new_resource; /* it need not exist yet */

    /* alteration.c's: what the resource would become */
    struct config_pair *set; /* the complete set */
    size_t set_count;
    struct map index;            /* into it, by name */
    struct config_pair *changes; /* value null: deleted */
    size_t change_count;
};

/* Carries it out: adds the config records, or says why not. */
struct api_error alteration_run(struct alteration *alteration, struct strand_output *output);

/* The same, with the checks that the broker makes which got the request. */
struct api_error alteration_check_and_run(struct alteration *alteration,
                                          struct strand_output *output);

/* The same for a request that no broker has seen, with the checks of its shape. */
struct api_error alteration_run_direct(struct alteration *alteration, struct strand_output *output);

/* config_checks.c: of the complete set. But for the third, names and values were checked before. */
struct api_error config_check_broker_change(const struct alteration *alteration);
struct api_error config_check_group(const struct alteration *alteration);
struct api_error config_check_client_metrics_names(const struct alteration *alteration);
struct api_error config_check_client_metrics(const struct alteration *alteration);
