#include <stdlib.h>
#include <string.h>

#include "base/test.h"
#include "cli/command.h"

/* What the command below saw of its last run. */
static struct {
    bool ran;
    char name[32];
    char arguments[128];
    int64_t count;
    int64_t size;
    char sets[64];
    bool flag;
    bool dry;
} seen;

static int run(struct cli *cli) {
    memset(&seen, 0, sizeof seen);
    seen.ran = true;
    (void)snprintf(seen.name, sizeof seen.name, "%s", cli_text(cli, "name", "none"));
    for (size_t i = 0; i < cli_argument_count(cli); i++) {
        strcat(strcat(seen.arguments, cli_argument(cli, i)), ";");
    }
    seen.count = cli_number(cli, "count", -7);
    seen.size = cli_number(cli, "size", 0);
    const char *const *sets;
    size_t set_count = cli_texts(cli, "set", &sets);
    for (size_t i = 0; i < set_count; i++) {
        strcat(strcat(seen.sets, sets[i]), ";");
    }
    seen.flag = cli_has(cli, "flag");
    seen.dry = cli_is_dry(cli);
    return CLI_PARTLY;
}

static const struct cli_option options[] = {
    {"name", 'n', CLI_TEXT, "NAME", "a name", "one|two"},
    {"count", 'c', CLI_NUMBER, "COUNT", "a count", .least = 2, .most = 9},
    {"size", 0, CLI_NUMBER, "SIZE", "a size"},
    {"flag", 'f', CLI_FLAG, NULL, "a flag"},
    {NULL},
};
static const struct cli_command make = {
    .name = "make",
    .arguments = "[THING…]",
    .summary = "make things",
    .examples = "  tool make a\n",
    .options = options,
    .arguments_max = 3,
    .run = run,
};
static const struct cli_command take = {
    .name = "take", .summary = "take things", .run = run, .options = options};
static const struct cli_command *const commands[] = {&make, &take, NULL};
static const struct cli_command root = {.summary = "things", .commands = commands};

/* Runs with the words of a line. */
static int run_line(const char *line) {
    char text[256];
    char *argv[32] = {"tool"};
    int argc = 1;
    (void)snprintf(text, sizeof text, "%s", line);
    char *rest;
    for (char *word = strtok_r(text, " ", &rest); word != NULL; word = strtok_r(NULL, " ", &rest)) {
        argv[argc++] = word;
    }
    seen.ran = false;
    return cli_run(&root, "tool", argc, argv);
}

static void test_options_in_all_their_forms(void **state) {
    (void)state;
    assert_int_equal(run_line("make a --name one -c5 b --flag -X k=v --set=l=w"), CLI_PARTLY);
    assert_string_equal(seen.arguments, "a;b;");
    assert_string_equal(seen.name, "one");
    assert_int_equal(seen.count, 5);
    assert_true(seen.flag);
    assert_string_equal(seen.sets, "k=v;l=w;");
    assert_int_equal(run_line("make --name=two --name one -qfn two --count=3"), CLI_PARTLY);
    assert_string_equal(seen.name, "two");
    assert_int_equal(seen.count, 3);
    assert_true(seen.flag);
}

static void test_what_looks_like_an_option_and_is_none(void **state) {
    (void)state;
    assert_int_equal(run_line("make -1 - -- --flag"), CLI_PARTLY);
    assert_string_equal(seen.arguments, "-1;-;--flag;");
    assert_false(seen.flag);
}

static void test_sizes_have_units(void **state) {
    (void)state;
    assert_int_equal(run_line("make --size 3Ki"), CLI_PARTLY);
    assert_int_equal(seen.size, 3072);
    assert_int_equal(run_line("make --size 2M"), CLI_PARTLY);
    assert_int_equal(seen.size, 2000000);
    assert_int_equal(run_line("make --size 9999999999G"), CLI_USAGE);
    assert_int_equal(run_line("make --count 3k"), CLI_USAGE);
    assert_false(seen.ran);
}

static void test_mistakes_are_told_and_nothing_runs(void **state) {
    (void)state;
    static const char *const lines[] = {"",
                                        "mak",
                                        "make --nam one",
                                        "make --name",
                                        "make --name three",
                                        "make -z",
                                        "make --flag=1",
                                        "make a b c d",
                                        "take a",
                                        "make -n",
                                        "make -c abc",
                                        "make -c 1",
                                        "make -c 10",
                                        "make -c -3",
                                        "make --size -1"};
    for (size_t i = 0; i < sizeof lines / sizeof lines[0]; i++) {
        assert_int_equal(run_line(lines[i]), CLI_USAGE);
        assert_false(seen.ran);
    }
}

static void test_help_comes_even_with_mistakes(void **state) {
    (void)state;
    assert_int_equal(run_line("--help"), CLI_DONE);
    assert_int_equal(run_line("help"), CLI_DONE);
    assert_int_equal(run_line("make --help"), CLI_DONE);
    assert_int_equal(run_line("take a -h"), CLI_DONE);
    assert_false(seen.ran);
}

static void test_dry_run(void **state) {
    (void)state;
    assert_int_equal(run_line("make --dry-run"), CLI_PARTLY);
    assert_true(seen.dry);
}

static void test_near_names(void **state) {
    (void)state;
    const char *names[] = {"partitions", "bootstrap-server", "topic"};
    assert_string_equal(cli_nearest("partition", names, 3), "partitions");
    assert_string_equal(cli_nearest("bootstrap", names, 3), "bootstrap-server");
    assert_string_equal(cli_nearest("tpoic", names, 3), "topic");
    assert_null(cli_nearest("zzz", names, 3));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_options_in_all_their_forms),
        cmocka_unit_test(test_what_looks_like_an_option_and_is_none),
        cmocka_unit_test(test_sizes_have_units),
        cmocka_unit_test(test_mistakes_are_told_and_nothing_runs),
        cmocka_unit_test(test_help_comes_even_with_mistakes),
        cmocka_unit_test(test_dry_run),
        cmocka_unit_test(test_near_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
