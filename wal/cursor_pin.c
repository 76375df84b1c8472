/*
 * Pins: what a cursor lent last stays valid after the cursor has moved on.
 *
 * A call lends from one segment only, the one in which the cursor stands until its next call, so a
 * pin is one more pin on that segment. Its memory then neither moves nor goes; only its file may.
 */
#include "base/alloc.h"
#include "wal/cursor.h"

#include <errno.h>

struct weir_pin {
    struct weir_log *log;
    struct wal_segment *segment;
};

int weir_cursor_pin(struct weir_cursor *cursor, struct weir_pin **ret_pin)
{
    struct weir_log *log = cursor->log;
    int rc = log_check(log);
    if (rc < 0 || !cursor->lent) {
        return rc < 0 ? rc : -EINVAL;
    }
    struct weir_pin *pin = base_alloc(sizeof *pin);
    if (pin == NULL) {
        return -ENOMEM;
    }
    *pin = (struct weir_pin){.log = log, .segment = cursor->place.walk.segment};
    segment_pin_again(log, pin->segment);
    atomic_fetch_add_explicit(&log->cursors, 1, memory_order_relaxed);
    *ret_pin = pin;
    return 0;
}

void weir_pin_drop(struct weir_pin *pin)
{
    if (pin == NULL) {
        return;
    }
    struct weir_log *log = pin->log;
    if (log_check(log) == 0) { /* in a child of fork() the lock may be held for ever */
        segment_unpin(log, pin->segment);
    }
    base_free(pin);
    /* Release pairs with the acquire in weir_log_close(): the pin is gone. */
    atomic_fetch_sub_explicit(&log->cursors, 1, memory_order_release);
}
