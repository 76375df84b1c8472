/*
 * Starting a thread: signals are blocked before pthread_create, so that none can land in between,
 * and restored for the caller after it.
 *
 * One that starts beside its creator is created with all CPUs allowed but the creator's, so that
 * the kernel puts it onto another one, and takes all of them back before it does anything else.
 */
#include "base/thread.h"

#include "base/alloc.h"
#include "base/assert.h"
#include "base/system.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>

struct start {
    base_thread_main main;
    void *context;
    char name[16];  /* what the kernel keeps, with the final 0 */
    bool elsewhere; /* it is created with other CPUs than `cpus`, which are its creator's */
    cpu_set_t cpus;
};

static void *run(void *argument)
{
    struct start start = *(struct start *)argument;
    base_free(argument);
    if (start.elsewhere) { /* where it is it stays, as far as the kernel likes */
        (void)sched_setaffinity(0, sizeof start.cpus, &start.cpus);
    }
    if (start.name[0] != '\0') {
        (void)pthread_setname_np(pthread_self(), start.name);
    }
    start.main(start.context);
    return NULL;
}

/* The CPUs that are allowed here but for this one. False: there are none, or the kernel does not
 * say, as where there are more than a cpu_set_t holds. */
static bool find_other_cpus(cpu_set_t *ret_allowed, cpu_set_t *ret_others)
{
    int here = sched_getcpu();
    if (here < 0 || sched_getaffinity(0, sizeof *ret_allowed, ret_allowed) < 0) {
        return false;
    }
    *ret_others = *ret_allowed;
    CPU_CLR((size_t)here, ret_others);
    return CPU_COUNT(ret_others) > 0;
}

/* Returns 0 or an errno. */
static int create_elsewhere(struct start *start, pthread_t *ret_handle)
{
    pthread_attr_t attributes;
    cpu_set_t others;
    if (!find_other_cpus(&start->cpus, &others)) {
        return EINVAL;
    }
    int error = pthread_attr_init(&attributes);
    if (error != 0) {
        return error;
    }
    error = pthread_attr_setaffinity_np(&attributes, sizeof others, &others);
    start->elsewhere = true;
    error = error == 0 ? pthread_create(ret_handle, &attributes, run, start) : error;
    if (error != 0) { /* else it is the thread's, who has given it back */
        start->elsewhere = false;
    }
    (void)pthread_attr_destroy(&attributes);
    return error;
}

static int start_thread(struct base_thread *thread, const char *name, base_thread_main main,
                        void *context, bool elsewhere)
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
    start->elsewhere = false;
    (void)snprintf(start->name, sizeof start->name, "%s", name != NULL ? name : "");

    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    int result = pthread_sigmask(SIG_SETMASK, &all, &before);
    WEIR_ASSERT(result == 0);
    pthread_t handle;
    int error = elsewhere ? create_elsewhere(start, &handle) : EINVAL;
    if (error != 0 && error != EAGAIN) { /* that is of threads, not of places */
        error = pthread_create(&handle, NULL, run, start);
    }
    result = pthread_sigmask(SIG_SETMASK, &before, NULL);
    WEIR_ASSERT(result == 0);

    if (error != 0) {
        base_free(start);
        return -error;
    }
    thread->handle = handle;
    return 0;
}

int base_thread_start(struct base_thread *thread, const char *name, base_thread_main main,
                      void *context)
{
    return start_thread(thread, name, main, context, false);
}

int base_thread_start_beside(struct base_thread *thread, const char *name, base_thread_main main,
                             void *context)
{
    return start_thread(thread, name, main, context, true);
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
