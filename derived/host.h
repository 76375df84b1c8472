/*
 * The inside of a host: systems, and the lanes that they stand on.
 *
 * A lane is one change stream with the systems that stand at the same position in it. Whoever
 * starts, is retried or rebuilt gets a lane of its own; two lanes that meet at a position become
 * one. So one cursor drives many systems, and nobody holds up another.
 *
 * Order of locks: system.saving, host.delivery, system.gate (of one after the other in the order of
 * attaching), host.lock. No lock is held while the log is waited for, but saving while a state is
 * written.
 *   host.delivery  lanes that are not exclusive, and who stands on them
 *   lane.exclusive one thread drives it, without host.delivery, until it gives it back
 *   system.gate    the state of a system; is held by who applies, until its position is whole
 *   host.lock      what people ask for: lists, positions, reasons; a few instructions
 */
#ifndef DERIVED_HOST_H
#define DERIVED_HOST_H

#include "derived/gate.h"

#include "base/thread.h"

#include <weir/host.h>
#include <weir/read.h>

#define HOST_BATCH 256
#define HOST_REASON_MAX 200
#define HOST_NO_LIMIT UINT64_MAX
#define HOST_UNKNOWN_LSN UINT64_MAX
#define HOST_STATE_FILE "state"

struct host_lane {
    struct host_lane *next;
    struct weir_host *host;
    struct weir_changes *changes;
    struct host_system *systems; /* by next_on_lane, in the order of attaching */
    enum weir_changes_from from; /* how it was opened */
    bool fresh;                  /* nothing was asked of the stream yet */
    bool exclusive;
    bool lending; /* the state that it begins with is not lent to its end */
    bool whole;   /* no atomic write is cut at position, and it is not lending */
    bool lent;    /* the last batch keeps memory of the engine */
    weir_lsn position;
    uint64_t round;          /* of deliveries: has nothing to give in this one */
    struct weir_error error; /* of the stream; code 0: none. Under host.lock */
    int count, at;           /* events lent, and those used up */
    struct weir_event events[HOST_BATCH];
};

struct host_system {
    struct host_system *next; /* of the host, in the order of attaching */
    struct host_system *next_on_lane;
    struct weir_host *host;
    uint64_t number; /* of attaching */
    /* As it was attached. */
    char name[WEIR_STATE_NAME_MAX + 1];
    const struct weir_system_ops *ops;
    void *self;
    weir_table *tables;
    size_t table_count;
    uint32_t operations;
    bool unsaved;
    struct weir_state_lock *name_lock;
    /* Of whoever drives its lane. */
    bool entered;  /* the turn that goes on has the gate */
    bool dirty;    /* has applied events since it was whole */
    weir_lsn skip; /* the event that is not to be applied; 0 = none */
    /* The state of self is under the gate. What follows is under host.lock, and moves with the
     * state while the gate is held. */
    struct host_gate gate;
    weir_lsn position;
    bool whole;    /* its state is one as of position */
    bool begun;    /* it has the state that it began with, so that it may resume */
    bool in_state; /* it failed while that was lent: it begins again */
    bool pinned;   /* it began behind start_lsn, which nothing else can stand for */
    enum weir_start start;
    weir_lsn start_lsn; /* HOST_UNKNOWN_LSN: nobody knows any more */
    int parked;
    weir_lsn parked_lsn;
    char reason[HOST_REASON_MAX];
    struct host_lane *lane; /* NULL: parked */
    uint64_t events, mark;  /* applied; as many when a flush began */
    uint64_t max_lag_bytes;
    bool status_due;        /* to be written down */
    bool rebuilding;        /* or attached: one thread drives its lane */
    bool ready;             /* attached, to its end */
    bool leaving;           /* is being detached */
    _Atomic uint32_t users; /* calls that use it; detaching waits for them */
    /* Under saving. */
    struct base_lock saving;
    weir_lsn saved; /* written under host.lock, too */
    bool has_saved;
    weir_lsn tried;     /* at this position, under host.lock */
    int save_failed;    /* why it could not be saved the last time; 0. Under host.lock */
    bool guarded;       /* under the gate: the reader's thread may not write now */
    const void *keeper; /* under host.lock: the thread that keeps it still; NULL */
};

struct weir_host {
    struct weir_engine *engine;
    struct weir_log *log;
    uint64_t save_records;
    struct host_gate delivery;
    struct host_lane *lanes; /* under delivery */
    uint64_t round;          /* under delivery */
    struct base_lock lock;
    struct host_system *systems; /* under lock */
    uint64_t attached;           /* under lock: how many ever */
    struct base_lock flushing;   /* one flush at a time */
    struct base_lock switching;  /* start, stop, push */
    struct base_thread thread;
    _Atomic bool running;
    _Atomic bool stop;
    _Atomic bool pushing;
    _Atomic uint32_t moved;   /* counts turns that got on, parking, attaching */
    _Atomic uint32_t waiters; /* on moved */
    _Atomic uint32_t wake;    /* of the thread: something else than the log has changed */
};

/* ---- host.c: finding systems, and who is in a callback ---- */

/* The calling thread is inside of apply, or keeps a system of this host still: a delivery would
 * wait for its own thread. */
bool host_is_inside(struct weir_host *host);
/* The calling thread keeps a system still, whose gate it has; and no longer. */
void host_keep(struct host_system *system);
void host_let_go(struct host_system *system);
void host_go_inside(struct weir_host *host);
void host_come_out(struct weir_host *host);

/* Finds a system and keeps it from being detached: 0; WEIR_E_NO_SYSTEM; -EDEADLK (inside). */
int host_use(struct weir_host *host, const char *name, struct host_system **ret_system);
/* Under host.lock; also one that is being detached. */
struct host_system *host_find(struct weir_host *host, const char *name);
void host_unuse(struct host_system *system);

/* Something has moved, or somebody is parked: those who wait look again. */
void host_announce(struct weir_host *host);
/* The thread has something to do that the log does not tell. */
void host_wake_thread(struct weir_host *host);

/* Fills in an error, if one is wanted; returns code. */
__attribute__((format(printf, 3, 4))) int host_error(struct weir_error *ret_error, int code,
                                                     const char *format, ...);

/* ---- host_lane.c: under host.delivery, or by the one thread that drives an exclusive lane ---- */

/* It has no state to resume with: it gets what it begins with, once more perhaps. */
bool host_is_anew(const struct host_system *system);
/* It starts behind an LSN that is not durable yet: nothing was given to it so far. */
bool host_is_to_come(const struct host_system *system);

/* Opens a stream for a system as it stands. WEIR_E_POSITION_LOST and other errors of
 * weir_changes_open(). */
int host_lane_open(struct host_system *system, struct host_lane **ret_lane,
                   struct weir_error *ret_error);
void host_lane_close(struct host_lane *lane);
/* Puts a system on it that is on none. */
void host_lane_add(struct host_lane *lane, struct host_system *system);
/* Takes a system off its lane; a lane without systems is closed. The system has no lane then. */
void host_lane_leave(struct host_system *system);

/* Gives back what the last batch keeps of the engine. */
void host_lane_rest(struct host_lane *lane);

/* A batch and on until the position is whole, of events up to limit: 1 it moved; 0 not; errors of
 * the stream, which are kept in lane->error. Systems that fail are parked and leave it. */
int host_lane_turn(struct host_lane *lane, weir_lsn limit);

/* ---- host_deliver.c ---- */

/* Under host.delivery: a turn, at the end of which the lane may have become one with another, or be
 * gone. As host_lane_turn(). */
int host_serve(struct weir_host *host, struct host_lane *lane);
/* Until all systems that can have applied everything up to target: 0, or the first error. */
int host_deliver(struct weir_host *host, weir_lsn target);
/* What turns have left to do: statuses to write, states to save. The first error. */
int host_do_chores(struct weir_host *host);
/* Puts a lane among those that are served, or on one that stands where it does. Under
 * host.delivery. */
void host_lane_join(struct host_lane *lane);

struct host_progress {
    weir_progress_fn fn;
    void *context;
};

/* Drives a system's exclusive lane up to the end of the log as it is now, and gives it back:
 * 0 (also when the system is parked now); -ECANCELED (progress said so, or it is being detached);
 * errors of the stream. */
int host_catch_up(struct host_system *system, const struct host_progress *progress);

/* ---- host_save.c ---- */

/* State and position to the medium, then the hold, if there is something new: 0, or an error. */
int host_save_system(struct host_system *system);
/* The status file, as it is now. */
int host_write_status(struct host_system *system);
/* What was written by whoever drove it before. 0 (also without one); errors of the medium. */
int host_read_status(struct host_system *system);

/* Under the gate. The caller takes it off its lane. */
void host_park(struct host_system *system, int code, weir_lsn lsn, const char *reason);

/* ---- host_read.c ---- */

/* A view as of an LSN that is durable, once the engine has got there; a reader's is refreshed.
 * Errors of weir_read_begin() but -EAGAIN, of weir_engine_refresh(); WEIR_E_BEHIND: it does not get
 * there, in 10 s or what the caller says, as when its index has failed. */
int host_view_within(struct weir_engine *engine, weir_lsn lsn, uint64_t timeout_ns,
                     struct weir_read *ret_read);
int host_view_as_of(struct weir_engine *engine, weir_lsn lsn, struct weir_read *ret_read);

/* ---- host_attach.c ---- */

/* Sets the hold for a system that is about to start, or to resume from its position: 0;
 * WEIR_E_POSITION_LOST; errors of weir_hold_set(). */
int host_hold(struct host_system *system);
/* The floor of its hold, to put back when what follows fails: 0, there is none;
 * HOST_UNKNOWN_LSN. */
weir_lsn host_hold_floor(struct host_system *system);
void host_hold_restore(struct host_system *system, weir_lsn before);
/* It holds again: the mark of one that was cut loose goes. 0; errors of the medium. */
int host_hold_stands(struct host_system *system);

#endif
