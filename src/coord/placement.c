/* Where a group or a transactional id lives. */
#include "base/java_hash.h"
#include "coord/coord_int.h"

int32_t coord_partition(const struct coord *coord, struct str id) {
    return java_hash_place(id, coord_partition_count(coord));
}
