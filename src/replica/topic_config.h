#pragma once

#include "config/config.h"
#include "meta/image.h"
#include "replica/partition.h"

/* What the cluster image says of settings, as the layers that `config` resolves. The layers borrow
 * image, name and file. */
void topic_config_layers(const struct meta_image *image, int8_t resource_type, struct str name,
                         int32_t node_id, const struct config *file, struct config_layers *ret);

/* What a topic's settings mean for its partitions. */
void topic_config_read(const struct meta_image *image, struct str topic, int32_t node_id,
                       const struct config *file, struct partition_config *ret_config);
