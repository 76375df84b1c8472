/*
 * Disk watermarks: writes are slowed and refused before the disk is full, so that there is room
 * left to compact in.
 *
 *     rc = space_admit(engine, SPACE_PUT, bytes);     // before any lock; may sleep (write.h)
 *
 * What counts is the room for more of the log: free bytes of the file system, and segments that
 * were made ahead of need.
 */
#ifndef ENGINE_SPACE_H
#define ENGINE_SPACE_H

#include "base/sync.h"

#include <weir/maintain.h>

#define SPACE_SLEEP_MAX_NS INT64_C(20000000) /* of one write, where the least is left */

struct engine_space {
    bool on;                    /* a watermark is set */
    struct base_lock lock;      /* looking */
    _Atomic uint64_t room;      /* when it was last looked at */
    _Atomic uint64_t admitted;  /* bytes since then */
    _Atomic uint64_t looked_ns; /* coarse monotonic clock */
};

enum space_kind {
    SPACE_PUT = 0,    /* refused below stop_free_bytes */
    SPACE_DELETE = 1, /* only deletes: they make room. Refused below half of it */
};

/* 0; -EINVAL: the watermarks are not in order. */
int space_check_options(const struct weir_engine_options *options, struct weir_error *why);

/* Takes the watermarks from the engine's options: 0; -EOPNOTSUPP (they are set, and nobody knows
 * how much is free); -errno. */
int space_init(struct weir_engine *engine, struct weir_error *why);

/* The slow path of space_admit(), with watermarks. */
int space_watch(struct weir_engine *engine, enum space_kind kind, uint64_t bytes);

/* How much room there is now (UINT64_MAX: not known), and what that means. */
enum weir_space space_look(struct weir_engine *engine, uint64_t *ret_bytes);

#endif
