/*
 * Systems that fail: parked, tried again, made to skip; and what of them can be read and saved.
 */
#include "tests/derived/scene_test.h"

#include "derived/host.h"

#include <errno.h>

static weir_lsn write_both(const char *key, const char *value, const char *key2, const char *value2)
{
    struct weir_write writes[] = {
        {.kind = WEIR_PUT, .key = text(key), .value = text(value)},
        {.kind = WEIR_PUT, .key = text(key2), .value = text(value2)},
    };
    weir_lsn lsn = 0;
    assert_int_equal(weir_engine_write_batch(scene.store.engine, writes, 2, WEIR_EACH, &lsn), 0);
    return lsn;
}

static void cd_04_one_that_fails_is_parked_and_holds_up_nobody(void **state)
{
    (void)state;
    struct ledger bad = {.refuse = "poison"}, good = {0};
    scene_attach(&scene, "bad", &bad);
    scene_attach(&scene, "good", &good);
    put(&scene.store, "a", "1");
    weir_lsn poison = put(&scene.store, "poison", "2");
    put(&scene.store, "b", "3");
    (void)scene_flush(&scene, NULL);
    expect_ledger(&bad, "a=1");
    expect_ledger(&good, "a=1 b=3 poison=2");
    struct weir_system_status status = scene_status(&scene, "bad");
    assert_int_equal(status.parked, -EIO);
    assert_int_equal(status.parked_lsn, poison);
    assert_string_equal(status.reason, weir_error_text(-EIO));
    assert_int_equal(status.position, poison - 1);
    assert_true(status.lag_records >= 2);
    put(&scene.store, "c", "4");
    assert_int_equal(scene_flush(&scene, NULL), 1); /* only the good one */
    struct weir_error why = WEIR_ERROR_INIT;
    assert_int_equal(weir_host_wait(scene.host, "bad", poison, 0, &why), WEIR_E_PARKED);
    assert_non_null(strstr(why.text, weir_error_text(-EIO)));
    assert_int_equal(weir_host_retry(scene.host, "bad"), 0); /* still refuses */
    (void)scene_flush(&scene, NULL);
    assert_int_equal(scene_status(&scene, "bad").parked, -EIO);
    bad.refuse = NULL;
    assert_int_equal(weir_host_retry(scene.host, "bad"), 0);
    assert_int_equal(scene_flush(&scene, "bad"), 3);
    expect_ledger(&bad, "a=1 b=3 c=4 poison=2");
    assert_int_equal(scene_status(&scene, "bad").parked, 0);
    assert_string_equal(scene_status(&scene, "bad").reason, "");
    assert_null(scene.host->lanes->next); /* it shares the stream again */
    scene_free(&scene, &bad);
    scene_free(&scene, &good);
}

static void cd_04_skip_passes_the_event_that_failed_and_no_other(void **state)
{
    (void)state;
    struct ledger bad = {.refuse = "poison", .refuse_with = 7};
    scene_attach(&scene, "bad", &bad);
    put(&scene.store, "poison", "1");
    put(&scene.store, "a", "1");
    weir_lsn second = put(&scene.store, "poison", "2");
    put(&scene.store, "b", "1");
    (void)scene_flush(&scene, NULL);
    struct weir_system_status status = scene_status(&scene, "bad");
    assert_int_equal(status.parked, 7);
    assert_non_null(strstr(status.reason, "7"));
    assert_int_equal(weir_host_skip(scene.host, "bad"), 0);
    (void)scene_flush(&scene, NULL);
    assert_int_equal(scene_status(&scene, "bad").parked_lsn, second);
    expect_ledger(&bad, "a=1");
    assert_int_equal(weir_host_skip(scene.host, "bad"), 0);
    (void)scene_flush(&scene, NULL);
    expect_ledger(&bad, "a=1 b=1");
    assert_int_equal(scene_status(&scene, "bad").parked, 0);
    scene_free(&scene, &bad);
}

static void cd_04_that_it_is_parked_survives_a_crash_and_retry_goes_on_from_what_is_saved(
    void **state)
{
    (void)state;
    struct ledger bad = {.refuse = "poison"};
    scene_attach(&scene, "bad", &bad);
    put(&scene.store, "a", "1");
    (void)scene_flush(&scene, NULL);
    assert_int_equal(weir_host_save(scene.host), 0);
    for (int i = 0; i < 2 * HOST_BATCH; i++) { /* it comes to the poison with a later turn */
        put(&scene.store, "b", "2");
        settle(&scene.store);
    }
    weir_lsn poison = put(&scene.store, "poison", "3");
    put(&scene.store, "c", "4");
    (void)scene_flush(&scene, NULL);
    for (int i = 0; i < 2; i++) {
        scene_crash(&scene);
        scene_attach(&scene, "bad", &bad);
        struct weir_system_status status = scene_status(&scene, "bad");
        assert_int_equal(status.parked, -EIO);
        assert_int_equal(status.parked_lsn, poison);
        assert_string_equal(status.reason, weir_error_text(-EIO));
        assert_int_equal(scene_flush(&scene, NULL), 0); /* not by itself */
    }
    bad.refuse = NULL;
    assert_int_equal(weir_host_skip(scene.host, "bad"), 0);
    (void)scene_flush(&scene, NULL);
    expect_ledger(&bad, "a=1 b=2 c=4");
    scene_reopen(&scene);
    scene_attach(&scene, "bad", &bad);
    assert_int_equal(scene_status(&scene, "bad").parked, 0);
    scene_free(&scene, &bad);
}

static void inside_of_an_atomic_write_a_parked_one_is_neither_read_nor_saved(void **state)
{
    (void)state;
    struct ledger bad = {.refuse = "poison"};
    scene_attach(&scene, "bad", &bad);
    write_both("a", "1", "b", "1");
    (void)scene_flush(&scene, NULL);
    assert_int_equal(weir_host_read_begin(scene.host, "bad", NULL), 0);
    weir_host_read_end(scene.host, "bad");
    weir_lsn half = write_both("a", "2", "poison", "2");
    (void)scene_flush(&scene, NULL);
    expect_ledger(&bad, "a=2 b=1"); /* one half */
    assert_int_equal(weir_host_wait(scene.host, "bad", half, 0, NULL), WEIR_E_PARKED);
    assert_int_equal(weir_host_read_begin(scene.host, "bad", NULL), WEIR_E_PARKED);
    assert_int_equal(weir_host_save(scene.host), 0);
    assert_int_equal(scene_status(&scene, "bad").saved, 0);
    bad.refuse = NULL;
    assert_int_equal(weir_host_retry(scene.host, "bad"), 0);
    assert_int_equal(scene_flush(&scene, NULL), 1);
    expect_ledger(&bad, "a=2 b=1 poison=2");
    expect_verified(&scene, "bad");
    scene_free(&scene, &bad);
}

static void a_parked_one_at_a_whole_position_is_read_and_saved(void **state)
{
    (void)state;
    struct ledger bad = {.refuse = "poison"};
    scene_attach(&scene, "bad", &bad);
    put(&scene.store, "a", "1");
    settle(&scene.store); /* a group of its own */
    put(&scene.store, "poison", "2");
    (void)scene_flush(&scene, NULL);
    weir_lsn position = 99;
    assert_int_equal(weir_host_read_begin(scene.host, "bad", &position), 0);
    assert_int_equal(position, 1);
    weir_host_read_end(scene.host, "bad");
    assert_int_equal(weir_host_save(scene.host), 0);
    assert_int_equal(scene_status(&scene, "bad").saved, 1);
    scene_free(&scene, &bad);
}

static void one_that_fails_in_the_state_it_begins_with_begins_that_again(void **state)
{
    (void)state;
    struct ledger bad = {.refuse = "m"};
    for (int i = 0; i < 26; i++) {
        char key[2] = {(char)('a' + i), '\0'};
        put(&scene.store, key, "1");
    }
    settle(&scene.store);
    assert_int_equal(scene_try_attach(&scene, "bad", &bad, WEIR_START_SNAPSHOT, 0), 0);
    (void)scene_flush(&scene, NULL);
    assert_int_equal(bad.events, 12);
    assert_int_equal(weir_host_read_begin(scene.host, "bad", NULL), WEIR_E_PARKED);
    put(&scene.store, "b", "2");
    bad.refuse = NULL;
    settle(&scene.store);
    assert_int_equal(weir_host_retry(scene.host, "bad"), 0);
    (void)scene_flush(&scene, NULL);
    assert_int_equal(bad.count, 26);
    assert_int_equal(bad.states, 26);
    assert_int_equal(bad.wrong, 0);
    expect_verified(&scene, "bad");
    scene_free(&scene, &bad);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        scene_test(cd_04_one_that_fails_is_parked_and_holds_up_nobody),
        scene_test(cd_04_skip_passes_the_event_that_failed_and_no_other),
        scene_test(cd_04_that_it_is_parked_survives_a_crash_and_retry_goes_on_from_what_is_saved),
        scene_test(inside_of_an_atomic_write_a_parked_one_is_neither_read_nor_saved),
        scene_test(a_parked_one_at_a_whole_position_is_read_and_saved),
        scene_test(one_that_fails_in_the_state_it_begins_with_begins_that_again),
    };
    cmocka_set_test_filter(argc > 1 ? argv[1] : NULL);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
