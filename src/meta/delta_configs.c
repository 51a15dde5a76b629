/* Configurations: a resource is there as long as it has one. */
#include <stdlib.h>

#include "meta/delta_int.h"

static struct config_work *work_of(struct meta_delta *delta, int8_t type, struct str name) {
    uint8_t space[META_RESOURCE_KEY_MAX];
    struct bytes key = meta_resource_key(type, name, space);
    struct config_work *work = map_get(&delta->configs, key);
    if (work == NULL) {
        work = delta_calloc(sizeof *work);
        work->type = type;
        work->key = delta_dup(key);
        work->name = (struct str){.data = (const char *)work->key.data + 1, .size = name.size};
        list_add_last(&delta->config_list, &work->link);
        (void)map_put(&delta->configs, work->key, work);
    }
    return work;
}

/* The resource as one that this delta may change. */
static struct meta_config_resource *own(struct meta_delta *delta, struct config_work *work) {
    if (work->fresh == NULL) {
        const struct meta_config_resource *base = pmap_get(&delta->image->configs, work->key);
        struct meta_config_resource none = {.type = work->type, .name = work->name};
        work->fresh = meta_config_resource_copy(base == NULL ? &none : base);
        pmap_put(&delta->image->configs, meta_resource_key_of(work->fresh), &work->fresh->shared);
    }
    return work->fresh;
}

static void drop(struct meta_delta *delta, struct config_work *work) {
    pmap_remove(&delta->image->configs, work->key);
    work->fresh = NULL;
}

err_t delta_config(struct meta_delta *delta, const struct config_record *record) {
    if (record->resource_name.data == NULL || record->resource_name.size >= META_RESOURCE_KEY_MAX ||
        record->name.data == NULL) {
        return delta_refuse(delta, "ConfigRecord: without resource or name");
    }
    struct config_work *work = work_of(delta, record->resource_type, record->resource_name);
    if (record->value.data != NULL) {
        struct meta_config_resource *resource = own(delta, work);
        struct meta_config *config = meta_config_make(record->name, record->value);
        pmap_put(&resource->configs, str_bytes(config->name), &config->shared);
        return ERR_OK;
    }
    if (pmap_get(&delta->image->configs, work->key) == NULL) {
        return ERR_OK; /* taking away what was never set is fine */
    }
    struct meta_config_resource *resource = own(delta, work);
    pmap_remove(&resource->configs, str_bytes(record->name));
    if (resource->configs.count == 0) {
        drop(delta, work);
    }
    return ERR_OK;
}

void delta_drop_configs(struct meta_delta *delta, int8_t type, struct str name) {
    if (meta_image_config_resource(delta->image, type, name) != NULL) {
        drop(delta, work_of(delta, type, name));
    }
}

void delta_configs_done(struct meta_delta *delta) {
    struct list *link;
    while ((link = list_take_first(&delta->config_list)) != NULL) {
        struct config_work *work = container_of(link, struct config_work, link);
        free((uint8_t *)work->key.data);
        free(work);
    }
    map_done(&delta->configs);
}

void delta_configs_finish(struct meta_delta *delta, struct meta_changes *changes) {
    changes->configs = delta_calloc((map_count(&delta->configs) + 1) * sizeof *changes->configs);
    struct list *link;
    list_for_each (link, &delta->config_list) {
        const struct config_work *work = container_of(link, struct config_work, link);
        changes->configs[changes->config_count++] = (struct meta_config_change){
            .type = work->type,
            .name = bytes_str(delta_dup(str_bytes(work->name))),
        };
    }
}
