/* The table for people. */
#include <inttypes.h>
#include <string.h>

#include "config/config_int.h"

static const char *scope_name(enum config_scope scope) {
    static const char *const names[] = {"broker", "topic", "group", "client-metrics"};
    return names[scope];
}

static void print_row(struct buffer *out, const struct config_row *row) {
    const char *text = row->required               ? "(required)"
                       : row->default_text == NULL ? "null"
                       : row->default_text[0] == 0 ? "\"\""
                                                   : row->default_text;
    buffer_printf(out, "%s\n    %s, default %s", row->name, config_type_name(row->type), text);
    if (row->valid != NULL) {
        buffer_printf(out, ", valid %s", row->valid);
    }
    buffer_printf(out, ", %s", config_class_name(row->class));
    if (row->scope == CONFIG_BROKER) {
        buffer_printf(out, ", %s", config_update_mode_name(row->update_mode));
    }
    for (int i = 0; i < CONFIG_FALLBACK_MAX && row->fallbacks[i].factor != 0; i++) {
        buffer_printf(out, "%s%s", i == 0 ? ", falls back to " : ", ",
                      config_row((enum config_key)row->fallbacks[i].key)->name);
    }
    buffer_printf(out, "\n");
    if (row->doc != NULL) {
        buffer_printf(out, "    %s\n", row->doc);
    }
}

void config_help_text(struct buffer *out) {
    buffer_printf(out,
                  "Settings, by kind. live: works. inert: known, without effect in this version.\n"
                  "protective: not enforced in this version, so setting it ends the start.\n");
    for (int scope = CONFIG_BROKER; scope <= CONFIG_CLIENT_METRICS; scope++) {
        buffer_printf(out, "\n--- %s settings ---\n", scope_name((enum config_scope)scope));
        for (int key = (int)config_scope_first((enum config_scope)scope);
             key < (int)config_scope_end((enum config_scope)scope); key++) {
            print_row(out, config_row((enum config_key)key));
        }
    }
}

static void print_json_text(struct buffer *out, const char *name, const char *text) {
    buffer_printf(out, ", \"%s\": ", name);
    if (text == NULL) {
        buffer_printf(out, "null");
        return;
    }
    buffer_printf(out, "\"");
    for (; *text != 0; text++) {
        buffer_printf(out, *text == '"' || *text == '\\' ? "\\%c" : "%c", *text);
    }
    buffer_printf(out, "\"");
}

static void print_json_row(struct buffer *out, const struct config_row *row) {
    buffer_printf(out, "  {\"name\": \"%s\"", row->name);
    print_json_text(out, "scope", scope_name(row->scope));
    print_json_text(out, "type", config_type_name(row->type));
    print_json_text(out, "default", row->default_text);
    buffer_printf(out, ", \"required\": %s", row->required ? "true" : "false");
    print_json_text(out, "valid", row->valid);
    print_json_text(out, "class", config_class_name(row->class));
    print_json_text(out, "update_mode", config_update_mode_name(row->update_mode));
    print_json_text(out, "doc", row->doc);
    buffer_printf(out, "}");
}

void config_help_json(struct buffer *out) {
    buffer_printf(out, "[\n");
    int end = (int)config_scope_end(CONFIG_CLIENT_METRICS);
    for (int key = 0; key < end; key++) {
        print_json_row(out, config_row((enum config_key)key));
        buffer_printf(out, key + 1 < end ? ",\n" : "\n");
    }
    buffer_printf(out, "]\n");
}
