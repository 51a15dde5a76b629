#include "cli/profiles.h"

#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "sys/file.h"
#include "sys/linux.h"

enum { LINE_SIZE_MAX = 4096 };

/* --- reading --- */

static const char *path_of(struct arena *arena) {
    const char *given = getenv("OTTLA_PROFILES");
    const char *xdg = getenv("XDG_CONFIG_HOME");
    const char *home = getenv("HOME");
    if (given != NULL) {
        return given;
    }
    return xdg != NULL && xdg[0] != '\0'
               ? arena_printf(arena, "%s/ottla/profiles", xdg).data
               : arena_printf(arena, "%s/.config/ottla/profiles", home == NULL ? "" : home).data;
}

static char *trim(char *text) {
    text += strspn(text, " \t\r\n");
    size_t size = strlen(text);
    while (size > 0 && strchr(" \t\r\n", text[size - 1]) != NULL) {
        text[--size] = '\0';
    }
    return text;
}

static struct profiles_line parse(struct arena *arena, const char *text) {
    struct str whole = {.data = text, .size = strcspn(text, "\r\n")};
    struct profiles_line line = {.text = arena_c_str(arena, whole)};
    char *rest = trim(arena_c_str(arena, whole));
    size_t size = strlen(rest);
    char *equals = strchr(rest, '=');
    if (size == 0 || rest[0] == '#' || rest[0] == ';') {
        return line;
    }
    if (rest[0] == '[' && rest[size - 1] == ']') {
        rest[size - 1] = '\0';
        line.section = trim(rest + 1);
    } else if (equals != NULL) {
        *equals = '\0';
        line.key = trim(rest);
        line.value = trim(equals + 1);
    } else {
        line.odd = true;
    }
    return line;
}

static void insert(struct profiles *profiles, size_t index, const char *text) {
    struct arena *arena = cli_arena(profiles->cli);
    if (profiles->count == profiles->capacity) {
        size_t size = profiles->capacity * sizeof *profiles->lines;
        profiles->capacity = profiles->capacity == 0 ? 32 : 2 * profiles->capacity;
        profiles->lines =
            arena_grow(arena, profiles->lines, size, profiles->capacity * sizeof *profiles->lines);
    }
    memmove(&profiles->lines[index + 1], &profiles->lines[index],
            (profiles->count - index) * sizeof *profiles->lines);
    profiles->lines[index] = parse(arena, text);
    profiles->count++;
}

void profiles_read(struct cli *cli, struct profiles *ret_profiles) {
    *ret_profiles = (struct profiles){.cli = cli, .path = path_of(cli_arena(cli))};
    char text[LINE_SIZE_MAX];
    FILE *file = fopen(ret_profiles->path, "re");
    ret_profiles->there = file != NULL;
    while (file != NULL && fgets(text, sizeof text, file) != NULL) {
        insert(ret_profiles, ret_profiles->count, text);
    }
    if (file != NULL) {
        fclose(file);
    }
}

/* --- writing --- */

static err_t write_lines(struct sys *sys, const struct profiles *profiles) {
    struct buffer text = {0};
    for (size_t i = 0; i < profiles->count; i++) {
        buffer_printf(&text, "%s\n", profiles->lines[i].text);
    }
    const char *slash = strrchr(profiles->path, '/');
    err_t err = ERR_OK;
    if (slash != NULL && slash != profiles->path) {
        struct str folder = {.data = profiles->path, .size = (size_t)(slash - profiles->path)};
        err = sys_dir_make_all(sys, arena_c_str(cli_arena(profiles->cli), folder));
    }
    if (err == ERR_OK) {
        err = sys_file_replace(sys, profiles->path, text.data, text.size);
    }
    buffer_done(&text);
    return err;
}

int profiles_write(const struct profiles *profiles) {
    struct sys *sys;
    err_t err = sys_linux_new(&sys);
    if (err == ERR_OK) {
        err = write_lines(sys, profiles);
        sys_linux_free(sys);
    }
    return err == ERR_OK ? CLI_DONE
                         : cli_fail(profiles->cli, CLI_FAILED, NULL, "%s cannot be written: %s",
                                    profiles->path, err_text(err));
}

/* --- looking --- */

static size_t first_section(const struct profiles *profiles) {
    size_t i = 0;
    while (i < profiles->count && profiles->lines[i].section == NULL) {
        i++;
    }
    return i;
}

static size_t find_use(const struct profiles *profiles) {
    size_t end = first_section(profiles);
    for (size_t i = 0; i < end; i++) {
        if (profiles->lines[i].key != NULL && strcmp(profiles->lines[i].key, "use") == 0) {
            return i;
        }
    }
    return SIZE_MAX;
}

const char *profiles_used(const struct profiles *profiles) {
    size_t index = find_use(profiles);
    return index == SIZE_MAX ? NULL : profiles->lines[index].value;
}

size_t profiles_find(const struct profiles *profiles, const char *name, size_t *ret_end) {
    for (size_t i = 0; i < profiles->count; i++) {
        if (profiles->lines[i].section == NULL || strcmp(profiles->lines[i].section, name) != 0) {
            continue;
        }
        *ret_end = i + 1;
        for (size_t at = i + 1; at < profiles->count && profiles->lines[at].section == NULL; at++) {
            *ret_end = profiles->lines[at].key != NULL ? at + 1 : *ret_end;
        }
        return i;
    }
    return SIZE_MAX;
}

/* The last of several counts, as when the settings are applied. */
static size_t find_key(const struct profiles *profiles, const char *name, const char *key) {
    size_t end;
    size_t found = SIZE_MAX;
    size_t start = profiles_find(profiles, name, &end);
    for (size_t i = start; start != SIZE_MAX && i < end; i++) {
        if (profiles->lines[i].key != NULL && strcmp(profiles->lines[i].key, key) == 0) {
            found = i;
        }
    }
    return found;
}

const char *profiles_get(const struct profiles *profiles, const char *name, const char *key) {
    size_t index = find_key(profiles, name, key);
    return index == SIZE_MAX ? NULL : profiles->lines[index].value;
}

/* --- changing --- */

static void drop(struct profiles *profiles, size_t first, size_t end) {
    memmove(&profiles->lines[first], &profiles->lines[end],
            (profiles->count - end) * sizeof *profiles->lines);
    profiles->count -= end - first;
}

void profiles_use(struct profiles *profiles, const char *name) {
    struct arena *arena = cli_arena(profiles->cli);
    const char *text = arena_printf(arena, "use = %s", name).data;
    size_t index = find_use(profiles);
    if (index != SIZE_MAX) {
        profiles->lines[index] = parse(arena, text);
        return;
    }
    index = first_section(profiles);
    insert(profiles, index, "");
    insert(profiles, index, text);
}

void profiles_set(struct profiles *profiles, const char *name, const char *key, const char *value) {
    struct arena *arena = cli_arena(profiles->cli);
    size_t end;
    if (profiles_find(profiles, name, &end) == SIZE_MAX) {
        if (profiles->count > 0) {
            insert(profiles, profiles->count, "");
        }
        insert(profiles, profiles->count, arena_printf(arena, "[%s]", name).data);
        end = profiles->count;
    }
    if (key == NULL) {
        return;
    }
    const char *text = arena_printf(arena, "%s = %s", key, value).data;
    size_t index = find_key(profiles, name, key);
    if (index != SIZE_MAX) {
        profiles->lines[index] = parse(arena, text);
    } else {
        insert(profiles, end, text);
    }
}

bool profiles_unset(struct profiles *profiles, const char *name, const char *key) {
    size_t index;
    bool any = false;
    while ((index = find_key(profiles, name, key)) != SIZE_MAX) {
        drop(profiles, index, index + 1);
        any = true;
    }
    return any;
}

bool profiles_delete(struct profiles *profiles, const char *name) {
    size_t end;
    size_t start = profiles_find(profiles, name, &end);
    if (start == SIZE_MAX) {
        return false;
    }
    start -= start > 0 && profiles->lines[start - 1].text[0] == '\0';
    drop(profiles, start, end);
    size_t use = find_use(profiles);
    if (use != SIZE_MAX && strcmp(profiles->lines[use].value, name) == 0) {
        drop(profiles, use, use + 1);
    }
    return true;
}
