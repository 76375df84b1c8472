/*
 * The choice of a medium: the only file of wal/ that knows all of them.
 */
#ifndef WAL_MEDIUM_SELECT_H
#define WAL_MEDIUM_SELECT_H

#include <weir/log.h>

/* Opens the medium that options ask for; `auto` takes pmem on a DAX mount, else direct, else
 * mapped, and says why in info.reason. 0; WEIR_E_MEDIUM; WEIR_E_EMULATED; -ENOENT; other -errno.
 * With a custom medium the caller hands it over: it is the one that is returned. */
int medium_select(const char *directory, const struct weir_log_options *options,
                  struct weir_medium **ret_medium, struct weir_error *why);

/* Nothing of that name is there: medium_make_directory() would make it. */
bool medium_directory_is_absent(const char *directory);

/* Makes a log's directory (its parent must exist). 0, also when it is there; -errno. */
int medium_make_directory(const char *directory);

/* Removes one that is empty. */
void medium_remove_directory(const char *directory);

#endif
