/* The host: drives any number of derived systems from the change stream.
 *
 *     weir_host_open(engine, NULL, &host);
 *     struct weir_system system = WEIR_SYSTEM_INIT;
 *     system.name = "by_section";
 *     system.ops = &my_ops;
 *     system.self = &mine;
 *     weir_host_attach(host, &system, &why);           // loads what was saved, or starts
 *     weir_host_flush(host, NULL, 0);                  // pull: applies what is durable now
 *     weir_host_close(host);                           // saves
 *
 * Each system is a consumer: it has a name, a durable position, a hold in the log (of that name)
 * and a lock; its state and its position are saved together or not at all, in
 * LOG/derived/NAME/state. Adding one changes nothing for writers, or for the others. One that fails
 * is parked with the reason and the LSN; retry and skip are explicit.
 *
 * Three deliveries, the same callbacks, the same state:
 *   pull        nothing happens until weir_host_flush()
 *   background  a thread of the host's own: weir_host_start()
 *   push        the writer, once its record is durable (WEIR_EACH), applies all events up to its
 *               own, in the order of LSNs, before its call returns: weir_host_push(host, true). One
 *               that keeps a system still since before leaves them to the next delivery
 *
 * Threads: any, for all calls but open and close. From inside of a callback of a system every call
 * but weir_host_stat() is -EDEADLK. Reading a system is in <weir/host_read.h>, proving it in
 * <weir/rebuild.h>, looking at all of them in <weir/pipeline.h>; this header brings them along.
 */
#ifndef WEIR_HOST_H
#define WEIR_HOST_H

#include <weir/host_read.h>
#include <weir/pipeline.h>
#include <weir/rebuild.h>
#include <weir/system.h>

#ifdef __cplusplus
extern "C" {
#endif

struct weir_host;

struct weir_host_options {
    size_t size;           /* sizeof(struct weir_host_options) */
    uint64_t save_records; /* a system is saved when its position has moved by so many since the
                              last time; default 1 << 20; UINT64_MAX: on weir_host_save(),
                              detaching and closing only */
};

#define WEIR_HOST_OPTIONS_INIT WEIR_SIZED_INIT(weir_host_options)

enum weir_start {
    WEIR_START_BEGINNING = 0, /* all that is retained; compacted: the state as of the horizon */
    WEIR_START_NOW = 1,
    WEIR_START_BEHIND = 2,   /* behind system.lsn; below the horizon as from the beginning */
    WEIR_START_SNAPSHOT = 3, /* the state as of now, then what comes behind it */
};

struct weir_system {
    size_t size;      /* sizeof(struct weir_system) */
    const char *name; /* up to WEIR_STATE_NAME_MAX, as of a hold; "engine" is taken; copied */
    const struct weir_system_ops *ops; /* both stay valid until it is detached */
    void *self;
    enum weir_start start;    /* when nothing is known under this name */
    uint32_t operations;      /* WEIR_ON_*; 0 = all */
    weir_lsn lsn;             /* for WEIR_START_BEHIND */
    const weir_table *tables; /* only these; copied; position moves with the others, too */
    size_t table_count;       /* 0 = all */
    uint64_t max_lag_bytes;   /* may be cut loose when it is further behind; 0 = never */
    bool unsaved;             /* nothing is written: no lock, no hold, no state; it may look into
                                 what is saved under its name, and starts from there */
    uint8_t reserved[7];      /* must be 0 */
};

#define WEIR_SYSTEM_INIT WEIR_SIZED_INIT(weir_system)

/* Makes a host without systems.
 *
 * @param engine    an open engine, also of a read-only log; open until the host is closed
 * @param options   NULL for the defaults
 * @param ret_host  weir_host_close() gives it back
 * Returns: 0; -EINVAL; -ENOMEM.
 * Durability: none.
 * Threads: any.
 * Blocks: never.
 * Allocates: the host.
 */
WEIR_EXPORT int weir_host_open(struct weir_engine *engine, const struct weir_host_options *options,
                               struct weir_host **ret_host);

/* Stops deliveries, saves every system, detaches it. Frees the host even when saving failed.
 *
 * @param host  NULL is allowed
 * Returns: 0; -EDEADLK (nothing is done); the first error of weir_host_detach(): the position saved
 *   last counts.
 * Durability: on 0, every system is saved as far as it had got.
 * Threads: no other call on the host at the same time or later.
 * Blocks: on saving.
 * Allocates: nothing that stays.
 */
WEIR_EXPORT int weir_host_close(struct weir_host *host);

/* Adds a system: loads what was saved under its name, or starts it. A state that is damaged, of
 * another version, kind or log is not used: the system begins again, with the next delivery, and
 * weir_host_stat() says why. With push it has caught up when this returns.
 *
 * @param host       an open host
 * @param system     what it is; copied, but for ops and self
 * @param ret_error  NULL, or the detail of a failure; its size member is set
 * Returns: 0 (also when it is parked since an earlier time); WEIR_E_POSITION_LOST (attached all the
 *   same, and parked with that: ops and self are in use, as on 0, until weir_host_detach() or
 *   weir_host_close(); weir_host_rebuild() makes it anew); WEIR_E_ATTACHED (this
 *   host, another one or another process has that name); -EINVAL (name, ops, start, tables);
 *   -EDEADLK; errors of weir_changes_open(), weir_hold_set(), weir_state_open(); -ENOMEM;
 *   -errno. On all but 0 and WEIR_E_POSITION_LOST nothing is attached, what was saved is as it was.
 * Durability: name, start and hold are durable when it returns 0.
 * Threads: any.
 * Blocks: on loading, on a few flushes; with push, until it has caught up.
 * Allocates: about 100 KiB, and what the system does.
 */
WEIR_EXPORT int weir_host_attach(struct weir_host *host, const struct weir_system *system,
                                 struct weir_error *ret_error);

/* Saves a system and lets go of it; name, state and hold stay, for the next time.
 *
 * @param host  an open host
 * @param name  of a system
 * Returns: 0; WEIR_E_NO_SYSTEM; -EDEADLK; errors of saving: it is let go all the same.
 * Durability: on 0, it is saved as far as it had got.
 * Threads: any.
 * Blocks: until nobody reads it, waits for it or verifies it; on saving. Stops its rebuilding.
 * Allocates: as its save does.
 */
WEIR_EXPORT int weir_host_detach(struct weir_host *host, const char *name);

/* What a delivery did for one system. */
struct weir_delivered {
    const char *name; /* lent until it is detached */
    uint64_t events;  /* applied meanwhile, by whomever */
    weir_lsn position;
    int parked; /* 0, or why it is */
};

/* Pull: applies everything that is durable now. A parked system is no error, nor is one that could
 * not be saved (weir_host_stat() says so).
 *
 * @param host           an open host
 * @param ret_delivered  room for so many, or NULL; in the order of attaching
 * @param room           how many
 * Returns: how many systems there are; -EINVAL; -EDEADLK; errors of weir_changes_next(),
 *   weir_engine_refresh(): the log cannot be read; systems on other lanes have got on all the same.
 * Durability: it applies durable records only; saves what is due.
 * Threads: any; one flush at a time, others wait.
 * Blocks: on reading, and on the systems.
 * Allocates: what the systems do.
 */
WEIR_EXPORT int weir_host_flush(struct weir_host *host, struct weir_delivered *ret_delivered,
                                size_t room);

/* Background: starts a thread that delivers.
 *
 * @param host  an open host
 * Returns: 0; -EALREADY; -EBUSY (push is on); -EINVAL; -EDEADLK; -EAGAIN, -ENOMEM (no thread).
 * Durability: as weir_host_flush().
 * Threads: any.
 * Blocks: never.
 * Allocates: a thread.
 */
WEIR_EXPORT int weir_host_start(struct weir_host *host);

/* Stops that thread; what it has applied stays.
 *
 * @param host  an open host
 * Returns: 0, also when there was none; -EINVAL; -EDEADLK.
 * Durability: none.
 * Threads: any.
 * Blocks: until it has finished a batch: hardly more than 50 ms.
 * Allocates: nothing.
 */
WEIR_EXPORT int weir_host_stop(struct weir_host *host);

/* Push: writers deliver, or no longer. What was written before is delivered first.
 *
 * @param host  an open host, the only one of its engine that pushes
 * @param push  on or off
 * Returns: 0; -EBUSY (the thread runs; another host pushes); -EINVAL; -EDEADLK; errors of
 *   weir_host_flush(): push is on, lanes that cannot be read stay behind.
 * Durability: systems are never ahead of what is durable.
 * Threads: any.
 * Blocks: as weir_host_flush(); off: until no writer delivers.
 * Allocates: what the systems do.
 */
WEIR_EXPORT int weir_host_push(struct weir_host *host, bool push);

/* Saves all systems that have moved.
 *
 * @param host  an open host
 * Returns: 0; the first error, all are tried; -EINVAL; -EDEADLK.
 * Durability: on 0, all are durable as they were at some moment of the call.
 * Threads: any.
 * Blocks: on writing; a system stands still while its state is written.
 * Allocates: as save does.
 */
WEIR_EXPORT int weir_host_save(struct weir_host *host);

/* Lets a parked system go on with the event that failed, or with the state that it begins with.
 *
 * @param host  an open host
 * @param name  of a system
 * Returns: 0 (the next delivery tries it); -EINVAL (it is not parked); WEIR_E_POSITION_LOST (what
 *   comes next is gone: weir_host_rebuild()); WEIR_E_NO_SYSTEM; -EBUSY (it is being rebuilt, or
 *   attached); -EDEADLK; errors of weir_changes_open(): it stays parked.
 * Durability: that it is not parked is durable.
 * Threads: any.
 * Blocks: on a flush of its status; with push, until it has caught up.
 * Allocates: about 100 KiB.
 */
WEIR_EXPORT int weir_host_retry(struct weir_host *host, const char *name);

/* Lets a parked system go on behind the event that failed. Should it come to that event again, by
 * a crash before it was saved, or by being rebuilt, it is parked there again.
 *
 * @param host  an open host
 * @param name  of a system
 * Returns: as weir_host_retry().
 * Durability: as weir_host_retry().
 * Threads: any.
 * Blocks: as weir_host_retry().
 * Allocates: as weir_host_retry().
 */
WEIR_EXPORT int weir_host_skip(struct weir_host *host, const char *name);

#ifdef __cplusplus
}
#endif
#endif
