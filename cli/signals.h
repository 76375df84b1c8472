/*
 * SIGINT and SIGTERM as something to look at: the program ends where it can report what it did.
 * SIGPIPE is ignored, so that a closed pipe is an error of write().
 */
#ifndef CLI_SIGNALS_H
#define CLI_SIGNALS_H

#include <stdbool.h>

/* A second signal of the same kind ends the program at once. Returns 0 or -errno. */
int signals_install(void);

bool signals_interrupted(void);

/* Becomes readable with the first signal and stays so: for poll(). */
int signals_fd(void);

#endif
