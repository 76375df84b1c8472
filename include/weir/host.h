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
 *               own, in the order of LSNs, before its call returns: weir_host_push(host, true)
 *
 * Threads: any, for all calls but open and close.
 */
#ifndef WEIR_HOST_H
#define WEIR_HOST_H

#include <weir/system.h>

#ifdef __cplusplus
extern "C" {
#endif

struct weir_host;

struct weir_host_options {
    size_t size;           /* sizeof(struct weir_host_options) */
    uint64_t save_records; /* a system is saved when it has applied so many since the last time;
                              default 1 << 20; UINT64_MAX: on weir_host_save() and closing only */
};

#define WEIR_HOST_OPTIONS_INIT WEIR_SIZED_INIT(weir_host_options)

enum weir_start {
    WEIR_START_BEGINNING = 0, /* all that is retained; compacted: the state as of the horizon */
    WEIR_START_NOW = 1,
    WEIR_START_BEHIND = 2,   /* behind system.lsn */
    WEIR_START_SNAPSHOT = 3, /* the state as of now, then what comes behind it */
};

struct weir_system {
    size_t size;      /* sizeof(struct weir_system) */
    const char *name; /* up to WEIR_STATE_NAME_MAX, as of a hold; "engine" is taken; copied */
    const struct weir_system_ops *ops; /* both stay valid until it is detached */
    void *self;
    enum weir_start start;    /* when nothing was saved under this name */
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

int weir_host_open(struct weir_engine *engine, const struct weir_host_options *options,
                   struct weir_host **ret_host);
/* Stops deliveries, saves every system, detaches it. Frees the host even when saving failed (the
 * first error is returned: the position saved last counts). */
int weir_host_close(struct weir_host *host);

/* 0; WEIR_E_ATTACHED (this host, another one or another process has that name); -EINVAL (name,
 * ops); WEIR_E_POSITION_LOST (parked with that, attached all the same: weir_host_rebuild());
 * ... A state that is damaged, of another version, kind or log: the system is rebuilt by the
 * next delivery, weir_host_status says why. */
int weir_host_attach(struct weir_host *host, const struct weir_system *system,
                     struct weir_error *ret_error);
/* Saves and lets go; name, state and hold stay, for the next time. */
int weir_host_detach(struct weir_host *host, const char *name);

/* What a delivery did for one system. */
struct weir_delivered {
    const char *name; /* lent until it is detached */
    uint64_t events;  /* applied */
    weir_lsn position;
    int parked; /* 0, or why it is */
};

/* Applies everything that is durable now: how many systems there are; ret_delivered has room for
 * `room` of them, in the order of attaching. A parked system is no error. < 0: the log cannot be
 * read. */
int weir_host_flush(struct weir_host *host, struct weir_delivered *ret_delivered, size_t room);
int weir_host_start(struct weir_host *host); /* 0; -EALREADY; -EBUSY (push) */
int weir_host_stop(struct weir_host *host);
int weir_host_push(struct weir_host *host, bool push);
/* Saves all systems that have moved: the first error, all are tried. */
int weir_host_save(struct weir_host *host);

/* A parked system: once more from the event that failed, or behind it. */
int weir_host_retry(struct weir_host *host, const char *name);
int weir_host_skip(struct weir_host *host, const char *name);

/* Waits until a system has applied everything up to lsn: 0; WEIR_E_BEHIND (timeout; why.text says
 * how far); WEIR_E_PARKED. Without a background thread it flushes itself. */
int weir_host_wait(struct weir_host *host, const char *name, weir_lsn lsn, int64_t timeout_ns,
                   struct weir_error *ret_error);

/* Keeps a system's state as it is while one looks into it: as of the position it gives, at which no
 * atomic write is cut. Deliveries to it wait. Short, please. */
int weir_host_read_begin(struct weir_host *host, const char *name, weir_lsn *ret_position);
void weir_host_read_end(struct weir_host *host, const char *name);

struct weir_rebuild_report {
    size_t size; /* sizeof(struct weir_rebuild_report) */
    uint64_t events;
    weir_lsn position;
    double seconds;
};

#define WEIR_REBUILD_REPORT_INIT WEIR_SIZED_INIT(weir_rebuild_report)

/* Resets a system and replays; saves it. The others go on. WEIR_E_POSITION_LOST: it began behind an
 * LSN that compaction has passed, so nobody can give it the same events again. */
int weir_host_rebuild(struct weir_host *host, const char *name, weir_progress_fn progress,
                      void *progress_context, struct weir_rebuild_report *ret_report,
                      struct weir_error *ret_error);

struct weir_host_verify_report {
    size_t size; /* sizeof(struct weir_host_verify_report) */
    bool equal;
    uint8_t live[16], rebuilt[16]; /* fingerprints */
    weir_lsn position;
    uint64_t events, differing;
    double seconds;
};

#define WEIR_HOST_VERIFY_REPORT_INIT WEIR_SIZED_INIT(weir_host_verify_report)

enum weir_difference_kind {
    WEIR_DIFFERENCE_MISSING = 1, /* in the rebuilt state only */
    WEIR_DIFFERENCE_EXTRA = 2,   /* in the live state only */
    WEIR_DIFFERENCE_OTHER = 3,   /* in both, with other contents */
};

struct weir_difference {
    enum weir_difference_kind kind;
    struct weir_bytes text; /* as the system's entries name it */
    weir_lsn lsn;           /* the last that touched it; 0 = not known */
};

typedef int (*weir_difference_fn)(void *context, const struct weir_difference *difference);

/* Rebuilds `fresh` (another self, made like the live one, freed by the caller) up to where the live
 * one is, and compares. The live one changes in nothing. fn may be NULL; stops when it returns
 * other than 0. */
int weir_host_verify(struct weir_host *host, const char *name, void *fresh, weir_difference_fn fn,
                     void *context, struct weir_host_verify_report *ret_report,
                     struct weir_error *ret_error);

struct weir_system_status {
    char name[WEIR_STATE_NAME_MAX + 1];
    char kind[WEIR_STATE_KIND_MAX + 1];
    weir_lsn position, saved; /* applied; and on the medium */
    uint64_t lag_records, lag_bytes;
    uint64_t events; /* applied since it was attached */
    int parked;      /* 0, or why */
    weir_lsn parked_lsn;
    char reason[200]; /* why it is parked, or was rebuilt; "" */
};

/* The pipeline in one call: the log, and each system. ret_systems has room for `room`; returns how
 * many there are. */
struct weir_host_status {
    size_t size; /* sizeof(struct weir_host_status) */
    weir_lsn earliest, durable, horizon;
    uint64_t log_bytes;
    uint32_t systems, parked;
};

#define WEIR_HOST_STATUS_INIT WEIR_SIZED_INIT(weir_host_status)

int weir_host_stat(struct weir_host *host, struct weir_host_status *ret_status,
                   struct weir_system_status *ret_systems, size_t room);

#ifdef __cplusplus
}
#endif
#endif
