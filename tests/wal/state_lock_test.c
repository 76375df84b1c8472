/*
 * Who feeds a name: one at a time, whatever became of the one before, and whoever only looks.
 */
#include "support.h"

#include "base/system.h"
#include "wal/log.h"

#include <errno.h>

struct fixture {
    struct test_disk disk;
    struct weir_log *log;
};

static struct fixture new_fixture(void)
{
    struct fixture fixture = {.disk = disk_new()};
    fixture.log = open_log(&fixture.disk, NULL);
    return fixture;
}

static void finish(struct fixture *fixture)
{
    close_log(fixture->log);
    disk_free(&fixture->disk);
}

/* A read-only handle beside the writer. */
static struct weir_log *open_reader(struct fixture *fixture)
{
    struct weir_log_options options = small_options();
    struct test_disk disk = fixture->disk;
    options.flags = WEIR_LOG_READ_ONLY;
    disk.options.read_only = true;
    return open_log(&disk, &options);
}

static void cd_07_one_handle_at_a_time_has_the_lock_of_a_name(void **state)
{
    (void)state;
    struct fixture fixture = new_fixture();
    struct weir_log *log = fixture.log, *reader = open_reader(&fixture);
    struct weir_state_lock *lock, *other;
    assert_int_equal(weir_state_is_locked(log, "a"), 0);
    assert_int_equal(weir_state_lock(log, "a", &lock), 0);
    assert_int_equal(weir_state_lock(log, "a", &other), WEIR_E_ATTACHED);
    assert_int_equal(weir_state_lock(reader, "a", &other), WEIR_E_ATTACHED);
    assert_int_equal(weir_state_is_locked(log, "a"), 1);
    assert_int_equal(weir_state_is_locked(reader, "a"), 1);
    assert_int_equal(weir_state_lock(reader, "b", &other), 0);
    assert_int_equal(weir_state_is_locked(log, "b"), 1);
    assert_int_equal(weir_log_close(log), -EBUSY);
    weir_state_unlock(lock);
    assert_int_equal(weir_state_is_locked(reader, "a"), 0);
    assert_int_equal(weir_state_lock(reader, "a", &lock), 0);
    weir_state_unlock(lock);
    weir_state_unlock(other);
    weir_state_unlock(NULL);
    close_log(reader);
    finish(&fixture);
}

static struct weir_medium *looker;
static struct weir_file *looked_at;

static int look_away(void *context, _Atomic uint32_t *word, uint32_t expected, int64_t timeout_ns,
                     bool shared)
{
    (void)context, (void)word, (void)expected, (void)timeout_ns, (void)shared;
    assert_int_equal(looker->ops->lock(looked_at, WEIR_LOCK_NONE), 0);
    return -ETIMEDOUT;
}

static void cd_07_whoever_only_looks_whether_a_name_is_locked_does_not_have_it(void **state)
{
    (void)state;
    struct fixture fixture = new_fixture();
    struct weir_state_lock *lock;
    static const struct base_system system = {.wait = look_away};
    assert_int_equal(weir_state_lock(fixture.log, "a", &lock), 0);
    weir_state_unlock(lock);
    assert_int_equal(sim_memory_open(&fixture.disk.options, &looker), 0);
    assert_int_equal(looker->ops->open(looker, "derived/a/lock", WEIR_FILE_READ, &looked_at), 0);
    assert_int_equal(looker->ops->lock(looked_at, WEIR_LOCK_SHARED), 0);
    assert_int_equal(weir_state_is_locked(fixture.log, "a"), 0);
    base_system_set(&system);
    int rc = weir_state_lock(fixture.log, "a", &lock);
    base_system_set(NULL);
    assert_int_equal(rc, 0);
    weir_state_unlock(lock);
    looker->ops->close(looked_at);
    looker->ops->destroy(looker);
    finish(&fixture);
}

static void cd_07_a_lock_goes_with_the_process_that_had_it(void **state)
{
    (void)state;
    struct fixture fixture = new_fixture();
    struct weir_log *reader = open_reader(&fixture);
    struct weir_state_lock *lock, *other;
    assert_int_equal(weir_state_lock(reader, "a", &lock), 0);
    assert_int_equal(weir_state_lock(fixture.log, "a", &other), WEIR_E_ATTACHED);
    sim_memory_kill(reader->medium);
    assert_int_equal(weir_state_lock(fixture.log, "a", &other), 0);
    weir_state_unlock(other);
    weir_state_unlock(lock);
    (void)weir_log_close(reader);
    finish(&fixture);
}

static void cd_07_after_a_removal_a_lock_is_one_of_the_new_file(void **state)
{
    (void)state;
    struct fixture fixture = new_fixture();
    struct weir_state_lock *lock, *other, *third;
    struct weir_state_writer *writer;
    assert_int_equal(weir_state_lock(fixture.log, "a", &lock), 0);
    assert_int_equal(weir_state_create(fixture.log, "a", "state", &writer), 0);
    assert_int_equal(weir_state_commit(writer, "x", 1, WEIR_LSN_NONE, NULL), 0);
    assert_int_equal(weir_state_remove(fixture.log, "a", NULL), 0);
    assert_int_equal(weir_state_is_locked(fixture.log, "a"), 0);
    assert_int_equal(weir_state_lock(fixture.log, "a", &other), 0);
    assert_int_equal(weir_state_lock(fixture.log, "a", &third), WEIR_E_ATTACHED);
    weir_state_unlock(lock);
    assert_int_equal(weir_state_lock(fixture.log, "a", &third), WEIR_E_ATTACHED);
    weir_state_unlock(other);
    finish(&fixture);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cd_07_one_handle_at_a_time_has_the_lock_of_a_name),
        cmocka_unit_test(cd_07_whoever_only_looks_whether_a_name_is_locked_does_not_have_it),
        cmocka_unit_test(cd_07_a_lock_goes_with_the_process_that_had_it),
        cmocka_unit_test(cd_07_after_a_removal_a_lock_is_one_of_the_new_file),
    };
    cmocka_set_test_filter(argc > 1 ? argv[1] : NULL);
    return cmocka_run_group_tests_name("wal_state_lock", tests, NULL, NULL);
}
