/* The page in /dev/shm: one per uuid, never a stale one, and no trust in what else has its name. */
#include "base/shared_page.h"

#include "base/random.h"
#include "base/system.h"
#include "base/text.h"
#include "tests/base/support.h"

#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <sys/stat.h>
#include <unistd.h>

static uint8_t uuid[BASE_UUID_SIZE];
static char path[96];

static int choose_uuid(void **state)
{
    (void)state;
    struct base_text text;
    base_text_init(&text, path, sizeof path);
    if (base_random_bytes(uuid, sizeof uuid) != 0) {
        return -1;
    }
    base_text_append(&text, "/dev/shm/weir-");
    base_text_append_hex(&text, uuid, sizeof uuid);
    return 0;
}

static int remove_page(void **state)
{
    (void)state;
    base_system_set(NULL);
    (void)rmdir(path);
    return base_shared_page_remove(uuid);
}

static size_t files_of_uuid(void)
{
    char pattern[128];
    (void)snprintf(pattern, sizeof pattern, "%s*", path);
    glob_t found;
    int result = glob(pattern, 0, NULL, &found);
    size_t count = result == 0 ? found.gl_pathc : 0;
    if (result == 0) {
        globfree(&found);
    }
    return count;
}

static void a_page_that_others_may_write_is_not_ones_own(void **state)
{
    (void)state;
    static const mode_t modes[] = {0600, 0644, 0664, 0666};
    for (unsigned i = 0; i < sizeof modes / sizeof *modes; i++) {
        struct base_shared_page writer, reader;
        assert_int_equal(base_shared_page_create(&writer, uuid, modes[i]), 0);
        assert_int_equal(base_shared_page_open(&reader, uuid), 0);
        assert_int_equal(writer.own, i < 2);
        assert_int_equal(reader.own, i < 2);
        base_shared_page_close(&writer);
        base_shared_page_close(&reader);
    }
    if (geteuid() == 0) {
        struct base_shared_page reader;
        assert_int_equal(chmod(path, 0644), 0);
        assert_int_equal(chown(path, 65534, 65534), 0);
        assert_int_equal(base_shared_page_open(&reader, uuid), 0);
        assert_false(reader.own);
        base_shared_page_close(&reader);
    }
}

static void what_the_writer_stores_a_reader_sees(void **state)
{
    (void)state;
    struct base_shared_page writer;
    struct base_shared_page reader;
    assert_int_equal(base_shared_page_create(&writer, uuid, 0644), 0);
    assert_int_equal(base_shared_page_open(&reader, uuid), 0);
    assert_true(writer.writable);
    assert_int_equal(((char *)reader.data)[4095], 0);
    memcpy(writer.data, "durable", 8);
    assert_string_equal(reader.data, "durable");
    base_shared_page_close(&reader);
    base_shared_page_close(&writer);
    base_shared_page_close(&writer);
    assert_int_equal(files_of_uuid(), 1);
}

static void the_mode_is_what_was_asked_whatever_the_umask(void **state)
{
    (void)state;
    mode_t before = umask(077);
    struct base_shared_page page;
    assert_int_equal(base_shared_page_create(&page, uuid, 0664), 0);
    (void)umask(before);
    struct stat status;
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0664);
    assert_int_equal(status.st_size, 4096);
    base_shared_page_close(&page);
}

static void creating_again_replaces_a_stale_page_that_others_still_map(void **state)
{
    (void)state;
    struct base_shared_page stale;
    struct base_shared_page fresh;
    struct base_shared_page reader;
    assert_int_equal(base_shared_page_create(&stale, uuid, 0600), 0);
    memcpy(stale.data, "old", 4);
    assert_int_equal(base_shared_page_create(&fresh, uuid, 0600), 0);
    assert_int_equal(base_shared_page_open(&reader, uuid), 0);
    assert_string_equal(reader.data, "");
    memcpy(stale.data, "bad", 4);
    assert_string_equal(fresh.data, "");
    assert_int_equal(files_of_uuid(), 1);
    base_shared_page_close(&stale);
    base_shared_page_close(&fresh);
    base_shared_page_close(&reader);
}

static void removing_ends_it_and_twice_is_fine(void **state)
{
    (void)state;
    struct base_shared_page page;
    assert_int_equal(base_shared_page_create(&page, uuid, 0600), 0);
    base_shared_page_close(&page);
    assert_int_equal(base_shared_page_remove(uuid), 0);
    assert_int_equal(base_shared_page_remove(uuid), 0);
    assert_int_equal(base_shared_page_open(&page, uuid), -ENOENT);
}

static void something_else_under_that_name_is_refused(void **state)
{
    (void)state;
    struct base_shared_page page;
    int file = open(path, O_CREAT | O_RDWR | O_CLOEXEC, 0600);
    assert_true(file >= 0);
    assert_int_equal(base_shared_page_open(&page, uuid), -EPROTO); /* empty */
    assert_int_equal(ftruncate(file, 8192), 0);
    assert_int_equal(base_shared_page_open(&page, uuid), -EPROTO); /* too long */
    close(file);
    assert_int_equal(unlink(path), 0);
    assert_int_equal(symlink("/dev/zero", path), 0);
    assert_int_equal(base_shared_page_open(&page, uuid), -EPROTO); /* a link */
    assert_int_equal(unlink(path), 0);
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_int_equal(base_shared_page_open(&page, uuid), -EPROTO); /* a pipe, without waiting */
    assert_int_equal(unlink(path), 0);
    assert_int_equal(mkdir(path, 0700), 0);
    assert_int_equal(base_shared_page_open(&page, uuid), -EPROTO); /* a directory */
}

static void a_create_that_fails_leaves_no_file(void **state)
{
    (void)state;
    struct base_shared_page page = {.data = &page};
    assert_int_equal(mkdir(path, 0700), 0); /* rename cannot replace it */
    assert_int_equal(base_shared_page_create(&page, uuid, 0600), -EISDIR);
    assert_ptr_equal(page.data, &page);
    assert_int_equal(files_of_uuid(), 1);
    assert_int_equal(rmdir(path), 0);
}

static int fail_with_eio(void *context, void *data, size_t size)
{
    (void)context;
    (void)data;
    (void)size;
    return -EIO;
}

static void without_randomness_nothing_is_created(void **state)
{
    (void)state;
    struct base_system system = {.random = fail_with_eio};
    struct base_shared_page page;
    base_system_set(&system);
    assert_int_equal(base_shared_page_create(&page, uuid, 0600), -EIO);
    assert_int_equal(files_of_uuid(), 0);
}

/* Runs as somebody else: 1 read-only, 2 writable, 100 and more an error. */
static int open_as_nobody(void *context)
{
    (void)context;
    if (setgid(65534) != 0 || setuid(65534) != 0) {
        return 200;
    }
    struct base_shared_page page;
    int result = base_shared_page_open(&page, uuid);
    if (result != 0) {
        return result == -EACCES ? 100 : 101;
    }
    return page.writable ? 2 : 1;
}

static void who_may_only_read_gets_a_read_only_page(void **state)
{
    (void)state;
    if (geteuid() != 0) {
        print_message("needs root to become somebody else\n");
        skip();
    }
    const struct {
        mode_t mode;
        int expected;
    } table[] = {{0600, 100}, {0644, 1}, {0666, 2}};
    for (size_t index = 0; index < COUNT_OF(table); index++) {
        struct base_shared_page page;
        assert_int_equal(base_shared_page_create(&page, uuid, table[index].mode), 0);
        struct child_end end = run_in_child(open_as_nobody, NULL);
        assert_true(left_with(&end, table[index].expected));
        base_shared_page_close(&page);
    }
}

#define WITH_UUID(test) cmocka_unit_test_setup_teardown(test, choose_uuid, remove_page)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        WITH_UUID(a_page_that_others_may_write_is_not_ones_own),
        WITH_UUID(what_the_writer_stores_a_reader_sees),
        WITH_UUID(the_mode_is_what_was_asked_whatever_the_umask),
        WITH_UUID(creating_again_replaces_a_stale_page_that_others_still_map),
        WITH_UUID(removing_ends_it_and_twice_is_fine),
        WITH_UUID(something_else_under_that_name_is_refused),
        WITH_UUID(a_create_that_fails_leaves_no_file),
        WITH_UUID(without_randomness_nothing_is_created),
        WITH_UUID(who_may_only_read_gets_a_read_only_page),
    };
    return RUN_TESTS(tests, argc, argv);
}
