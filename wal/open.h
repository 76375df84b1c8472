/*
 * The steps of opening and closing that more than one file needs.
 */
#ifndef WAL_OPEN_H
#define WAL_OPEN_H

#include "wal/log.h"
#include "wal/recover.h"

/* Creates a log in an empty directory, or finishes a creation that was interrupted. The caller
 * holds LOCK. 0; WEIR_E_NOT_A_LOG; WEIR_E_SETTINGS; -ENOSPC; -errno. */
int create_log(struct weir_medium *medium, const struct weir_log_options *options,
               struct weir_error *why);

/* 0: nothing but what an interrupted creation leaves; WEIR_E_NOT_A_LOG names what is in the way;
 * WEIR_E_CONTROL: segments of a log are here, and its CONTROL is not. */
int create_check_directory(struct weir_medium *medium, struct weir_error *why);

/* The same for who makes no log: there must be something that a creation has left. -ENOENT: there
 * is nothing at all. */
int create_check_begun(struct weir_medium *medium, struct weir_error *why);

/* Without CONTROL: 0; WEIR_E_NOT_A_LOG: what is here was being salvaged to, and is not all of it.
 */
int create_check_unfinished(struct weir_medium *medium, struct weir_error *why);

/* Makes segments ahead of need and does what waits, in a thread of its own (service.c). */
int service_start(struct weir_log *log);
void service_stop(struct weir_log *log);

/* Frees everything a handle holds; writes nothing. */
void log_free(struct weir_log *log);

#endif
