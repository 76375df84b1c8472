/*
 * Space: looking at how much room is left, and what that means for a write.
 *
 * Happy path of a write: room at the last look, less what was admitted since, in whole blocks, is
 * above the marks. It is looked again when 100 ms have passed or 8 MiB were admitted, by one thread
 * at a time, and always before a write is slowed or refused: so they go on as soon as there is room
 * again, and the marks are met with no delay by what is written here.
 *
 * Slow: the sleep rises from 0 at slow_free_bytes to 20 ms at stop_free_bytes. Stop: what would
 * leave less is refused. Deletes go on into the lower half of that: without them compaction might
 * have nothing to drop. Compaction, truncation and closing ask nobody.
 *
 * Failure modes: the file system does not answer: what was last known counts, less what was
 * admitted since.
 *
 * Invariant: nothing was appended when it refuses; no lock is held while it sleeps.
 */
#include "engine/engine.h"

#include "base/clock.h"

#include <errno.h>

#define LOOK_NS (BASE_NS_PER_S / 10)
#define LOOK_BYTES ((uint64_t)8 << 20)
#define BLOCK_BYTES 4096u /* a write may take a block for itself */

static void look(struct weir_engine *engine)
{
    struct engine_space *space = &engine->space;
    uint64_t room;
    if (wal_address_room(engine->log, &room) == 0) {
        atomic_store_explicit(&space->room, room, memory_order_relaxed);
        atomic_store_explicit(&space->admitted, 0, memory_order_relaxed);
    }
    atomic_store_explicit(&space->looked_ns, base_clock_coarse_ns(), memory_order_relaxed);
}

/* What is left behind a write of so many bytes, or more. */
static uint64_t room_behind(struct engine_space *space, uint64_t bytes)
{
    uint64_t room = atomic_load_explicit(&space->room, memory_order_relaxed);
    uint64_t used = atomic_load_explicit(&space->admitted, memory_order_relaxed) + bytes;
    return room > used ? room - used : 0;
}

static bool is_due(struct engine_space *space)
{
    uint64_t looked_ns = atomic_load_explicit(&space->looked_ns, memory_order_relaxed);
    return base_clock_coarse_ns() - looked_ns >= LOOK_NS ||
           atomic_load_explicit(&space->admitted, memory_order_relaxed) >= LOOK_BYTES;
}

static uint64_t larger(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

/* Linear between the marks. */
static int64_t sleep_ns(const struct weir_engine_options *options, uint64_t left)
{
    if (left >= options->slow_free_bytes) {
        return 0;
    }
    if (left <= options->stop_free_bytes) {
        return SPACE_SLEEP_MAX_NS;
    }
    double depth = (double)(options->slow_free_bytes - left) /
                   (double)(options->slow_free_bytes - options->stop_free_bytes);
    return (int64_t)(depth * (double)SPACE_SLEEP_MAX_NS);
}

static void sleep_for(int64_t duration_ns)
{
    _Atomic uint32_t never = 0;
    if (duration_ns > 0) {
        (void)base_wait(&never, 0, duration_ns, false);
    }
}

int space_watch(struct weir_engine *engine, enum space_kind kind, uint64_t bytes)
{
    struct engine_space *space = &engine->space;
    const struct weir_engine_options *options = &engine->options;
    uint64_t stop = options->stop_free_bytes;
    uint64_t floor = kind == SPACE_DELETE ? stop / 2 : stop;
    if (room_behind(space, bytes) < larger(options->slow_free_bytes, floor)) {
        base_lock_acquire(&space->lock); /* nobody is slowed or refused for what is only feared */
        look(engine);
        base_lock_release(&space->lock);
    } else if (is_due(space) && base_lock_try(&space->lock)) {
        look(engine);
        base_lock_release(&space->lock);
    }
    uint64_t left = room_behind(space, bytes);
    if (left < floor) {
        return WEIR_E_DISK_LOW;
    }
    uint64_t blocks = (bytes + BLOCK_BYTES - 1) / BLOCK_BYTES;
    atomic_fetch_add_explicit(&space->admitted, blocks * BLOCK_BYTES, memory_order_relaxed);
    sleep_for(sleep_ns(options, left));
    return 0;
}

enum weir_space space_look(struct weir_engine *engine, uint64_t *ret_bytes)
{
    const struct weir_engine_options *options = &engine->options;
    uint64_t room;
    if (wal_address_room(engine->log, &room) < 0) {
        *ret_bytes = UINT64_MAX;
        return WEIR_SPACE_OK;
    }
    *ret_bytes = room;
    if (room < options->stop_free_bytes) {
        return WEIR_SPACE_STOP;
    }
    if (room < options->slow_free_bytes) {
        return WEIR_SPACE_SLOW;
    }
    return room < options->warn_free_bytes ? WEIR_SPACE_WARN : WEIR_SPACE_OK;
}

int space_check_options(const struct weir_engine_options *options, struct weir_error *why)
{
    uint64_t warn = options->warn_free_bytes, slow = options->slow_free_bytes;
    uint64_t stop = options->stop_free_bytes;
    if ((warn != 0 && warn < larger(slow, stop)) || (slow != 0 && slow < stop)) {
        return engine_error(why, -EINVAL,
                            "watermarks of the disk are not in order: warn_free_bytes is the "
                            "largest, stop_free_bytes the smallest");
    }
    return 0;
}

int space_init(struct weir_engine *engine, struct weir_error *why)
{
    const struct weir_engine_options *options = &engine->options;
    bool watches = options->warn_free_bytes != 0 || options->slow_free_bytes != 0 ||
                   options->stop_free_bytes != 0;
    uint64_t room;
    int rc = watches ? wal_address_room(engine->log, &room) : 0;
    if (rc < 0) {
        return engine_error(why, rc,
                            "watermarks of the disk are set, and how much is free is not "
                            "known here: %s",
                            weir_error_text(rc));
    }
    engine->space.on = options->slow_free_bytes != 0 || options->stop_free_bytes != 0;
    if (engine->space.on) {
        look(engine);
    }
    return 0;
}
