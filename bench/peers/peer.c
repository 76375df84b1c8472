/* The list of systems, and the words of the last failure in this process. */
#include "bench/peers/peer.h"

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>

const struct peer_ops *const peer_list[] = {
    &peer_weir,
#ifdef WEIR_PEER_ROCKSDB
    &peer_rocksdb,
#endif
#ifdef WEIR_PEER_LMDB
    &peer_lmdb,
#endif
#ifdef WEIR_PEER_WIREDTIGER
    &peer_wiredtiger,
#endif
#ifdef WEIR_PEER_SQLITE
    &peer_sqlite,
#endif
#ifdef WEIR_PEER_PMEMLOG
    &peer_pmemlog,
#endif
    NULL,
};

static char failure[PEER_TEXT_MAX];
static pthread_mutex_t failure_lock = PTHREAD_MUTEX_INITIALIZER;

const struct peer_ops *peer_find(const char *name)
{
    for (const struct peer_ops *const *at = peer_list; *at != NULL; at++) {
        if (strcmp((*at)->name, name) == 0) {
            return *at;
        }
    }
    return NULL;
}

int peer_fail(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    (void)pthread_mutex_lock(&failure_lock);
    if (failure[0] == '\0') { /* the first one is the cause */
        (void)vsnprintf(failure, sizeof failure, format, arguments);
    }
    (void)pthread_mutex_unlock(&failure_lock);
    va_end(arguments);
    return -EIO;
}

const char *peer_failure(void)
{
    return failure;
}
