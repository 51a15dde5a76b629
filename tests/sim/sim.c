/*
 * The simulator's command line.
 *
 *   sim --seed N             one seed, by default of the scenario that the seed chooses
 *   sim --seeds A-B          many, in child processes that each run a batch
 *       --jobs N             so many children at a time (1)
 *       --scenario FILE      this scenario for all seeds; may be given several times
 *       --verbose            says what happens (one seed)
 *       --trace FILE         writes every event (one seed)
 *       --list               the scenarios
 *
 * A seed's run leaks what crashed nodes had, so a batch has a process of its own. A child tells its
 * parent line by line; when it dies, the seed it was at has failed, and another child goes on after
 * it. Every REPLAY_EVERYth seed runs twice, and must go the same way.
 *
 * The last line is `N passed, N failed`: seeds, and points that a scenario must hit and did not
 * (those count when it had MUST_SEEDS_MIN seeds or more).
 */
#include <dirent.h>
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "run.h"

enum {
    SCENARIOS_MAX = 64,
    JOBS_MAX = 16,
    BATCH_SEEDS = 10,
    REPLAY_EVERY = 23, /* shares no factor with the count of scenarios */
    MUST_SEEDS_MIN = 33,
    SEED_SECONDS_MAX = 240, /* of the real clock */
};

struct options {
    uint64_t first;
    uint64_t last;
    int jobs;
    bool verbose;
    const char *trace;
    struct scenario *scenarios[SCENARIOS_MAX];
    int scenario_count;
};

struct totals {
    uint64_t passed;
    uint64_t failed;
    uint64_t acknowledged;
    uint64_t faults;
    uint64_t events;
    struct points *points;
    struct points *scenario_points[SCENARIOS_MAX];
    uint64_t scenario_runs[SCENARIOS_MAX];
};

/* Leaks are by design, see above. */
const char *__asan_default_options(void);
const char *__asan_default_options(void) {
    return "detect_leaks=0";
}

static int scenario_of(const struct options *options, uint64_t seed) {
    return (int)(seed % (uint64_t)options->scenario_count);
}

/* --- one seed, in a child --- */

static void print_point(void *arg, const char *name, uint64_t count) {
    fprintf(arg, "point %s %" PRIu64 "\n", name, count);
}

static void run_and_tell(const struct options *options, uint64_t seed, FILE *out) {
    struct scenario *scenario = options->scenarios[scenario_of(options, seed)];
    fprintf(out, "begin %" PRIu64 "\n", seed);
    fflush(out);
    alarm(SEED_SECONDS_MAX);
    struct points *points = points_new();
    struct run_result result;
    run_seed(scenario, seed, points, NULL, NULL, &result);
    if (result.failure[0] == '\0' && seed % REPLAY_EVERY == 0) {
        struct run_result again;
        struct points *unused = points_new();
        run_seed(scenario, seed, unused, NULL, NULL, &again);
        points_free(unused);
        if (again.hash != result.hash) {
            snprintf(result.failure, sizeof result.failure,
                     "the second run of the same seed went another way");
        }
    }
    alarm(0);
    points_each(points, print_point, out);
    points_free(points);
    fprintf(out, "figures %" PRIu64 " %" PRIu64 " %" PRIu64 "\n", result.figures.acknowledged,
            result.fault_count, result.event_count);
    if (result.failure[0] == '\0') {
        fprintf(out, "passed %" PRIu64 "\n", seed);
    } else {
        fprintf(out, "failed %" PRIu64 " %s\n", seed, result.failure);
    }
    fflush(out);
}

/* --- the parent --- */

struct child {
    pid_t pid;
    int fd;
    uint64_t next; /* the seed it is at, or will be */
    uint64_t last;
    char line[1024];
    size_t line_size;
};

static void start_child(const struct options *options, struct child *child, uint64_t first,
                        uint64_t last) {
    int ends[2];
    if (pipe(ends) != 0) {
        perror("pipe");
        exit(2);
    }
    fflush(NULL);
    pid_t pid = fork();
    if (pid < 0) {
        perror("fork");
        exit(2);
    }
    if (pid == 0) {
        close(ends[0]);
        FILE *out = fdopen(ends[1], "w");
        for (uint64_t seed = first; seed <= last; seed++) {
            run_and_tell(options, seed, out);
        }
        fclose(out);
        _exit(0);
    }
    close(ends[1]);
    *child = (struct child){.pid = pid, .fd = ends[0], .next = first, .last = last};
}

static void tell_failure(const struct options *options, uint64_t seed, const char *failure) {
    printf("seed %" PRIu64 " (%s): %s\n", seed,
           options->scenarios[scenario_of(options, seed)]->name, failure);
    printf("    again: sim --seed %" PRIu64 " --verbose\n", seed);
    fflush(stdout);
}

static void count_seed(const struct options *options, struct totals *totals, struct child *child,
                       uint64_t seed, const char *failure) {
    totals->scenario_runs[scenario_of(options, seed)]++;
    child->next = seed + 1;
    if (failure == NULL) {
        totals->passed++;
    } else {
        totals->failed++;
        tell_failure(options, seed, failure);
    }
}

static void take_line(const struct options *options, struct totals *totals, struct child *child,
                      const char *line) {
    uint64_t a;
    uint64_t b;
    uint64_t c;
    char name[128];
    int text;
    if (sscanf(line, "begin %" SCNu64, &a) == 1) {
        child->next = a;
    } else if (sscanf(line, "passed %" SCNu64, &a) == 1) {
        count_seed(options, totals, child, a, NULL);
    } else if (sscanf(line, "failed %" SCNu64 " %n", &a, &text) == 1) {
        count_seed(options, totals, child, a, line + text);
    } else if (sscanf(line, "point %127s %" SCNu64, name, &a) == 2) {
        points_add(totals->points, name, a);
        points_add(totals->scenario_points[scenario_of(options, child->next)], name, a);
    } else if (sscanf(line, "figures %" SCNu64 " %" SCNu64 " %" SCNu64, &a, &b, &c) == 3) {
        totals->acknowledged += a;
        totals->faults += b;
        totals->events += c;
    }
}

/* False at the end of what the child says. */
static bool take_output(const struct options *options, struct totals *totals, struct child *child) {
    char bytes[4096];
    ssize_t size = read(child->fd, bytes, sizeof bytes);
    for (ssize_t i = 0; i < size; i++) {
        if (bytes[i] == '\n') {
            child->line[child->line_size] = '\0';
            take_line(options, totals, child, child->line);
            child->line_size = 0;
        } else if (child->line_size + 1 < sizeof child->line) {
            child->line[child->line_size++] = bytes[i];
        }
    }
    return size > 0;
}

/* The child is gone. True when it left seeds of its batch. */
static bool bury(const struct options *options, struct totals *totals, struct child *child) {
    int status;
    close(child->fd);
    while (waitpid(child->pid, &status, 0) < 0 && errno == EINTR) {
    }
    if (child->next > child->last) {
        return false;
    }
    char failure[64];
    if (WIFSIGNALED(status)) {
        snprintf(failure, sizeof failure, "died: %s", strsignal(WTERMSIG(status)));
    } else {
        snprintf(failure, sizeof failure, "died with exit code %d", WEXITSTATUS(status));
    }
    count_seed(options, totals, child, child->next, failure);
    return child->next <= child->last;
}

static void run_all(const struct options *options, struct totals *totals) {
    struct child children[JOBS_MAX];
    int count = 0;
    uint64_t next = options->first;
    while (count > 0 || next <= options->last) {
        while (count < options->jobs && next <= options->last) {
            uint64_t last = next + BATCH_SEEDS - 1;
            last = last < options->last ? last : options->last;
            start_child(options, &children[count++], next, last);
            next = last + 1;
        }
        struct pollfd polls[JOBS_MAX];
        for (int i = 0; i < count; i++) {
            polls[i] = (struct pollfd){.fd = children[i].fd, .events = POLLIN};
        }
        if (poll(polls, (nfds_t)count, -1) < 0) {
            continue;
        }
        for (int i = count - 1; i >= 0; i--) {
            if (polls[i].revents == 0 || take_output(options, totals, &children[i])) {
                continue;
            }
            if (bury(options, totals, &children[i])) {
                start_child(options, &children[i], children[i].next, children[i].last);
            } else {
                children[i] = children[--count];
            }
        }
    }
}

static void print_count(void *arg, const char *name, uint64_t count) {
    (void)arg;
    printf("  %-40s %10" PRIu64 "\n", name, count);
}

static void check_musts(const struct options *options, struct totals *totals) {
    for (int i = 0; i < options->scenario_count; i++) {
        struct scenario_line *line = NULL;
        while ((line = scenario_next(options->scenarios[i], SCENARIO_MUST, NULL, line)) != NULL) {
            if (totals->scenario_runs[i] >= MUST_SEEDS_MIN &&
                points_count(totals->scenario_points[i], line->name) == 0) {
                totals->failed++;
                printf("%s: must be hit, and was not: %s\n", options->scenarios[i]->name,
                       line->name);
            }
        }
    }
}

static int run_many(const struct options *options) {
    struct totals totals = {.points = points_new()};
    for (int i = 0; i < options->scenario_count; i++) {
        totals.scenario_points[i] = points_new();
    }
    run_all(options, &totals);
    printf("points hit:\n");
    points_each(totals.points, print_count, NULL);
    check_musts(options, &totals);
    printf("%" PRIu64 " acknowledgements, %" PRIu64 " faults, %" PRIu64 " events\n",
           totals.acknowledged, totals.faults, totals.events);
    printf("%" PRIu64 " passed, %" PRIu64 " failed\n", totals.passed, totals.failed);
    for (int i = 0; i < options->scenario_count; i++) {
        points_free(totals.scenario_points[i]);
    }
    points_free(totals.points);
    return totals.failed > 0;
}

static int run_one(const struct options *options) {
    FILE *trace = options->trace == NULL ? NULL : fopen(options->trace, "w");
    if (options->trace != NULL && trace == NULL) {
        perror(options->trace);
        return 2;
    }
    struct scenario *scenario = options->scenarios[scenario_of(options, options->first)];
    struct points *points = points_new();
    struct run_result result;
    printf("seed %" PRIu64 ", scenario %s\n", options->first, scenario->name);
    run_seed(scenario, options->first, points, options->verbose ? stdout : NULL, trace, &result);
    if (trace != NULL) {
        fclose(trace);
    }
    points_each(points, print_count, NULL);
    points_free(points);
    printf("%" PRIu64 " sent, %" PRIu64 " acknowledged, %" PRIu64 " refused, %" PRIu64
           " read, %" PRIu64 " walked, %" PRIu64 " lost to power\n",
           result.figures.sent, result.figures.acknowledged, result.figures.refused,
           result.figures.read, result.figures.walked, result.figures.lost_to_power);
    printf("%" PRIu64 " faults, %" PRIu64 " events, %.3f virtual seconds, hash %016" PRIx64 "\n",
           result.fault_count, result.event_count, (double)result.virtual_ms / 1000, result.hash);
    bool failed = result.failure[0] != '\0';
    if (failed) {
        printf("FAILED: %s\n", result.failure);
    }
    printf("%d passed, %d failed\n", !failed, failed);
    return failed;
}

/* --- the command line --- */

static void add_scenario(struct options *options, const char *path) {
    char error[SCENARIO_ERROR_MAX];
    struct scenario *scenario = scenario_read(path, error);
    if (scenario == NULL || options->scenario_count == SCENARIOS_MAX) {
        fprintf(stderr, "%s\n", scenario == NULL ? error : "too many scenarios");
        exit(2);
    }
    options->scenarios[options->scenario_count++] = scenario;
}

static int is_scenario(const struct dirent *entry) {
    size_t size = strlen(entry->d_name);
    return size > 4 && strcmp(entry->d_name + size - 4, ".sim") == 0;
}

static void add_all(struct options *options, const char *folder) {
    struct dirent **entries;
    int count = scandir(folder, &entries, is_scenario, alphasort);
    for (int i = 0; i < count; i++) {
        char path[1024];
        snprintf(path, sizeof path, "%s/%s", folder, entries[i]->d_name);
        add_scenario(options, path);
        free(entries[i]);
    }
    if (count >= 0) {
        free(entries);
    }
    if (options->scenario_count == 0) {
        fprintf(stderr, "no scenarios in %s\n", folder);
        exit(2);
    }
}

static void usage(void) {
    fprintf(stderr, "usage: sim --seed N | --seeds A-B [--jobs N] [--scenario FILE]... "
                    "[--verbose] [--trace FILE] [--list]\n");
    exit(2);
}

static void parse_options(struct options *options, int argc, char **argv, bool *ret_list) {
    static const struct option names[] = {
        {"seed", required_argument, NULL, 's'}, {"seeds", required_argument, NULL, 'S'},
        {"jobs", required_argument, NULL, 'j'}, {"scenario", required_argument, NULL, 'f'},
        {"verbose", no_argument, NULL, 'v'},    {"trace", required_argument, NULL, 't'},
        {"list", no_argument, NULL, 'l'},       {NULL, 0, NULL, 0},
    };
    int option;
    while ((option = getopt_long(argc, argv, "", names, NULL)) != -1) {
        switch (option) {
        case 's':
            options->first = options->last = strtoull(optarg, NULL, 10);
            break;
        case 'S':
            if (sscanf(optarg, "%" SCNu64 "-%" SCNu64, &options->first, &options->last) != 2) {
                usage();
            }
            break;
        case 'j':
            options->jobs = atoi(optarg);
            break;
        case 'f':
            add_scenario(options, optarg);
            break;
        case 'v':
            options->verbose = true;
            break;
        case 't':
            options->trace = optarg;
            break;
        case 'l':
            *ret_list = true;
            break;
        default:
            usage();
        }
    }
    if (options->first > options->last || options->jobs < 1 || options->jobs > JOBS_MAX) {
        usage();
    }
}

int main(int argc, char **argv) {
    struct options options = {.first = 1, .last = 1, .jobs = 1};
    bool list = false;
    parse_options(&options, argc, argv, &list);
    if (options.scenario_count == 0) {
        add_all(&options, SIM_SCENARIOS);
    }
    if (list) {
        for (int i = 0; i < options.scenario_count; i++) {
            printf("%s\n", options.scenarios[i]->name);
        }
        return 0;
    }
    return options.first == options.last ? run_one(&options) : run_many(&options);
}
