/*
 * Options of weir_log_open(): defaults, limits, and what does not fit together.
 */
#ifndef WAL_OPTIONS_H
#define WAL_OPTIONS_H

#include "wal/log.h"

/* Copies the caller's options (NULL: the defaults) and refuses what is impossible by itself. Of
 * options that are refused custom_medium is copied all the same: it belongs to the log. */
int options_take(const struct weir_log_options *given, struct weir_log_options *ret_options,
                 struct weir_error *why);

/* The sizes of a log that is being created. WEIR_E_SETTINGS. */
int options_new_limits(const struct weir_log_options *options, struct control *control,
                       struct weir_error *why);

/* The limits of an existing log under these options. WEIR_E_SETTINGS, WEIR_E_MEDIUM. */
int options_apply(const struct weir_log_options *options, const struct control *control,
                  const struct weir_medium_info *medium, struct wal_limits *ret_limits,
                  struct weir_error *why);

/* The largest payload that fits a group of this size. */
uint64_t options_largest_record(uint64_t group_bytes);

#endif
