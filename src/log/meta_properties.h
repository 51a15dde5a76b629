#pragma once

#include "base/buffer.h"
#include "log/directory.h"

/* meta.properties, partition.metadata and .kafka_cleanshutdown as text (docs/formats/directory.md).
 * Readers: NULL, or what is wrong with the text. */
const char *meta_properties_parse(const char *data, size_t size, struct log_meta *ret_meta);
void meta_properties_format(const struct log_meta *meta, struct buffer *out);

const char *partition_metadata_parse(const char *data, size_t size, struct uuid *ret_topic_id);
void partition_metadata_format(struct uuid topic_id, struct buffer *out);

/* -1 for the marker of older releases, which is empty. */
int64_t clean_shutdown_parse(const char *data, size_t size);
void clean_shutdown_format(int64_t broker_epoch, struct buffer *out);
