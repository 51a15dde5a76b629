#include <string.h>

#include "base/test.h"
#include "cli/kafka/java.h"
#include "cli/kafka/names.h"
#include "cli/kafka/tool_int.h"

/* A command line as a tool's parser sees it. */
struct fixture {
    struct tool tool;
    char words[16][64];
    char *argv[17];
    int code;
    bool over;
};

static void run(struct fixture *fixture, const char *line) {
    memset(fixture, 0, sizeof *fixture);
    int argc = 0;
    for (const char *at = line; *at != '\0'; at += strspn(at, " ")) {
        size_t size = strcspn(at, " ");
        memcpy(fixture->words[argc], at, size);
        fixture->argv[argc] = fixture->words[argc];
        argc++;
        at += size;
    }
    struct tool *tool = &fixture->tool;
    tool->kind = tool_kind_find(fixture->argv[0]);
    assert_non_null(tool->kind);
    tool->syntax = tool_syntax_find(tool->kind->name, NULL);
    tool->given_end = &tool->given;
    arena_init(&tool->arena, SIZE_MAX);
    tool->words = ARENA_ARRAY(&tool->arena, const char *, (size_t)argc + 1);
    fixture->code = tool->kind->words ? tool_parse_words(tool, argc, fixture->argv, &fixture->over)
                                      : tool_parse(tool, argc, fixture->argv, &fixture->over);
}

static void end(struct fixture *fixture) {
    arena_done(&fixture->tool.arena);
}

/* Whether the parser stops, with this code. */
static void assert_stops(const char *line, int code) {
    struct fixture fixture;
    run(&fixture, line);
    assert_true(fixture.over);
    assert_int_equal(fixture.code, code);
    end(&fixture);
}

static void names_test(void **state) {
    (void)state;
    assert_non_null(tool_kind_find("kafka-topics"));
    assert_ptr_equal(tool_kind_find("/opt/kafka/bin/kafka-topics.sh"),
                     tool_kind_find("kafka-topics"));
    assert_null(tool_kind_find("kafka-topic"));
    assert_null(tool_kind_find("kafka-topics.bat"));
    assert_null(tool_kind_find(".sh"));
    assert_null(tool_kind_find("ottla"));
}

static void flat_test(void **state) {
    (void)state;
    struct fixture fixture;
    run(&fixture,
        "kafka-topics --topic --list -config a=b --config=c=d --create=x word --topic-id=");
    assert_false(fixture.over);
    assert_string_equal(tool_text(&fixture.tool, "topic"), "--list");
    assert_false(tool_has(&fixture.tool, "list"));
    assert_true(tool_has(&fixture.tool, "create"));
    assert_string_equal(tool_text(&fixture.tool, "topic-id"), "");
    assert_null(tool_text(&fixture.tool, "partitions"));
    const char *const *texts;
    assert_int_equal(tool_texts(&fixture.tool, "config", &texts), 2);
    assert_string_equal(texts[0], "a=b");
    assert_string_equal(texts[1], "c=d");
    assert_int_equal(tool_words(&fixture.tool, &texts), 1);
    end(&fixture);
}

static void flat_mistakes_test(void **state) {
    (void)state;
    assert_stops("kafka-topics", TOOL_FAILED);
    assert_stops("kafka-topics --help", TOOL_FAILED);
    assert_stops("kafka-topics --version", TOOL_DONE);
    assert_stops("kafka-topics --li", TOOL_FAILED);
    assert_stops("kafka-topics -l", TOOL_FAILED);
    assert_stops("kafka-topics --topic", TOOL_FAILED);
    assert_stops("kafka-topics --topic a --topic b", TOOL_FAILED);
    assert_stops("kafka-topics --partitions 3x", TOOL_FAILED);
    assert_stops("kafka-topics --partitions 3000000000", TOOL_FAILED);
    assert_stops("kafka-groups --list", TOOL_FAILED); /* --bootstrap-server is required */
}

/* An argument that may be left out is not taken from the next option. */
static void optional_argument_test(void **state) {
    (void)state;
    struct fixture fixture;
    run(&fixture, "kafka-consumer-groups --list --state --type consumer --timeout 5");
    assert_false(fixture.over);
    assert_true(tool_has(&fixture.tool, "state"));
    assert_null(tool_text(&fixture.tool, "state"));
    assert_string_equal(tool_text(&fixture.tool, "type"), "consumer");
    assert_int_equal(tool_number(&fixture.tool, "timeout"), 5);
    end(&fixture);
}

static void words_test(void **state) {
    (void)state;
    struct fixture fixture;
    run(&fixture, "kafka-metadata-quorum --bootstrap-s a:1 remove-controller -i7 "
                  "--controller-d=xyz --dry");
    assert_false(fixture.over);
    assert_string_equal(tool_subcommand(&fixture.tool), "remove-controller");
    assert_string_equal(tool_text(&fixture.tool, "bootstrap-server"), "a:1");
    assert_int_equal(tool_number(&fixture.tool, "controller-id"), 7);
    assert_string_equal(tool_text(&fixture.tool, "controller-directory-id"), "xyz");
    assert_true(tool_has(&fixture.tool, "dry-run"));
    end(&fixture);
}

static void words_mistakes_test(void **state) {
    (void)state;
    assert_stops("kafka-cluster", TOOL_FAILED);
    assert_stops("kafka-cluster -h", TOOL_FAILED);
    assert_stops("kafka-features -h", TOOL_DONE);
    assert_stops("kafka-cluster foo", TOOL_FAILED);
    assert_stops("kafka-cluster cluster-id", TOOL_FAILED);               /* of whom? */
    assert_stops("kafka-cluster cluster-id --boot a:1", TOOL_FAILED);    /* one of two */
    assert_stops("kafka-cluster cluster-id -b a:1 -C b:2", TOOL_FAILED); /* not both */
    assert_stops("kafka-cluster unregister -b a:1", TOOL_FAILED);        /* --id */
    assert_stops("kafka-cluster unregister -b a:1 -i x", TOOL_FAILED);   /* a number */
    assert_stops("kafka-cluster cluster-id -b a:1 -i 1", TOOL_FAILED);   /* not here */
    assert_stops("kafka-cluster cluster-id -b a:1 more", TOOL_FAILED);
    assert_stops("kafka-cluster cluster-id -b", TOOL_FAILED);
    assert_stops("kafka-metadata-quorum --bootstrap-server a:1 describe --status=1", TOOL_FAILED);
}

/* As a java.util.HashMap names them. */
static void map_order_test(void **state) {
    (void)state;
    static const char *const keys[] = {"retention.ms", "cleanup.policy", "min.insync.replicas"};
    static const char *const wanted[] = {"cleanup.policy", "min.insync.replicas", "retention.ms"};
    struct arena arena;
    arena_init(&arena, SIZE_MAX);
    const size_t *order = java_map_order(&arena, keys, 3);
    for (size_t i = 0; i < 3; i++) {
        assert_string_equal(keys[order[i]], wanted[i]);
    }
    arena_done(&arena);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_test),         cmocka_unit_test(flat_test),
        cmocka_unit_test(flat_mistakes_test), cmocka_unit_test(optional_argument_test),
        cmocka_unit_test(words_test),         cmocka_unit_test(words_mistakes_test),
        cmocka_unit_test(map_order_test),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
