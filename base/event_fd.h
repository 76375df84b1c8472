/*
 * A descriptor for event loops (eventfd): readable from a signal until it is cleared, however many
 * signals there were.
 *
 *     int fd;
 *     base_event_fd_create(&fd);
 *     base_event_fd_signal(fd);      // poll(fd) says readable
 *     base_event_fd_clear(fd);       // says it was, and is no longer
 *     base_event_fd_close(fd);
 *
 * It never blocks. Threads: any; who signals must know that the descriptor is still open.
 */
#ifndef BASE_EVENT_FD_H
#define BASE_EVENT_FD_H

#include <stdbool.h>

/* 0; -EMFILE, -ENFILE, -ENOMEM. */
int base_event_fd_create(int *ret_fd);

void base_event_fd_signal(int fd);

/* Was it signalled? It is not any more. A program may as well read 8 bytes itself. */
bool base_event_fd_clear(int fd);

/* Readable now, without clearing it. */
bool base_event_fd_is_signalled(int fd);

/* -1 is accepted. */
void base_event_fd_close(int fd);

#endif
