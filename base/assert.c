/*
 * A broken invariant ends the process, loudly.
 *
 * The message is one write of one line, so that lines of several threads do not mix.
 */
#include "base/assert.h"

#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static _Atomic(base_assert_handler) current_handler;

void base_assert_handler_set(base_assert_handler handler)
{
    atomic_store_explicit(&current_handler, handler, memory_order_release);
}

void base_assert_failed(const char *file, int line, const char *condition)
{
    /* Acquire pairs with the release in base_assert_handler_set. */
    base_assert_handler handler = atomic_load_explicit(&current_handler, memory_order_acquire);
    if (handler != NULL) {
        handler(file, line, condition);
    }
    char message[512];
    int length =
        snprintf(message, sizeof message, "%s:%d: assertion failed: %s\n", file, line, condition);
    if (length > (int)sizeof message - 1) {
        length = (int)sizeof message - 1;
        message[length - 1] = '\n';
    }
    if (length > 0 && write(STDERR_FILENO, message, (size_t)length) < 0) {
        abort(); /* nobody listens; the core dump still tells */
    }
    abort();
}
