#pragma once

#include "wire/api.h"

/* The generated tables behind wire/api.h. A row without a name is a key that does not exist. */
extern const struct wire_api wire_api_table[API_KEYS_MAX];

extern const struct wire_type *const wire_metadata_table[];
extern const int16_t wire_metadata_table_count;
extern const struct wire_type *const wire_group_key_table[];
extern const int16_t wire_group_key_table_count;
extern const struct wire_type *const wire_group_value_table[];
extern const int16_t wire_group_value_table_count;
extern const struct wire_type *const wire_transaction_key_table[];
extern const int16_t wire_transaction_key_table_count;
extern const struct wire_type *const wire_transaction_value_table[];
extern const int16_t wire_transaction_value_table_count;
extern const struct wire_type *const wire_share_key_table[];
extern const int16_t wire_share_key_table_count;
extern const struct wire_type *const wire_share_value_table[];
extern const int16_t wire_share_value_table_count;
