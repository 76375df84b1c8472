/*
 * SIGINT and SIGTERM as something to look at: the program ends where it can report what it did.
 * SIGPIPE is ignored, so that a closed pipe is an error of write(). SIGBUS means that a file which
 * is read or written through a mapping was cut short: main() says so instead of dying of it.
 */
#ifndef CLI_SIGNALS_H
#define CLI_SIGNALS_H

#include <setjmp.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A second signal of the same kind ends the program at once. Returns 0 or -errno. */
int signals_install(void);

bool signals_interrupted(void);

/* Becomes readable with the first signal and stays so: for poll(). */
int signals_fd(void);

/* From here on a SIGBUS of this thread jumps to *back, once; of another one, it ends the program.
 */
void signals_catch_lost_memory(sigjmp_buf *back);

/* After the jump: which file was mapped there, its last name only, and where in it. False: none. */
bool signals_lost_memory(char *name, size_t name_size, uint64_t *ret_offset);

#endif
