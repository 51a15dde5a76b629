#include "base/transcript.h"

#include <stdlib.h>
#include <string.h>

static char *read_all(const char *path) {
    FILE *in = fopen(path, "r");
    if (in == NULL) {
        perror(path);
        exit(2);
    }
    char *text = NULL;
    size_t size = 0;
    if (getdelim(&text, &size, '\0', in) < 0) {
        text = strdup("");
    }
    fclose(in);
    return text;
}

static void write_all(const char *path, const char *text) {
    FILE *file = fopen(path, "w");
    if (file == NULL) {
        perror(path);
        exit(2);
    }
    fputs(text, file);
    fclose(file);
}

static void play(const struct transcript_player *player, char *text, FILE *out) {
    FILE *in = fmemopen(text, strlen(text), "r");
    char *line = NULL;
    size_t size = 0;
    while (in != NULL && getline(&line, &size, in) > 0) {
        if (strncmp(line, "  ", 2) == 0) {
            continue; /* an outcome of before */
        }
        fputs(line, out);
        if (line[0] != '#' && line[0] != '\n') {
            player->run(player->arg, line, out);
        }
    }
    free(line);
    if (in != NULL) {
        fclose(in);
    }
}

int transcript_main(int argc, char **argv, const struct transcript_player *player) {
    if (argc != 2) {
        fprintf(stderr, "usage: %s TRANSCRIPT\n", argv[0]);
        return 2;
    }
    char *expected = read_all(argv[1]);
    char *actual = NULL;
    size_t actual_size = 0;
    FILE *out = open_memstream(&actual, &actual_size);
    if (player->start != NULL) {
        player->start(player->arg, out);
    }
    play(player, expected, out);
    if (player->stop != NULL) {
        player->stop(player->arg);
    }
    fclose(out);

    int failed = strcmp(expected, actual) != 0;
    if (failed && getenv("REWRITE") != NULL) {
        write_all(argv[1], actual);
        failed = 0;
    } else if (failed) {
        printf("%s differs; now it would read:\n%s", argv[1], actual);
    }
    printf("%d passed, %d failed\n", !failed, failed);
    free(expected);
    free(actual);
    return failed;
}
