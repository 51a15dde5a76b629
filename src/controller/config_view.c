/* What the image says about settings, as the layers that config/ resolves. */
#include <assert.h>
#include <stdio.h>

#include "controller/controller_int.h"

static bool resource_get(const void *arg, struct str name, struct str *ret_value) {
    const struct meta_config_resource *resource = arg;
    const struct meta_config *config = pmap_get(&resource->configs, str_bytes(name));
    if (config == NULL) {
        return false;
    }
    *ret_value = config->value;
    return true;
}

static struct config_lookup lookup(const struct meta_image *image, int8_t type, struct str name) {
    const struct meta_config_resource *resource = meta_image_config_resource(image, type, name);
    if (resource == NULL) {
        return (struct config_lookup){0};
    }
    return (struct config_lookup){.get = resource_get, .arg = resource};
}

struct config_layers controller_config_layers(const struct controller *controller,
                                              struct str topic) {
    char node[16];
    snprintf(node, sizeof node, "%d", (int)controller->options.node_id);
    struct config_layers layers = {
        .broker = lookup(controller->image, META_RESOURCE_BROKER, str_from_c(node)),
        .cluster = lookup(controller->image, META_RESOURCE_BROKER, STR("")),
        .file = controller->options.config,
    };
    if (topic.data != NULL) {
        layers.resource = lookup(controller->image, META_RESOURCE_TOPIC, topic);
    }
    return layers;
}

struct str config_static_min_isr(const struct controller *controller, struct arena *arena) {
    return arena_printf(arena, "%d",
                        (int)config_int(controller->options.config, CONFIG_MIN_INSYNC_REPLICAS));
}

/*
 * Eligible leader replicas need one min.insync.replicas for all brokers: it is set for the cluster,
 * and taken from single brokers.
 */
void configs_add_elr_safety(struct controller *controller, struct strand_output *output) {
    const struct meta_image *image = controller->image;
    struct str name = STR("min.insync.replicas");
    if (meta_image_config(image, META_RESOURCE_BROKER, STR(""), name).data == NULL) {
        (void)record_add_config(controller, output, META_RESOURCE_BROKER, STR(""), name,
                                config_static_min_isr(controller, output->arena));
    }
    struct pmap_walk walk;
    const struct meta_config_resource *resource;
    pmap_for_each(&walk, &image->configs, resource) {
        if (resource->type == META_RESOURCE_BROKER && resource->name.size > 0 &&
            pmap_get(&resource->configs, str_bytes(name)) != NULL) {
            (void)record_add_config(controller, output, META_RESOURCE_BROKER, resource->name, name,
                                    STR_NULL);
        }
    }
}
