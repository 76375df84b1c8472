/* A derived system: anything that is built from the change stream alone.
 *
 *     static int count_apply(void *self, const struct weir_event *event) { ... return 0; }
 *     static const struct weir_system_ops count_ops = {
 *         .size = sizeof count_ops, .kind = "count", .version = 1,
 *         .apply = count_apply, .reset = count_reset,
 *         .save = count_save, .load = count_load, .fingerprint = count_fingerprint,
 *     };
 *
 * A host (<weir/host.h>) gives it events, keeps its position, saves and loads it, proves that it
 * can be rebuilt. A system does not know who delivers: pull, push and background are the same.
 *
 * A consumer whose effects are outside (a mail, another database) has apply alone. It gets events
 * at least once: after a crash those behind the last saved position come again, with the LSN to
 * tell them by.
 *
 * Calls for one system are never made at the same time. apply must not write to the log
 * (-EDEADLK), nor call its host. What an event lends is valid during the call.
 */
#ifndef WEIR_SYSTEM_H
#define WEIR_SYSTEM_H

#include <weir/changes.h>
#include <weir/state.h>

#ifdef __cplusplus
extern "C" {
#endif

/* One entry of a system's state, for weir_host_verify() to name those that differ. */
struct weir_system_entry {
    struct weir_bytes text; /* unique among the entries, for people: "news -> apple" */
    uint8_t hash[16];       /* of all that counts in it */
    weir_table table;       /* of the row that it comes from, */
    struct weir_bytes key;  /* empty: not from one row, then */
    weir_lsn lsn;           /* the last that touched it, 0 = not known */
};

typedef int (*weir_system_entry_fn)(void *context, const struct weir_system_entry *entry);

struct weir_system_ops {
    size_t size;      /* sizeof(struct weir_system_ops) */
    const char *kind; /* what it is, up to WEIR_STATE_KIND_MAX characters; kept with the state */
    uint32_t version; /* of what save writes: a state of another version is not loaded, the system
                         is rebuilt, and that is said */
    /* 0; other than 0 parks the system at this event, its state as it was before: a negative error,
     * its text in weir_error_text(), or one of the system's own. */
    int (*apply)(void *self, const struct weir_event *event);
    /* ---- a system without state leaves all of these out ---- */
    void (*reset)(void *self);                                 /* as if no event had come */
    int (*save)(void *self, struct weir_state_writer *writer); /* 0 or < 0 */
    /* After reset; < 0: reset again. -ENOMEM, -EIO, -EAGAIN, -EACCES, -EMFILE and -ENFILE say
     * nothing of the state: attaching fails with that; with any other error it is not used. */
    int (*load)(void *self, struct weir_state_reader *reader);
    /* Equal for equal state, however it came about: a sum of hashes of entries. */
    void (*fingerprint)(void *self, uint8_t ret_fingerprint[16]);
    /* ---- optional ---- */
    int (*entries)(void *self, weir_system_entry_fn fn, void *context); /* in any order */
};

#ifdef __cplusplus
}
#endif
#endif
