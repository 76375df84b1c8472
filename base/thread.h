/*
 * Threads, for options that asked for one. A new thread blocks every signal, so that the program's
 * handlers keep running on the program's own threads.
 */
#ifndef BASE_THREAD_H
#define BASE_THREAD_H

#include <pthread.h>

struct base_thread {
    pthread_t handle;
};

typedef void (*base_thread_main)(void *context);

/*
 * @param name     shown by ps and gdb; cut to 15 bytes; NULL keeps the process's name.
 * @param context  handed to main; must live until base_thread_join.
 * Returns 0, -EAGAIN (limits) or -ENOMEM; the thread struct is untouched on failure.
 */
int base_thread_start(struct base_thread *thread, const char *name, base_thread_main main,
                      void *context);

/*
 * The same for a thread whose creator goes on computing beside it: it starts on another CPU, if the
 * creator may use one, and is the kernel's to move from then on. Left to itself the kernel often
 * puts both onto one CPU, while the other one waits for a disk for a moment, and looks again when
 * the next tick comes, 4 ms later with 250 of them a second.
 */
int base_thread_start_beside(struct base_thread *thread, const char *name, base_thread_main main,
                             void *context);

/* Waits until main returned. Exactly once per started thread. */
void base_thread_join(struct base_thread *thread);

#endif
