/* The list of stores, and the words of the first failure in this process. */
#include "bench/kv/store.h"

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>

static const struct kv_ops *const none[] = {NULL};
static const struct kv_ops *const *registered = none;

void kv_register_peers(const struct kv_ops *const *peers)
{
    registered = peers;
}

bool kv_has_peers(void)
{
    return registered != none;
}

const struct kv_ops *kv_find(const char *name)
{
    for (const struct kv_ops *const *at = registered; *at != NULL; at++) {
        if (strcmp((*at)->name, name) == 0) {
            return *at;
        }
    }
    return NULL;
}

static char failure[KV_TEXT_MAX];
static pthread_mutex_t failure_lock = PTHREAD_MUTEX_INITIALIZER;

int kv_fail(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    (void)pthread_mutex_lock(&failure_lock);
    if (failure[0] == '\0') {
        (void)vsnprintf(failure, sizeof failure, format, arguments);
    }
    (void)pthread_mutex_unlock(&failure_lock);
    va_end(arguments);
    return -EIO;
}

const char *kv_failure(void)
{
    return failure;
}
