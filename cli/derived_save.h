/*
 * Bringing everything that is defined up to date, and saving it: before a compaction, whose horizon
 * saved positions limit, and with a checkpoint.
 */
#ifndef CLI_DERIVED_SAVE_H
#define CLI_DERIVED_SAVE_H

#include "cli/engine.h"

/* A system that cannot be brought up to date, or that another process drives, is named on standard
 * error and left as it is: it is not what was asked for. Returns how many were saved. */
size_t derived_save_all(struct engine *engine);

#endif
