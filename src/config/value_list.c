/* Lists, and what their items may be. */
#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "base/map.h"
#include "config/value_int.h"

bool config_list_next(struct str list, size_t *position, struct str *ret_item) {
    if (list.size == 0 || *position > list.size) {
        return false;
    }
    const char *start = list.data + *position;
    size_t left = list.size - *position;
    const char *comma = memchr(start, ',', left);
    size_t size = comma == NULL ? left : (size_t)(comma - start);
    *ret_item = config_trim((struct str){.data = start, .size = size});
    *position += size + 1;
    return true;
}

bool config_list_has(struct str list, struct str item) {
    struct str each;
    for (size_t position = 0; config_list_next(list, &position, &each);) {
        if (str_equal(each, item)) {
            return true;
        }
    }
    return false;
}

/* Items joined by one separator, without the space around them. */
static struct str join(struct value_parse *p, struct str list, const char *separator) {
    struct buffer out = {0};
    struct str item;
    const char *before = "";
    for (size_t position = 0; config_list_next(list, &position, &item);) {
        buffer_printf(&out, "%s%.*s", before, STR_ARGS(item));
        before = separator;
    }
    struct str text =
        arena_str(p->arena, out.data == NULL ? STR("") : bytes_str(buffer_bytes(&out)));
    buffer_done(&out);
    return text;
}

/* Without items that stand in it before. */
static struct str unique(struct value_parse *p, struct str list) {
    struct buffer out = {0};
    struct map seen = {0};
    struct str item;
    for (size_t position = 0; config_list_next(list, &position, &item);) {
        if (map_put(&seen, str_bytes(item), &seen) == NULL) {
            buffer_printf(&out, "%s%.*s", out.size == 0 ? "" : ",", STR_ARGS(item));
        }
    }
    struct str text =
        out.size == list.size ? list : arena_str(p->arena, bytes_str(buffer_bytes(&out)));
    map_done(&seen);
    buffer_done(&out);
    return text;
}

static bool choice_matches(struct str choices, struct str value, bool any_case) {
    struct str each;
    for (size_t position = 0; config_list_next(choices, &position, &each);) {
        if (each.size == value.size && (any_case ? strncasecmp(each.data, value.data, each.size)
                                                 : memcmp(each.data, value.data, each.size)) == 0) {
            return true;
        }
    }
    return false;
}

err_t value_check_choice(struct value_parse *p, struct str value, bool any_case) {
    if (choice_matches(str_from_c(p->row->choices), value, any_case)) {
        return ERR_OK;
    }
    struct str why = arena_printf(p->arena, "String must be one of%s: %s",
                                  any_case ? " (case insensitive)" : "", p->row->choices);
    return value_refuse(p, value, why.data);
}

static err_t check_distinct(struct value_parse *p) {
    struct str list = p->value.text;
    const char *name = p->row->name;
    struct str item;
    if (list.size == 0 && p->row->list == CONFIG_LIST_DISTINCT_SOME) {
        const char *choices = p->row->choices;
        p->message = arena_printf(p->arena,
                                  "Configuration '%s' must not be empty. Valid values include: "
                                  "%s%s%s",
                                  name, choices == NULL ? "" : "[",
                                  choices == NULL ? "any non-empty value" : choices,
                                  choices == NULL ? "" : "]");
        return ERR_INVALID;
    }
    for (size_t position = 0; config_list_next(list, &position, &item);) {
        if (item.size == 0) {
            p->message =
                arena_printf(p->arena, "Configuration '%s' values must not be empty.", name);
            return ERR_INVALID;
        }
        err_t err = p->row->choices == NULL ? ERR_OK : value_check_choice(p, item, false);
        if (err != ERR_OK) {
            return err;
        }
    }
    p->value.text = unique(p, list);
    return ERR_OK;
}

bool text_is_digits(struct str text) {
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] < '0' || text.data[i] > '9') {
            return false;
        }
    }
    return text.size > 0;
}

static bool split_at(struct str text, char at, struct str *left, struct str *right) {
    const char *found = memrchr(text.data, at, text.size);
    if (found == NULL) {
        return false;
    }
    *left = (struct str){text.data, (size_t)(found - text.data)};
    *right = (struct str){found + 1, text.size - left->size - 1};
    return true;
}

/* Letters of host names and addresses; an IPv6 address may stand in brackets. */
static bool is_host(struct str text) {
    for (size_t i = 0; i < text.size; i++) {
        char c = text.data[i];
        bool bracket = (c == '[' && i == 0) || (c == ']' && i == text.size - 1);
        if (!bracket && (c == 0 || (!isalnum((unsigned char)c) && strchr("-%._:", c) == NULL))) {
            return false;
        }
    }
    return text.size > 0;
}

static bool is_port(struct str text) {
    int port = 0;
    for (size_t i = 0; i < text.size && port <= UINT16_MAX; i++) {
        port = 10 * port + (text.data[i] - '0');
    }
    return port <= UINT16_MAX;
}

static bool is_host_port(struct str text) {
    struct str host, port;
    return split_at(text, ':', &host, &port) && is_host(host) && text_is_digits(port) &&
           is_port(port);
}

static err_t check_voter(struct value_parse *p, struct str item) {
    static const char form[] = "Each entry should be in the form `{id}@{host}:{port}`.";
    const char *name = p->row->name;
    struct str id, address;
    if (!split_at(item, '@', &id, &address)) {
        p->message = arena_printf(p->arena, "Invalid configuration value for %s. %s", name, form);
        return ERR_INVALID;
    }
    if (!text_is_digits(id) || id.size > 9) {
        p->message = arena_printf(p->arena, "Failed to parse voter ID as an integer from %.*s",
                                  STR_ARGS(id));
        return ERR_INVALID;
    }
    if (!is_host_port(address)) {
        p->message = arena_printf(
            p->arena, "Failed to parse host name from entry %.*s for the configuration %s. %s",
            STR_ARGS(item), name, form);
        return ERR_INVALID;
    }
    return ERR_OK;
}

static err_t check_voters(struct value_parse *p) {
    struct str item;
    for (size_t position = 0; config_list_next(p->value.text, &position, &item);) {
        err_t err = check_voter(p, item);
        if (err != ERR_OK) {
            return err;
        }
    }
    return ERR_OK;
}

static err_t check_servers(struct value_parse *p) {
    struct str item;
    for (size_t position = 0; config_list_next(p->value.text, &position, &item);) {
        if (!is_host_port(item)) {
            p->message = arena_printf(p->arena,
                                      "Failed to parse host name from %.*s for the configuration "
                                      "%s. Each entry should be in the form \"{host}:{port}\"",
                                      STR_ARGS(item), p->row->name);
            return ERR_INVALID;
        }
    }
    return ERR_OK;
}

static err_t check_replicas(struct value_parse *p) {
    struct str list = p->value.text;
    struct str item, partition, broker;
    for (size_t position = 0; config_list_next(list, &position, &item);) {
        if (position == item.size + 1 && str_equal(item, STR("*"))) {
            return ERR_OK;
        }
        if (item.size > 0 && (!split_at(item, ':', &partition, &broker) ||
                              !text_is_digits(partition) || !text_is_digits(broker))) {
            struct str why = arena_printf(p->arena,
                                          "%s must be the literal '*' or a list of replicas in the "
                                          "following format: "
                                          "[partitionId]:[brokerId],[partitionId]:[brokerId],...",
                                          p->row->name);
            struct str joined = join(p, list, ", ");
            return value_refuse(p, arena_printf(p->arena, "[%.*s]", STR_ARGS(joined)), why.data);
        }
    }
    return ERR_OK;
}

err_t value_parse_list(struct value_parse *p) {
    p->value.text = join(p, config_trim(p->text), ",");
    switch (p->row->list) {
    case CONFIG_LIST_ANY:
        return ERR_OK;
    case CONFIG_LIST_DISTINCT:
    case CONFIG_LIST_DISTINCT_SOME:
        return check_distinct(p);
    case CONFIG_LIST_VOTERS:
        return check_voters(p);
    case CONFIG_LIST_SERVERS:
        return check_servers(p);
    case CONFIG_LIST_REPLICAS:
        return check_replicas(p);
    }
    return ERR_OK;
}
