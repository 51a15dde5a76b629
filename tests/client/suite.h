#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "ottla/types.h"

/*
 * What the programs of this folder share. Each is a cmocka program that plays the library against
 * the broker at OTTLA_TEST_BOOTSTRAP, Ottla or Apache Kafka alike; test_client.py runs them.
 */

/* host:port of the broker; the program ends when it is not given. */
const char *suite_bootstrap(void);

/* Settings with bootstrap.servers; the caller's. */
struct ottla_config *suite_config(void);

/* A name that no other run uses: names are shared by all programs that run against a broker. */
void suite_topic_name(const char *what, char name[64]);

/* Setup and teardown: *state is a client of suite_config, whose log goes to stderr. */
int suite_client_new(void **state);
int suite_client_free(void **state);

#define suite_test(function)                                                                       \
    cmocka_unit_test_setup_teardown(function, suite_client_new, suite_client_free)
