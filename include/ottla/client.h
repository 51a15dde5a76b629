#pragma once

/*
 * libottla, a client of Apache Kafka's protocol for Ottla, Apache Kafka, and what speaks it.
 *
 *     types.h      errors, records, settings, the client and its loop
 *     producer.h   records to the cluster
 *     consumer.h   records from the cluster, alone or in a group
 *     admin.h      topics, settings, groups, offsets, logs, the quorum
 *
 * pkg-config --cflags --libs libottla; man ottla-client; examples/.
 */
#include "ottla/admin.h"
#include "ottla/consumer.h"
#include "ottla/producer.h"
#include "ottla/types.h"
