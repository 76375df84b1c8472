/*
 * WEIR_ASSERT: a check of our own invariants that stays on in release builds.
 *
 *     WEIR_ASSERT(durable <= published);
 *
 * It is never used on what a caller passed in (-EINVAL) nor on bytes read from a medium (a
 * corruption error). A failed assertion prints "file:line: assertion failed: condition" to stderr
 * and aborts: a process that goes on with a broken invariant could report something durable that is
 * not.
 */
#ifndef BASE_ASSERT_H
#define BASE_ASSERT_H

#define WEIR_ASSERT(condition)                                                                     \
    ((condition) ? (void)0 : base_assert_failed(__FILE__, __LINE__, #condition))

/* For a switch that has handled every value. */
#define WEIR_UNREACHABLE() base_assert_failed(__FILE__, __LINE__, "unreachable")

/* May leave by longjmp, as the tests do; when it returns, the process aborts anyway. */
typedef void (*base_assert_handler)(const char *file, int line, const char *condition);

/* NULL restores the default. Process-wide, for tests and the simulator only. */
void base_assert_handler_set(base_assert_handler handler);

__attribute__((cold, noinline, noreturn)) void base_assert_failed(const char *file, int line,
                                                                  const char *condition);

#endif
