/* State files: what a derived system keeps beside the log, bound to a position in it.
 *
 *     LOG/derived/NAME/FILE     "state", "definition", ...
 *
 *     weir_state_create(log, "by_section", "state", &writer);
 *     weir_state_write(writer, bytes, size);                     // as often as wanted
 *     weir_state_commit(writer, "index", 1, position, &why);     // durable, atomic, or the old one
 *
 *     weir_state_open(log, "by_section", "state", &reader, &why);
 *     weir_state_about(reader, &about);                          // position, version, bytes
 *     weir_state_read(reader, bytes, size);
 *     weir_state_close(reader);
 *
 * A file is checksummed, bound to the log (uuid) and to the record at its position (epoch, chain):
 * one from another log, or from a history that a restore has taken back, is refused with the reason
 * (WEIR_E_STATE). It is derived data: whoever meets a refused one rebuilds.
 *
 * Writable beside a live writer, from a read-only log too.
 * Threads: a writer or reader belongs to one thread at a time.
 */
#ifndef WEIR_STATE_H
#define WEIR_STATE_H

#include <weir/error.h>
#include <weir/log.h>

#ifdef __cplusplus
extern "C" {
#endif

struct weir_state_writer;
struct weir_state_reader;
struct weir_state_lock;

#define WEIR_STATE_NAME_MAX 63 /* letters, digits, '_', '-', '.', not starting with '.' */
#define WEIR_STATE_KIND_MAX 31

struct weir_state_about {
    size_t size;       /* sizeof(struct weir_state_about) */
    weir_lsn position; /* 0 = before the first record */
    uint64_t bytes;    /* of what was written */
    uint32_t version;
    char kind[WEIR_STATE_KIND_MAX + 1];
};

#define WEIR_STATE_ABOUT_INIT WEIR_SIZED_INIT(weir_state_about)

int weir_state_create(struct weir_log *log, const char *name, const char *file,
                      struct weir_state_writer **ret_writer);
/* An error of writing is kept and told by commit, too. */
int weir_state_write(struct weir_state_writer *writer, const void *data, size_t size);
/* Frees the writer, whatever it returns. */
int weir_state_commit(struct weir_state_writer *writer, const char *kind, uint32_t version,
                      weir_lsn position, struct weir_error *ret_error);
void weir_state_abandon(struct weir_state_writer *writer);

/* 0; -ENOENT (there is none); WEIR_E_STATE (damaged, or of another log or history: why.text). All
 * checksums are verified before it returns: what read() gives was written. */
int weir_state_open(struct weir_log *log, const char *name, const char *file,
                    struct weir_state_reader **ret_reader, struct weir_error *ret_error);
int weir_state_about(const struct weir_state_reader *reader, struct weir_state_about *ret_about);
/* Exactly size bytes, or WEIR_E_STATE: fewer are left. */
int weir_state_read(struct weir_state_reader *reader, void *ret_data, size_t size);
/* Bytes that are left: to know before allocating that a length can be true. */
uint64_t weir_state_left(const struct weir_state_reader *reader);
void weir_state_close(struct weir_state_reader *reader);

/* Removes a file, or with NULL all of them and the directory. 0 also when there is none. */
int weir_state_remove(struct weir_log *log, const char *name, const char *file);

/* Calls fn for each name that has a directory, in order of name. */
int weir_state_list(struct weir_log *log, int (*fn)(void *context, const char *name),
                    void *context);

/* One process (and one handle in it) feeds a name at a time: 0; WEIR_E_ATTACHED. */
int weir_state_lock(struct weir_log *log, const char *name, struct weir_state_lock **ret_lock);
void weir_state_unlock(struct weir_state_lock *lock);
/* 1: somebody has the lock; 0. */
int weir_state_is_locked(struct weir_log *log, const char *name);

#ifdef __cplusplus
}
#endif
#endif
