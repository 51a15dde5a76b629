#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#include "meta/batch.h"
#include "meta/loader.h"
#include "meta/test_records.h"
#include "wire/batch_builder.h"
#include "wire/codec.h"

/* A log in memory: batches are built and given to the loader at once. */
struct fixture {
    struct meta_loader *loader;
    int64_t next_offset;
    struct buffer out;
    struct buffer value;
    struct batch_builder builder;
};

static void begin(struct fixture *f, uint16_t attributes) {
    buffer_clear(&f->out);
    struct batch_options options = {BATCH_OPTIONS_DEFAULT};
    options.base_offset = f->next_offset;
    options.leader_epoch = 5;
    options.attributes = attributes;
    batch_builder_init(&f->builder, &f->out, &options);
}

static void add(struct fixture *f, int16_t type, const void *message) {
    struct meta_record record = {.type = type, .message = message};
    buffer_clear(&f->value);
    assert_int_equal(meta_record_encode(&record, &f->value), ERR_OK);
    batch_builder_add(&f->builder, 1000 + f->next_offset, (struct bytes){NULL, 0},
                      buffer_bytes(&f->value), NULL, 0);
}

static err_t end(struct fixture *f) {
    f->next_offset += f->builder.record_count;
    batch_builder_finish(&f->builder, NULL);
    size_t position = 0;
    struct record_batch batch;
    assert_int_equal(record_batch_next(buffer_bytes(&f->out), &position, &batch), ERR_OK);
    assert_int_equal(meta_batch_check(&batch), ERR_OK);
    return meta_loader_batch(f->loader, &batch);
}

static void add_topic(struct fixture *f, const char *name, int id) {
    struct topic_record topic = {.name = str_from_c(name), .topic_id = test_id(id)};
    add(f, META_RECORD_TOPIC, &topic);
}

static void add_begin(struct fixture *f) {
    struct begin_transaction_record message;
    wire_init(&begin_transaction_record_type, &message);
    add(f, META_RECORD_BEGIN_TRANSACTION, &message);
}

static void add_end(struct fixture *f) {
    add(f, META_RECORD_END_TRANSACTION, &(struct end_transaction_record){0});
}

static void add_abort(struct fixture *f) {
    struct abort_transaction_record message;
    wire_init(&abort_transaction_record_type, &message);
    add(f, META_RECORD_ABORT_TRANSACTION, &message);
}

static int setup(void **state) {
    struct fixture *f = calloc(1, sizeof *f);
    struct meta_image *empty = meta_image_new();
    f->loader = meta_loader_new(empty);
    meta_image_unref(empty);
    *state = f;
    return 0;
}

static int teardown(void **state) {
    struct fixture *f = *state;
    meta_loader_free(f->loader);
    buffer_done(&f->out);
    buffer_done(&f->value);
    free(f);
    return 0;
}

/* The next image must have these topics and this offset. */
static void expect_image(struct fixture *f, size_t topic_count, int64_t offset) {
    struct meta_image *image;
    struct meta_changes *changes;
    assert_true(meta_loader_take(f->loader, &image, &changes));
    assert_int_equal(image->topics.count, topic_count);
    assert_int_equal(image->provenance.offset, offset);
    assert_int_equal(image->provenance.epoch, 5);
    meta_image_unref(image);
    meta_changes_free(changes);
}

static void expect_none(struct fixture *f) {
    struct meta_image *image;
    struct meta_changes *changes;
    assert_false(meta_loader_take(f->loader, &image, &changes));
}

static void every_batch_makes_an_image(void **state) {
    struct fixture *f = *state;
    begin(f, 0);
    add_topic(f, "a", 1);
    add_topic(f, "b", 2);
    assert_int_equal(end(f), ERR_OK);
    begin(f, 0);
    add_topic(f, "c", 3);
    assert_int_equal(end(f), ERR_OK);
    expect_image(f, 2, 1);
    expect_image(f, 3, 2);
    expect_none(f);
}

static void control_batches_only_move_the_offset(void **state) {
    struct fixture *f = *state;
    begin(f, RECORD_BATCH_CONTROL);
    uint8_t key[CONTROL_RECORD_KEY_SIZE];
    control_record_key_write(key, CONTROL_RECORD_LEADER_CHANGE);
    batch_builder_add(&f->builder, 1, (struct bytes){key, sizeof key},
                      (struct bytes){(const uint8_t *)"x", 1}, NULL, 0);
    assert_int_equal(end(f), ERR_OK);
    expect_image(f, 0, 0);
}

static void a_transaction_takes_effect_at_its_end(void **state) {
    struct fixture *f = *state;
    begin(f, 0);
    add_topic(f, "before", 1);
    add_begin(f);
    add_topic(f, "inside", 2);
    assert_int_equal(end(f), ERR_OK);
    expect_image(f, 1, 0); /* up to the record before the transaction */
    expect_none(f);
    assert_true(meta_loader_in_transaction(f->loader));
    begin(f, 0);
    add_topic(f, "too", 3);
    assert_int_equal(end(f), ERR_OK);
    expect_none(f);
    begin(f, 0);
    add_end(f);
    add_topic(f, "behind", 4);
    assert_int_equal(end(f), ERR_OK);
    expect_image(f, 4, 5);
    assert_false(meta_loader_in_transaction(f->loader));
}

static void an_aborted_transaction_leaves_nothing(void **state) {
    struct fixture *f = *state;
    begin(f, 0);
    add_begin(f);
    add_topic(f, "a", 1);
    assert_int_equal(end(f), ERR_OK);
    begin(f, 0);
    add_abort(f);
    assert_int_equal(end(f), ERR_OK);
    expect_image(f, 0, 2);
    begin(f, 0);
    add_topic(f, "a", 1); /* the name and id are free */
    assert_int_equal(end(f), ERR_OK);
    expect_image(f, 1, 3);
}

static void transactions_do_not_nest(void **state) {
    struct fixture *f = *state;
    begin(f, 0);
    add_end(f);
    assert_int_equal(end(f), ERR_INVALID);
    assert_string_equal(meta_loader_error(f->loader),
                        "END_TRANSACTION_RECORD at offset 0 of the metadata log: no metadata "
                        "transaction is open");
}

static void a_wrong_record_is_named(void **state) {
    struct fixture *f = *state;
    begin(f, 0);
    add_topic(f, "a", 1);
    add_topic(f, "a", 2);
    assert_int_equal(end(f), ERR_INVALID);
    assert_string_equal(meta_loader_error(f->loader),
                        "TOPIC_RECORD at offset 1 of the metadata log: TopicRecord: topic a, or "
                        "its id, is there already");
}

static void all_changes_of_an_image(void **state) {
    (void)state;
    struct meta_image *image = test_history_image();
    struct meta_changes *changes = meta_changes_of_all(image);
    assert_int_equal(changes->topic_count, 1);
    assert_int_equal(changes->topics[0].change, META_CREATED);
    assert_int_equal(changes->topics[0].partition_count, 3);
    assert_int_equal(changes->broker_count, 3);
    assert_int_equal(changes->config_count, 3);
    assert_true(changes->features);
    meta_changes_free(changes);
    meta_image_unref(image);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(every_batch_makes_an_image, setup, teardown),
        cmocka_unit_test_setup_teardown(control_batches_only_move_the_offset, setup, teardown),
        cmocka_unit_test_setup_teardown(a_transaction_takes_effect_at_its_end, setup, teardown),
        cmocka_unit_test_setup_teardown(an_aborted_transaction_leaves_nothing, setup, teardown),
        cmocka_unit_test_setup_teardown(transactions_do_not_nest, setup, teardown),
        cmocka_unit_test_setup_teardown(a_wrong_record_is_named, setup, teardown),
        cmocka_unit_test(all_changes_of_an_image),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
