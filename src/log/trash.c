/* Files and folders that wait for their removal, one removal per step. */
#include <stdlib.h>
#include <string.h>

#include "log/directory_int.h"

struct trash_item {
    struct list link;
    char *path;
    bool folder;
    int64_t due_ms; /* of sys_mono_ms */
};

void directory_trash_add(struct log_directory *directory, char *path, bool folder,
                         int64_t delay_ms) {
    struct trash_item *item = calloc(1, sizeof *item);
    item->path = path;
    item->folder = folder;
    item->due_ms = sys_mono_ms(directory->sys) + delay_ms;
    sys_lock_take(&directory->lock);
    list_add_last(&directory->trash, &item->link);
    sys_lock_give(&directory->lock);
}

static void item_free(struct trash_item *item) {
    free(item->path);
    free(item);
}

void directory_trash_done(struct log_directory *directory) {
    struct list *link;
    while ((link = list_take_first(&directory->trash)) != NULL) {
        item_free(container_of(link, struct trash_item, link));
    }
}

/* Takes out an item that is due; else says when the first one will be. */
static struct trash_item *due_take(struct log_directory *directory, int64_t now_ms,
                                   int64_t *ret_next_ms) {
    struct trash_item *due = NULL;
    *ret_next_ms = INT64_MAX;
    sys_lock_take(&directory->lock);
    struct list *link;
    list_for_each (link, &directory->trash) {
        struct trash_item *item = container_of(link, struct trash_item, link);
        if (item->due_ms <= now_ms && due == NULL) {
            due = item;
        } else if (item->due_ms < *ret_next_ms) {
            *ret_next_ms = item->due_ms;
        }
    }
    if (due != NULL) {
        list_remove(&due->link);
    }
    sys_lock_give(&directory->lock);
    return due;
}

/* Removes one thing in a folder, or the empty folder. *ret_gone: nothing is left. */
static err_t folder_remove_one(struct sys *sys, const char *path, bool *ret_gone) {
    struct sys_dir_list list;
    err_t err = sys_dir_list(sys, path, &list);
    if (err != ERR_OK) {
        *ret_gone = err == ERR_NOT_FOUND;
        return err == ERR_NOT_FOUND ? ERR_OK : err;
    }
    *ret_gone = list.count == 0;
    if (list.count == 0) {
        err = sys_path_remove(sys, path);
    } else {
        char *inner = path_join(path, list.names[0]);
        struct sys_stat stat;
        bool inner_gone;
        if (sys_path_stat(sys, inner, &stat) == ERR_OK && stat.directory) {
            err = folder_remove_one(sys, inner, &inner_gone);
        } else {
            err = sys_path_remove(sys, inner);
        }
        free(inner);
    }
    sys_dir_list_free(&list);
    return err == ERR_NOT_FOUND ? ERR_OK : err;
}

static err_t item_remove(struct log_directory *directory, const struct trash_item *item,
                         bool *ret_gone) {
    if (item->folder) {
        return folder_remove_one(directory->sys, item->path, ret_gone);
    }
    *ret_gone = true;
    err_t err = sys_path_remove(directory->sys, item->path);
    return err == ERR_NOT_FOUND ? ERR_OK : err;
}

err_t log_directory_trash_step(struct log_directory *directory, int64_t *ret_next_ms) {
    int64_t now_ms = sys_mono_ms(directory->sys);
    struct trash_item *item = due_take(directory, now_ms, ret_next_ms);
    if (item == NULL) {
        return ERR_OK;
    }
    *ret_next_ms = now_ms;
    bool gone = false;
    err_t err = item_remove(directory, item, &gone);
    if (err == ERR_OK && !gone) {
        sys_lock_take(&directory->lock);
        list_add_first(&directory->trash, &item->link);
        sys_lock_give(&directory->lock);
        return ERR_OK;
    }
    if (err != ERR_OK && directory->text_log != NULL) {
        text_log_warn(directory->text_log, "log", "%s could not be removed: %s", item->path,
                      err_text(err));
    }
    item_free(item);
    return log_directory_note(directory, err);
}
