/* The ring: what completes, what fails, what is waited for, and what outlives its descriptor. */
#include "iouring/ring.h"

#include "base/alloc.h"
#include "base/clock.h"
#include "base/file.h"
#include "tests/medium/fixture.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

#define BLOCK ((size_t)4096)
#define FILE_BYTES (64 * BLOCK)

struct context {
    char directory[256];
    struct base_directory base;
    struct base_file file;
    struct ring *ring;
    uint8_t *memory;
};

static struct ring *make_ring(uint32_t depth, bool single_thread)
{
    struct ring_options options = {.depth = depth, .single_thread = single_thread};
    struct ring *ring = NULL;
    char reason[200] = "";
    int rc = ring_create(&options, &ring, reason, sizeof reason);
    if (rc < 0) {
        fail_msg("%s", reason);
    }
    return ring;
}

static int set_up(void **state)
{
    struct context *context = calloc(1, sizeof *context);
    assert_non_null(context);
    *state = context;
    assert_int_equal(fixture_make_directory(context->directory, NULL), 0);
    assert_int_equal(base_directory_open(&context->base, context->directory), 0);
    assert_int_equal(
        base_file_create(&context->base, "file", FILE_BYTES, BASE_DIRECT_PREFERRED, &context->file),
        0);
    context->memory = base_alloc_aligned(BLOCK, FILE_BYTES);
    assert_non_null(context->memory);
    fill(context->memory, FILE_BYTES, 1);
    context->ring = make_ring(4, false);
    return 0;
}

static int tear_down(void **state)
{
    struct context *context = *state;
    if (context->ring != NULL) {
        ring_destroy(context->ring);
    }
    base_file_close(&context->file);
    base_directory_close(&context->base);
    base_free(context->memory);
    fixture_remove_directory(context->directory);
    free(context);
    return 0;
}

static int submit_write(struct context *context, int fd, size_t size_bytes, uint64_t offset,
                        uint64_t token)
{
    return ring_submit_write(context->ring, fd, context->memory, size_bytes, offset, true, token);
}

static void expect_completion(struct ring *ring, uint64_t token, int result)
{
    struct weir_completion completion = {0};
    assert_int_equal(ring_reap(ring, &completion, 1, -1), 1);
    assert_int_equal(completion.token, token);
    assert_int_equal(completion.result, result);
}

/* ---- results ---- */

static void a_write_and_a_sync_complete(void **state)
{
    struct context *context = *state;
    int fd = context->file.fd;
    assert_int_equal(submit_write(context, fd, 2 * BLOCK, BLOCK, 7), 0);
    expect_completion(context->ring, 7, 0);
    assert_int_equal(ring_submit_sync(context->ring, fd, 8), 0);
    expect_completion(context->ring, 8, 0);
    assert_int_equal(ring_in_flight(context->ring), 0);
    uint8_t bytes[2 * BLOCK];
    size_t got = 0;
    assert_int_equal(base_file_read(&context->file, BLOCK, bytes, sizeof bytes, &got), 0);
    expect_fill(bytes, sizeof bytes, 1);
}

/* SIGXFSZ must be ignored; the kernel cuts a write at the limit and refuses one beyond it. */
static void limit_file_size(rlim_t size)
{
    struct rlimit limit;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &limit), 0);
    limit.rlim_cur = size == RLIM_INFINITY ? limit.rlim_max : size;
    (void)signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &limit), 0);
}

static void a_write_that_was_cut_short_is_an_error(void **state)
{
    struct context *context = *state;
    limit_file_size(2 * BLOCK);
    int rc = submit_write(context, context->file.fd, 4 * BLOCK, 0, 1);
    struct weir_completion completion = {0};
    int count = ring_reap(context->ring, &completion, 1, -1);
    limit_file_size(RLIM_INFINITY);
    assert_int_equal(rc, 0);
    assert_int_equal(count, 1);
    assert_int_equal(completion.result, -EIO);
}

static void a_write_beyond_the_limit_says_so(void **state)
{
    struct context *context = *state;
    limit_file_size(2 * BLOCK);
    int rc = submit_write(context, context->file.fd, BLOCK, 8 * BLOCK, 1);
    struct weir_completion completion = {0};
    int count = ring_reap(context->ring, &completion, 1, -1);
    limit_file_size(RLIM_INFINITY);
    assert_int_equal(rc, 0);
    assert_int_equal(count, 1);
    assert_int_equal(completion.result, -EFBIG);
}

static void a_full_device_says_so(void **state)
{
    struct context *context = *state;
    int fd = open("/dev/full", O_WRONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(submit_write(context, fd, BLOCK, 0, 1), 0);
    expect_completion(context->ring, 1, -ENOSPC);
    close(fd);
}

static void a_file_that_is_not_open_for_writing_says_so(void **state)
{
    struct context *context = *state;
    struct base_file reader;
    assert_int_equal(base_file_open(&context->base, "file", false, BASE_DIRECT_PREFERRED, &reader),
                     0);
    assert_int_equal(submit_write(context, reader.fd, BLOCK, 0, 1), 0);
    expect_completion(context->ring, 1, -EBADF);
    int closed = reader.fd;
    base_file_close(&reader);
    assert_int_equal(submit_write(context, closed, BLOCK, 0, 2), 0);
    expect_completion(context->ring, 2, -EBADF);
    /* One request failed, not the ring. */
    assert_int_equal(submit_write(context, context->file.fd, BLOCK, 0, 3), 0);
    expect_completion(context->ring, 3, 0);
}

static void the_depth_is_a_limit(void **state)
{
    struct context *context = *state;
    for (unsigned round = 0; round < 3; round++) {
        for (uint64_t token = 0; token < 4; token++) {
            assert_int_equal(submit_write(context, context->file.fd, BLOCK, token * BLOCK, token),
                             0);
        }
        assert_int_equal(submit_write(context, context->file.fd, BLOCK, 0, 9), -EBUSY);
        struct weir_completion completions[8];
        unsigned seen = 0;
        while (ring_in_flight(context->ring) > 0) {
            int count = ring_reap(context->ring, completions, 8, -1);
            assert_true(count > 0);
            for (int i = 0; i < count; i++) {
                assert_int_equal(completions[i].result, 0);
                seen |= 1u << completions[i].token;
            }
        }
        assert_int_equal(seen, 0xf);
    }
}

/* ---- waiting: a write into a full pipe is in flight until somebody reads ---- */

static void fill_pipe(int ends[2])
{
    static const uint8_t zeros[BLOCK];
    assert_int_equal(fcntl(ends[1], F_SETFL, O_NONBLOCK), 0);
    while (write(ends[1], zeros, sizeof zeros) > 0) {
    }
    assert_int_equal(fcntl(ends[1], F_SETFL, 0), 0);
}

static void drain_pipe(int fd)
{
    uint8_t bytes[BLOCK];
    (void)fcntl(fd, F_SETFL, O_NONBLOCK);
    while (read(fd, bytes, sizeof bytes) > 0) {
    }
}

static void reap_gives_up_when_the_time_is_over(void **state)
{
    struct context *context = *state;
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    fill_pipe(ends);
    assert_int_equal(submit_write(context, ends[1], BLOCK, 0, 5), 0);
    struct weir_completion completion;
    assert_int_equal(ring_reap(context->ring, &completion, 1, 0), 0);
    uint64_t before_ns = base_clock_monotonic_ns();
    assert_int_equal(ring_reap(context->ring, &completion, 1, 3 * (int64_t)BASE_NS_PER_MS), 0);
    assert_true(base_clock_monotonic_ns() - before_ns >= 3 * BASE_NS_PER_MS);
    drain_pipe(ends[0]);
    expect_completion(context->ring, 5, 0);
    close(ends[0]);
    close(ends[1]);
}

static int drained_by_signal = -1;

static void drain_on_signal(int number)
{
    int saved_errno = errno;
    (void)number;
    drain_pipe(drained_by_signal);
    errno = saved_errno;
}

static void a_signal_does_not_end_the_wait(void **state)
{
    struct context *context = *state;
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    fill_pipe(ends);
    drained_by_signal = ends[0];
    struct sigaction action = {.sa_handler = drain_on_signal}, before;
    assert_int_equal(sigaction(SIGALRM, &action, &before), 0);
    assert_int_equal(submit_write(context, ends[1], BLOCK, 0, 5), 0);
    struct itimerval timer = {.it_value = {.tv_usec = 2000}};
    assert_int_equal(setitimer(ITIMER_REAL, &timer, NULL), 0);
    expect_completion(context->ring, 5, 0);
    assert_int_equal(sigaction(SIGALRM, &before, NULL), 0);
    close(ends[0]);
    close(ends[1]);
}

static void destroy_waits_for_what_is_in_flight(void **state)
{
    struct context *context = *state;
    assert_int_equal(submit_write(context, context->file.fd, FILE_BYTES, 0, 1), 0);
    ring_destroy(context->ring);
    context->ring = NULL;
    uint8_t *bytes = malloc(FILE_BYTES);
    assert_non_null(bytes);
    size_t got = 0;
    assert_int_equal(base_file_read(&context->file, 0, bytes, FILE_BYTES, &got), 0);
    expect_fill(bytes, FILE_BYTES, 1);
    free(bytes);
}

/* A new process must not get the lock while a dead one's writes may still land. */
static void a_lock_lives_until_the_write_in_flight_has_ended(void **state)
{
    struct context *context = *state;
    char path[300];
    snprintf(path, sizeof path, "%s/fifo", context->directory);
    assert_int_equal(mkfifo(path, 0600), 0);
    struct base_file mine = {.fd = open(path, O_RDWR | O_CLOEXEC)};
    struct base_file other = {.fd = open(path, O_RDWR | O_CLOEXEC)};
    assert_true(mine.fd >= 0 && other.fd >= 0);
    int ends[2] = {other.fd, mine.fd};
    fill_pipe(ends);
    assert_int_equal(base_file_lock(&mine, BASE_FILE_LOCK_EXCLUSIVE), 0);
    assert_int_equal(submit_write(context, mine.fd, BLOCK, 0, 1), 0);
    base_file_close(&mine);
    assert_int_equal(base_file_lock(&other, BASE_FILE_LOCK_EXCLUSIVE), -EAGAIN);
    drain_pipe(other.fd);
    expect_completion(context->ring, 1, 0);
    /* The kernel drops its reference a moment after the completion. */
    while (base_file_lock(&other, BASE_FILE_LOCK_EXCLUSIVE) == -EAGAIN) {
        sched_yield();
    }
    assert_int_equal(base_file_lock(&other, BASE_FILE_LOCK_EXCLUSIVE), 0);
    base_file_close(&other);
}

/* ---- a ring that fails ---- */

/* The highest descriptor that is a ring: ours, in this program. */
static int find_ring_fd(void)
{
    int found = -1;
    for (int fd = 0; fd < 256; fd++) {
        char path[40], target[64] = "";
        snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
        ssize_t length = readlink(path, target, sizeof target - 1);
        if (length > 0 && strstr(target, "io_uring") != NULL) {
            found = fd;
        }
    }
    return found;
}

static void a_ring_that_failed_once_takes_no_more(void **state)
{
    struct context *context = *state;
    int fd = find_ring_fd();
    assert_true(fd >= 0);
    int saved = dup(fd);
    int null = open("/dev/null", O_RDWR | O_CLOEXEC);
    assert_true(saved >= 0 && null >= 0);
    assert_int_equal(dup2(null, fd), fd);
    int rc = submit_write(context, context->file.fd, BLOCK, 0, 1);
    assert_true(rc < 0);
    assert_int_equal(dup2(saved, fd), fd);
    struct weir_completion completion;
    assert_int_equal(submit_write(context, context->file.fd, BLOCK, 0, 2), rc);
    assert_int_equal(ring_submit_sync(context->ring, context->file.fd, 3), rc);
    assert_int_equal(ring_reap(context->ring, &completion, 1, -1), rc);
    close(saved);
    close(null);
}

struct foreign_call {
    struct context *context;
    int rc;
};

static void *submit_from_another_thread(void *argument)
{
    struct foreign_call *call = argument;
    call->rc = submit_write(call->context, call->context->file.fd, BLOCK, 0, 1);
    return NULL;
}

static void a_single_thread_ring_refuses_other_threads(void **state)
{
    struct context *context = *state;
    ring_destroy(context->ring);
    context->ring = make_ring(4, true);
    struct foreign_call call = {.context = context};
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, submit_from_another_thread, &call), 0);
    assert_int_equal(pthread_join(thread, NULL), 0);
    if (call.rc == 0) {
        skip(); /* a kernel before 6.1: an ordinary ring */
    }
    assert_int_equal(call.rc, -EEXIST);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_write_and_a_sync_complete, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_write_that_was_cut_short_is_an_error, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_write_beyond_the_limit_says_so, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_full_device_says_so, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_file_that_is_not_open_for_writing_says_so, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(the_depth_is_a_limit, set_up, tear_down),
        cmocka_unit_test_setup_teardown(reap_gives_up_when_the_time_is_over, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_signal_does_not_end_the_wait, set_up, tear_down),
        cmocka_unit_test_setup_teardown(destroy_waits_for_what_is_in_flight, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_lock_lives_until_the_write_in_flight_has_ended, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_ring_that_failed_once_takes_no_more, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_single_thread_ring_refuses_other_threads, set_up,
                                        tear_down),
    };
    cmocka_set_test_filter(argc > 1 ? argv[1] : NULL);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
