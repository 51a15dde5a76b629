#pragma once

#include "coord/group_int.h"

/* Requests about groups of any type: rows of apis.c. */

err_t groups_list_step(struct group_step *step);
err_t groups_describe_step(struct group_step *step);
err_t groups_delete_step(struct group_step *step);
