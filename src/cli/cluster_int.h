#pragma once

#include "cli/command.h"

extern const struct cli_command cluster_doctor_command; /* doctor.c */
