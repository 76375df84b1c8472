/* Event descriptors: readable from a signal until cleared, and they never block. */
#include "base/event_fd.h"

#include "base/thread.h"
#include "tests/base/support.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>

static int make(void)
{
    int fd = -1;
    assert_int_equal(base_event_fd_create(&fd), 0);
    assert_true(fd >= 0);
    return fd;
}

static void a_new_one_is_not_readable(void **state)
{
    (void)state;
    int fd = make();
    assert_false(base_event_fd_is_signalled(fd));
    assert_false(base_event_fd_clear(fd));
    base_event_fd_close(fd);
}

static void many_signals_are_cleared_at_once(void **state)
{
    (void)state;
    int fd = make();
    for (int i = 0; i < 1000; i++) {
        base_event_fd_signal(fd);
    }
    assert_true(base_event_fd_is_signalled(fd));
    assert_true(base_event_fd_clear(fd));
    assert_false(base_event_fd_is_signalled(fd));
    assert_false(base_event_fd_clear(fd));
    base_event_fd_close(fd);
}

static void a_program_may_clear_it_by_reading_eight_bytes(void **state)
{
    (void)state;
    int fd = make();
    base_event_fd_signal(fd);
    uint64_t count = 0;
    assert_int_equal(read(fd, &count, sizeof count), sizeof count);
    assert_int_equal(count, 1);
    assert_false(base_event_fd_is_signalled(fd));
    base_event_fd_close(fd);
}

static void a_full_counter_is_readable_and_signalling_it_does_not_block(void **state)
{
    (void)state;
    int fd = make();
    uint64_t most = UINT64_MAX - 1;
    assert_int_equal(write(fd, &most, sizeof most), sizeof most);
    base_event_fd_signal(fd);
    assert_true(base_event_fd_is_signalled(fd));
    base_event_fd_close(fd);
}

static void signal_it(void *context)
{
    base_event_fd_signal(*(const int *)context);
}

static void a_signal_wakes_a_thread_in_poll(void **state)
{
    (void)state;
    int fd = make();
    struct base_thread thread;
    assert_int_equal(base_thread_start(&thread, "signal", signal_it, &fd), 0);
    struct pollfd one = {.fd = fd, .events = POLLIN};
    assert_int_equal(poll(&one, 1, -1), 1);
    base_thread_join(&thread);
    assert_true(base_event_fd_clear(fd));
    base_event_fd_close(fd);
}

static void it_is_closed_on_exec_and_closing_none_is_harmless(void **state)
{
    (void)state;
    int fd = make();
    assert_true((fcntl(fd, F_GETFD) & FD_CLOEXEC) != 0);
    base_event_fd_close(fd);
    base_event_fd_close(-1);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_new_one_is_not_readable),
        cmocka_unit_test(many_signals_are_cleared_at_once),
        cmocka_unit_test(a_program_may_clear_it_by_reading_eight_bytes),
        cmocka_unit_test(a_full_counter_is_readable_and_signalling_it_does_not_block),
        cmocka_unit_test(a_signal_wakes_a_thread_in_poll),
        cmocka_unit_test(it_is_closed_on_exec_and_closing_none_is_harmless),
    };
    return RUN_TESTS(tests, argc, argv);
}
