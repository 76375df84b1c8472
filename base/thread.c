/*
 * Starting a thread: signals are blocked before pthread_create, so that none can land in between,
 * and restored for the caller after it.
 */
#include "base/thread.h"

#include "base/alloc.h"
#include "base/assert.h"
#include "base/system.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>

struct start {
    base_thread_main main;
    void *context;
    char name[16]; /* what the kernel keeps, with the final 0 */
};

static void *run(void *argument)
{
    struct start start = *(struct start *)argument;
    base_free(argument);
    if (start.name[0] != '\0') {
        (void)pthread_setname_np(pthread_self(), start.name);
    }
    start.main(start.context);
    return NULL;
}

int base_thread_start(struct base_thread *thread, const char *name, base_thread_main main,
                      void *context)
{
    const struct base_system *system = BASE_SYSTEM_HOOK(thread_start);
    if (system != NULL) {
        return system->thread_start(system->context, thread, name, main, context);
    }
    struct start *start = base_alloc(sizeof *start);
    if (start == NULL) {
        return -ENOMEM;
    }
    start->main = main;
    start->context = context;
    (void)snprintf(start->name, sizeof start->name, "%s", name != NULL ? name : "");

    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    int result = pthread_sigmask(SIG_SETMASK, &all, &before);
    WEIR_ASSERT(result == 0);
    pthread_t handle;
    int error = pthread_create(&handle, NULL, run, start);
    result = pthread_sigmask(SIG_SETMASK, &before, NULL);
    WEIR_ASSERT(result == 0);

    if (error != 0) {
        base_free(start);
        return -error;
    }
    thread->handle = handle;
    return 0;
}

void base_thread_join(struct base_thread *thread)
{
    const struct base_system *system = BASE_SYSTEM_HOOK(thread_join);
    if (system != NULL) {
        system->thread_join(system->context, thread);
        return;
    }
    int result = pthread_join(thread->handle, NULL);
    WEIR_ASSERT(result == 0);
}
