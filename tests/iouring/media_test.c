/* What only the media on files do: the window pool, refusals with a reason, failed writes, small
 * folios, and locks between processes. */
#include "iouring/iouring.h"

#include "base/alloc.h"
#include "tests/medium/fixture.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define BLOCK ((size_t)4096)
#define SEGMENT ((size_t)4 << 20)

struct context {
    char directory[256];
    uint64_t pages_before, blocks_before;
};

static int set_up(void **state)
{
    struct context *context = calloc(1, sizeof *context);
    assert_non_null(context);
    *state = context;
    context->pages_before = base_pages_in_use();
    context->blocks_before = base_alloc_in_use();
    return fixture_make_directory(context->directory, NULL);
}

/* Whatever a test did, the media gave everything back. */
static int tear_down(void **state)
{
    struct context *context = *state;
    assert_int_equal(base_pages_in_use(), context->pages_before);
    assert_int_equal(base_alloc_in_use(), context->blocks_before);
    fixture_remove_directory(context->directory);
    free(context);
    return 0;
}

static struct weir_medium *open_direct(const char *directory, enum weir_io_kind io,
                                       size_t pool_bytes)
{
    struct iouring_options options = {.directory = directory, .io = io, .pool_bytes = pool_bytes};
    struct weir_medium *medium = NULL;
    char reason[256] = "";
    if (iouring_direct_open(&options, &medium, reason, sizeof reason) < 0) {
        fail_msg("%s", reason);
    }
    return medium;
}

/* ---- the pool ---- */

static void window_memory_is_used_again(void **state)
{
    struct context *context = *state;
    struct weir_medium *medium = open_direct(context->directory, WEIR_IO_AUTO, 2 * SEGMENT);
    struct weir_file *file = create_file(medium, "a", SEGMENT);
    struct weir_window *window = open_window(medium, file, SEGMENT);
    const uint8_t *base = window->base;
    medium->ops->window_close(window);
    window = open_window(medium, file, SEGMENT);
    assert_ptr_equal(window->base, base);
    medium->ops->window_close(window);
    medium->ops->close(file);
    medium->ops->destroy(medium);
}

static void the_pool_keeps_no_more_than_its_limit(void **state)
{
    struct context *context = *state;
    struct weir_medium *medium = open_direct(context->directory, WEIR_IO_AUTO, 2 * SEGMENT);
    struct weir_file *file = create_file(medium, "a", SEGMENT);
    struct weir_window *windows[4];
    for (size_t i = 0; i < 4; i++) {
        windows[i] = open_window(medium, file, SEGMENT);
    }
    assert_int_equal(base_pages_in_use() - context->pages_before, 4 * SEGMENT);
    for (size_t i = 0; i < 4; i++) {
        medium->ops->window_close(windows[i]);
    }
    assert_int_equal(base_pages_in_use() - context->pages_before, 2 * SEGMENT);
    medium->ops->close(file);
    medium->ops->destroy(medium);
}

static void a_frozen_window_never_comes_back_as_memory(void **state)
{
    struct context *context = *state;
    struct weir_medium *medium = open_direct(context->directory, WEIR_IO_AUTO, 4 * SEGMENT);
    struct weir_file *file = create_file(medium, "a", SEGMENT);
    struct weir_window *window = open_window(medium, file, SEGMENT);
    memset(window->base, 1, SEGMENT);
    persist(medium, window, 0, SEGMENT);
    assert_int_equal(medium->ops->freeze(window), 0);
    medium->ops->window_close(window);
    assert_int_equal(base_pages_in_use(), context->pages_before);
    window = open_window(medium, file, SEGMENT);
    memset(window->base, 2, SEGMENT); /* a fault, were it the old mapping */
    medium->ops->window_close(window);
    medium->ops->close(file);
    medium->ops->destroy(medium);
}

static void a_freeze_that_fails_leaves_the_window_as_it_was(void **state)
{
    struct context *context = *state;
    struct weir_medium *medium = open_direct(context->directory, WEIR_IO_AUTO, 0);
    struct weir_file *file = create_file(medium, "a", SEGMENT);
    struct weir_window *window = open_window(medium, file, SEGMENT);
    char path[300];
    snprintf(path, sizeof path, "%s/a", context->directory);
    fill(window->base, SEGMENT, 1);
    assert_int_equal(truncate(path, BLOCK), 0);
    assert_int_equal(medium->ops->freeze(window), -EIO);
    expect_fill(window->base, SEGMENT, 1);
    persist(medium, window, 0, SEGMENT);
    assert_int_equal(medium->ops->freeze(window), 0);
    expect_fill(window->base, SEGMENT, 1);
    medium->ops->window_close(window);
    medium->ops->close(file);
    medium->ops->destroy(medium);
}

/* ---- reading ahead ---- */

/* The child shares the ring's descriptor, and nothing that is under way on it. */
static void a_forked_child_leaves_its_parents_reads_alone(void **state)
{
    struct context *context = *state;
    struct weir_medium *medium = open_direct(context->directory, WEIR_IO_AUTO, 0);
    struct weir_file *file = create_file(medium, "a", SEGMENT);
    uint8_t *memory = aligned_alloc(BLOCK, SEGMENT);
    assert_non_null(memory);
    uint64_t ticket = 0;
    int rc = medium->ops->read_begin(file, 0, memory, SEGMENT, &ticket);
    pid_t child = fork();
    if (child == 0) {
        uint8_t *mine = aligned_alloc(BLOCK, BLOCK);
        uint64_t other;
        size_t size = 0;
        bool fine = mine != NULL &&
                    medium->ops->read_begin(file, 0, mine, BLOCK, &other) == -EOPNOTSUPP &&
                    medium->ops->read(file, 0, mine, BLOCK, &size) == 0 && size == BLOCK;
        medium->ops->close(file);
        medium->ops->destroy(medium);
        _exit(fine ? 0 : 1);
    }
    int status = -1;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    size_t got = SEGMENT;
    if (rc == 0) {
        assert_int_equal(medium->ops->read_end(file, ticket, &got), 0);
    } else {
        assert_int_equal(rc, -EOPNOTSUPP); /* no io_uring here, or files in memory */
    }
    assert_int_equal(got, SEGMENT);
    medium->ops->close(file);
    medium->ops->destroy(medium);
    free(memory);
}

static void synchronous_media_read_nothing_ahead(void **state)
{
    struct context *context = *state;
    struct weir_medium *medium = open_direct(context->directory, WEIR_IO_SYNC, 0);
    struct weir_file *file = create_file(medium, "a", SEGMENT);
    uint8_t *memory = aligned_alloc(BLOCK, BLOCK);
    uint64_t ticket;
    assert_int_equal(medium->ops->read_begin(file, 0, memory, BLOCK, &ticket), -EOPNOTSUPP);
    medium->ops->close(file);
    medium->ops->destroy(medium);
    free(memory);
}

/* ---- opening ---- */

static void open_refuses_what_cannot_be_and_says_why(void **state)
{
    struct context *context = *state;
    char missing[300], file[300], reason[256] = "";
    snprintf(missing, sizeof missing, "%s/none", context->directory);
    snprintf(file, sizeof file, "%s/file", context->directory);
    close(open(file, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
    struct weir_medium *medium = NULL;
    struct iouring_options options = {.directory = missing};
    assert_int_equal(iouring_direct_open(&options, &medium, reason, sizeof reason), -ENOENT);
    assert_non_null(strstr(reason, "cannot be opened"));
    options.directory = file;
    assert_int_equal(iouring_mapped_open(&options, &medium, reason, sizeof reason), -ENOTDIR);
    options = (struct iouring_options){.directory = context->directory, .queue_depth = 1025};
    assert_int_equal(iouring_direct_open(&options, &medium, reason, sizeof reason),
                     WEIR_E_SETTINGS);
    assert_non_null(strstr(reason, "1024"));
    assert_null(medium);
}

static void info_names_what_runs(void **state)
{
    struct context *context = *state;
    struct weir_medium *medium = open_direct(context->directory, WEIR_IO_SYNC, 0);
    assert_string_equal(medium->info.name, "direct");
    assert_string_equal(medium->info.io, "sync");
    assert_int_equal(medium->info.queue_depth, 1);
    assert_false(medium->info.asynchronous || medium->info.window_is_file);
    medium->ops->destroy(medium);
    medium = open_direct(context->directory, WEIR_IO_URING, 0);
    assert_string_equal(medium->info.io, "uring");
    assert_int_equal(medium->info.queue_depth, 16);
    assert_true(medium->info.asynchronous);
    medium->ops->destroy(medium);
}

static void limit_file_size(rlim_t size)
{
    struct rlimit limit;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    limit.rlim_cur = size == RLIM_INFINITY ? limit.rlim_max : size;
    (void)signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

/* Any write at all would be refused here. */
static void a_read_only_open_writes_nothing(void **state)
{
    struct context *context = *state;
    struct weir_medium *medium = open_direct(context->directory, WEIR_IO_AUTO, 0);
    medium->ops->close(create_file(medium, "a", BLOCK));
    medium->ops->destroy(medium);
    struct iouring_options options = {.directory = context->directory, .read_only = true};
    char reason[256] = "";
    limit_file_size(0);
    int rc = iouring_direct_open(&options, &medium, reason, sizeof reason);
    limit_file_size(RLIM_INFINITY);
    assert_int_equal(rc, 0);
    assert_string_equal(medium->info.io, "sync");
    medium->ops->destroy(medium);
}

/* ---- failed writes ---- */

static int persist_result(struct weir_medium *medium, struct weir_window *window, uint64_t offset,
                          size_t size_bytes)
{
    int rc = medium->ops->persist(window, offset, size_bytes, 0, 4);
    if (rc != 0) {
        return rc;
    }
    struct weir_completion completion = {0};
    assert_int_equal(medium->ops->poll(medium, &completion, 1, -1), 1);
    assert_int_equal(completion.token, 4);
    return completion.result;
}

static void a_write_that_fails_or_is_cut_short_is_never_durable(void **state)
{
    static const enum weir_io_kind kinds[] = {WEIR_IO_URING, WEIR_IO_SYNC};
    struct context *context = *state;
    for (size_t i = 0; i < 2; i++) {
        struct weir_medium *medium = open_direct(context->directory, kinds[i], 0);
        char name[8];
        snprintf(name, sizeof name, "%zu", i);
        struct weir_file *file = create_file(medium, name, SEGMENT);
        struct weir_window *window = open_window(medium, file, SEGMENT);
        memset(window->base, 1, SEGMENT);
        limit_file_size(SEGMENT / 2);
        int beyond = persist_result(medium, window, SEGMENT / 2, BLOCK);
        int across = persist_result(medium, window, SEGMENT / 2 - BLOCK, 2 * BLOCK);
        limit_file_size(RLIM_INFINITY);
        assert_int_equal(beyond, -EFBIG);
        assert_true(across < 0);
        medium->ops->window_close(window);
        medium->ops->close(file);
        medium->ops->destroy(medium);
    }
}

/* ---- mapped: folios stay small ---- */

/* Bytes of page cache that this process made dirty, whole folios each time; 0 when not counted. */
static uint64_t dirtied_bytes(void)
{
    FILE *file = fopen("/proc/self/io", "re");
    if (file == NULL) {
        return 0;
    }
    char line[100];
    unsigned long long bytes = 0;
    while (fgets(line, sizeof line, file) != NULL) {
        if (sscanf(line, "write_bytes: %llu", &bytes) == 1) {
            break;
        }
    }
    fclose(file);
    return bytes;
}

static void a_commit_of_one_page_dirties_one_page(void **state)
{
    struct context *context = *state;
    struct iouring_options options = {.directory = context->directory};
    struct weir_medium *medium = NULL;
    char reason[256] = "";
    assert_int_equal(iouring_mapped_open(&options, &medium, reason, sizeof reason), 0);
    struct weir_file *file = create_file(medium, "a", 4 * SEGMENT);
    assert_int_equal(medium->ops->sync(file), 0);
    for (unsigned round = 0; round < 2; round++) {
        struct weir_window *window = open_window(medium, file, 4 * SEGMENT);
        if (round == 1) { /* recovery reads it anew; that must not build large folios either */
            assert_int_equal(medium->ops->load(window, 0, 4 * SEGMENT), 0);
        }
        uint64_t before = dirtied_bytes();
        for (size_t i = 0; i < 32; i++) {
            window->base[i * 31 * BLOCK] = (uint8_t)(1 + round);
            persist(medium, window, i * 31 * BLOCK, BLOCK);
        }
        uint64_t dirtied = dirtied_bytes() - before;
        medium->ops->window_close(window);
        /* Now and then a page of the file system's own is among them; a large folio is many. */
        if (dirtied > 40 * BLOCK) {
            fail_msg("%llu bytes for 32 pages", (unsigned long long)dirtied);
        }
    }
    medium->ops->close(file);
    medium->ops->destroy(medium);
}

/* ---- locks between processes ---- */

static void a_killed_process_gives_its_lock_back(void **state)
{
    struct context *context = *state;
    struct weir_medium *medium = open_direct(context->directory, WEIR_IO_AUTO, 0);
    struct weir_file *file = create_file(medium, "LOCK", BLOCK);
    int ready[2];
    assert_int_equal(pipe(ready), 0);
    pid_t child = fork();
    if (child == 0) {
        struct iouring_options options = {.directory = context->directory};
        struct weir_medium *mine = NULL;
        struct weir_file *lock = NULL;
        char reason[256];
        bool ok = iouring_direct_open(&options, &mine, reason, sizeof reason) == 0 &&
                  mine->ops->open(mine, "LOCK", WEIR_FILE_WRITE, &lock) == 0 &&
                  mine->ops->lock(lock, WEIR_LOCK_EXCLUSIVE) == 0;
        ssize_t put = write(ready[1], ok ? "y" : "n", 1);
        (void)put;
        for (;;) {
            pause();
        }
    }
    char answer = 'n';
    assert_int_equal(read(ready[0], &answer, 1), 1);
    assert_int_equal(answer, 'y');
    assert_int_equal(medium->ops->lock(file, WEIR_LOCK_SHARED), -EAGAIN);
    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(waitpid(child, NULL, 0), child);
    int rc;
    while ((rc = medium->ops->lock(file, WEIR_LOCK_EXCLUSIVE)) == -EAGAIN) {
        sched_yield(); /* a ring is torn down by the kernel a little after its process */
    }
    assert_int_equal(rc, 0);
    close(ready[0]);
    close(ready[1]);
    medium->ops->close(file);
    medium->ops->destroy(medium);
}

/* A child inherits the descriptor of the ring; its copy of the handle must not touch the parent's.
 */
static void a_forked_child_may_destroy_its_copy(void **state)
{
    struct context *context = *state;
    struct weir_medium *medium = open_direct(context->directory, WEIR_IO_URING, 0);
    struct weir_file *file = create_file(medium, "a", SEGMENT);
    struct weir_window *window = open_window(medium, file, SEGMENT);
    fill(window->base, SEGMENT, 1);
    assert_int_equal(medium->ops->persist(window, 0, SEGMENT, 0, 1), 0);
    pid_t child = fork();
    if (child == 0) {
        medium->ops->window_close(window);
        medium->ops->close(file);
        medium->ops->destroy(medium);
        _exit(0);
    }
    int status = 1;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    await(medium, 1);
    medium->ops->window_close(window);
    medium->ops->close(file);
    medium->ops->destroy(medium);
}

/* ---- other file systems: in a mount namespace of our own ---- */

/* False where mounting is not allowed. */
static bool mount_here(const char *directory, const char *type, const char *options)
{
    static bool separate;
    if (!separate) {
        if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0) {
            return false;
        }
        separate = true;
    }
    return mount(type, directory, type, 0, options) == 0;
}

static void memory_is_never_called_durable(void **state)
{
    struct context *context = *state;
    if (!mount_here(context->directory, "tmpfs", "size=16m")) {
        skip();
    }
    struct iouring_options options = {.directory = context->directory};
    struct weir_medium *medium = NULL;
    char reason[256] = "";
    int rc = iouring_direct_open(&options, &medium, reason, sizeof reason);
    if (rc == WEIR_E_MEDIUM) { /* kernels before 6.6 refuse O_DIRECT there */
        assert_non_null(strstr(reason, "O_DIRECT"));
        assert_int_equal(iouring_mapped_open(&options, &medium, reason, sizeof reason), 0);
    }
    assert_false(medium->info.durable);
    assert_string_equal(medium->info.file_system, "tmpfs");
    assert_non_null(strstr(medium->info.reason, "memory only"));
    medium->ops->destroy(medium);
    assert_int_equal(umount(context->directory), 0);
}

static void a_full_disk_still_opens_and_a_failed_create_leaves_no_file(void **state)
{
    struct context *context = *state;
    if (!mount_here(context->directory, "tmpfs", "size=2m")) {
        skip();
    }
    struct iouring_options options = {.directory = context->directory};
    struct weir_medium *medium = NULL;
    char reason[256] = "";
    assert_int_equal(iouring_mapped_open(&options, &medium, reason, sizeof reason), 0);
    struct weir_file *kept = create_file(medium, "kept", 1 << 20), *big = NULL;
    assert_int_equal(medium->ops->create(medium, "big", 8 << 20, &big), -ENOSPC);
    assert_int_equal(medium->ops->open(medium, "big", WEIR_FILE_READ, &big), -ENOENT);
    uint8_t block[BLOCK];
    memset(block, 1, sizeof block);
    int rc = 0;
    for (uint64_t offset = 1 << 20; rc == 0; offset += BLOCK) {
        rc = medium->ops->write(kept, offset, block, BLOCK);
    }
    assert_int_equal(rc, -ENOSPC);
    struct weir_medium *again = NULL;
    assert_int_equal(iouring_mapped_open(&options, &again, reason, sizeof reason), 0);
    again->ops->destroy(again);
    medium->ops->close(kept);
    medium->ops->destroy(medium);
    assert_int_equal(umount(context->directory), 0);
}

static void without_direct_io_only_mapped_is_to_be_had(void **state)
{
    struct context *context = *state;
    if (!mount_here(context->directory, "ramfs", NULL)) {
        skip();
    }
    struct iouring_options options = {.directory = context->directory};
    struct weir_medium *medium = NULL;
    char reason[256] = "";
    int rc = iouring_direct_open(&options, &medium, reason, sizeof reason);
    if (rc == 0) { /* this kernel's ramfs takes it */
        medium->ops->destroy(medium);
        assert_int_equal(umount(context->directory), 0);
        skip();
    }
    assert_int_equal(rc, WEIR_E_MEDIUM);
    assert_non_null(strstr(reason, "O_DIRECT"));
    assert_int_equal(iouring_mapped_open(&options, &medium, reason, sizeof reason), 0);
    assert_non_null(strstr(medium->info.reason, "page cache"));
    assert_false(medium->info.durable);
    struct weir_file *file = create_file(medium, "a", SEGMENT);
    struct weir_window *window = open_window(medium, file, SEGMENT);
    fill(window->base, SEGMENT, 1);
    persist(medium, window, 0, SEGMENT);
    uint8_t *back = read_back(medium, "a", 0, SEGMENT);
    expect_fill(back, SEGMENT, 1);
    free(back);
    medium->ops->window_close(window);
    medium->ops->close(file);
    medium->ops->destroy(medium);
    assert_int_equal(umount(context->directory), 0);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        TEST(window_memory_is_used_again),
        TEST(the_pool_keeps_no_more_than_its_limit),
        TEST(a_frozen_window_never_comes_back_as_memory),
        TEST(a_freeze_that_fails_leaves_the_window_as_it_was),
        TEST(a_forked_child_leaves_its_parents_reads_alone),
        TEST(synchronous_media_read_nothing_ahead),
        TEST(open_refuses_what_cannot_be_and_says_why),
        TEST(info_names_what_runs),
        TEST(a_read_only_open_writes_nothing),
        TEST(a_write_that_fails_or_is_cut_short_is_never_durable),
        TEST(a_commit_of_one_page_dirties_one_page),
        TEST(a_killed_process_gives_its_lock_back),
        TEST(a_forked_child_may_destroy_its_copy),
        TEST(memory_is_never_called_durable),
        TEST(a_full_disk_still_opens_and_a_failed_create_leaves_no_file),
        TEST(without_direct_io_only_mapped_is_to_be_had),
    };
    cmocka_set_test_filter(argc > 1 ? argv[1] : NULL);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
