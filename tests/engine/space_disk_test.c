/*
 * Watermarks on a real file system that is small: two threads write until they are refused, beside
 * somebody else's file. It is never full, what was acknowledged is there, and writes go on when the
 * file is removed. Needs root for the mount; 77 without.
 */
#include "base/thread.h"

#include <weir/weir.h>

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cmocka.h>

#define SEGMENT ((uint64_t)256 << 10)
#define STOP (4 * SEGMENT)
#define THREADS 2u
#define SKIPPED 77

static char mount_point[256];

struct writer {
    struct weir_engine *engine;
    unsigned number;
    int stored; /* keys "N-0" to "N-(stored - 1)" were acknowledged */
    int rc;     /* why it ended */
    uint64_t least_free;
};

static uint64_t free_bytes(void)
{
    struct statvfs status;
    return statvfs(mount_point, &status) == 0 ? status.f_bavail * status.f_frsize : 0;
}

static struct weir_bytes key_of(char buffer[32], unsigned number, int index)
{
    int length = snprintf(buffer, 32, "%u-%d", number, index);
    return (struct weir_bytes){buffer, (size_t)length};
}

static void write_until_refused(void *context)
{
    struct writer *writer = context;
    static const char value[2000];
    char key[32];
    writer->rc = 0;
    writer->least_free = UINT64_MAX;
    while (writer->rc == 0) {
        writer->rc = weir_put(writer->engine, WEIR_TABLE_DEFAULT,
                              key_of(key, writer->number, writer->stored),
                              (struct weir_bytes){value, sizeof value}, WEIR_EACH, NULL);
        writer->stored += writer->rc == 0;
        uint64_t left = free_bytes();
        writer->least_free = left < writer->least_free ? left : writer->least_free;
    }
}

static void fill(struct writer *writers)
{
    struct base_thread threads[THREADS];
    for (unsigned i = 0; i < THREADS; i++) {
        assert_int_equal(base_thread_start(&threads[i], "writer", write_until_refused, &writers[i]),
                         0);
    }
    for (unsigned i = 0; i < THREADS; i++) {
        base_thread_join(&threads[i]);
        assert_int_equal(writers[i].rc, WEIR_E_DISK_LOW);
        assert_true(writers[i].least_free > 0);
    }
}

static void expect_all(struct weir_engine *engine, const struct writer *writers)
{
    struct weir_read read;
    struct weir_row row;
    char key[32];
    assert_int_equal(weir_read_begin(engine, NULL, &read), 0);
    for (unsigned i = 0; i < THREADS; i++) {
        for (int k = 0; k <= writers[i].stored; k++) {
            int found = weir_get(&read, WEIR_TABLE_DEFAULT, key_of(key, i, k), &row);
            assert_int_equal(found, k < writers[i].stored ? 1 : 0);
        }
    }
    weir_read_end(&read);
}

static struct weir_engine *open_engine(const char *path, struct weir_log **ret_log)
{
    struct weir_log_options log_options = WEIR_LOG_OPTIONS_INIT;
    struct weir_engine_options options = WEIR_ENGINE_OPTIONS_INIT;
    struct weir_error why = WEIR_ERROR_INIT;
    struct weir_engine *engine = NULL;
    struct stat status;
    bool there = stat(path, &status) == 0;
    log_options.flags = WEIR_LOG_CREATE;
    log_options.segment_bytes = there ? 0 : SEGMENT;
    options.stop_free_bytes = STOP;
    int rc = weir_log_open(path, &log_options, ret_log, &why);
    rc = rc < 0 ? rc : weir_engine_open(*ret_log, &options, &engine, &why);
    if (rc < 0) {
        fail_msg("%d %s", rc, why.text);
    }
    return engine;
}

static void make_file(const char *path, uint64_t bytes)
{
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    static const char block[4096];
    for (uint64_t at = 0; at < bytes; at += sizeof block) {
        assert_int_equal(fwrite(block, sizeof block, 1, file), 1);
    }
    assert_int_equal(fclose(file), 0);
}

static void a_small_file_system_is_never_full_and_writes_go_on_once_there_is_room(void **state)
{
    (void)state;
    char path[300], other[300];
    struct writer writers[THREADS];
    struct weir_log *log;
    (void)snprintf(path, sizeof path, "%s/log", mount_point);
    (void)snprintf(other, sizeof other, "%s/other", mount_point);
    make_file(other, 16 * SEGMENT);
    struct weir_engine *engine = open_engine(path, &log);
    for (unsigned i = 0; i < THREADS; i++) {
        writers[i] = (struct writer){.engine = engine, .number = i};
    }
    fill(writers);
    int before = writers[0].stored + writers[1].stored;
    assert_true(before > 100);
    struct weir_engine_status status = WEIR_ENGINE_STATUS_INIT;
    assert_int_equal(weir_engine_stat(engine, &status), 0);
    assert_in_range(status.free_bytes, STOP - 2 * SEGMENT, STOP + 65536);
    expect_all(engine, writers);
    assert_int_equal(remove(other), 0);
    fill(writers);
    assert_true(writers[0].stored + writers[1].stored > before + 100);
    assert_int_equal(weir_engine_close(engine), 0);
    assert_int_equal(weir_log_close(log), 0);
    engine = open_engine(path, &log);
    expect_all(engine, writers);
    char key[32];
    assert_int_equal(weir_delete(engine, WEIR_TABLE_DEFAULT, key_of(key, 0, 0), WEIR_EACH, NULL),
                     0);
    assert_int_equal(weir_engine_close(engine), 0);
    assert_int_equal(weir_log_close(log), 0);
}

int main(void)
{
    const char *parent = getenv("WEIR_TEST_DIR");
    (void)snprintf(mount_point, sizeof mount_point, "%s/weir-space-XXXXXX",
                   parent != NULL ? parent : ".");
    if (mkdtemp(mount_point) == NULL) {
        return 1;
    }
    if (mount("tmpfs", mount_point, "tmpfs", 0, "size=16m") < 0) {
        (void)printf("skipped: a small tmpfs cannot be mounted: %s\n", strerror(errno));
        (void)rmdir(mount_point);
        return SKIPPED;
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_small_file_system_is_never_full_and_writes_go_on_once_there_is_room),
    };
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    (void)umount2(mount_point, MNT_DETACH);
    (void)rmdir(mount_point);
    return failed;
}
