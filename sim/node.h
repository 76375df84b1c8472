/* A file of a simulated disk without its name: what is there, what is durable, and the writes in
 * between, each of which a power cut may keep, lose or tear.
 *
 * Internal to sim/. Called with the disk's lock held.
 */
#ifndef SIM_NODE_H
#define SIM_NODE_H

#include "sim/image.h"

#define SIM_SECTOR_BYTES 512u
#define SIM_LINE_BYTES 64u
#define SIM_WORD_BYTES 8u

/* Bytes that were handed to the medium and are not durable. */
struct sim_write {
    struct sim_write *next;
    uint64_t offset;
    size_t size_bytes;
    uint64_t cleaned_by; /* a bit for each thread that wrote the lines back, and has not fenced */
    uint32_t references; /* the node's list, and covers */
    bool pending;        /* in the node's list */
    bool complete;       /* a flush that starts now covers it */
    uint8_t bytes[];
};

struct sim_node {
    struct sim_disk *disk;
    struct sim_image current; /* what reads and windows see */
    struct sim_image durable; /* what power loss leaves at least */
    struct sim_write *first;  /* pending, oldest first: later ones lie over earlier ones */
    struct sim_write **end;
    uint8_t *seen;     /* a window is the file: what stores were noticed; capacity of current */
    size_t unit_bytes; /* of stores: a line, or a sector */
    struct weir_file *files; /* open handles, linked by next_of_node: they hold the locks */
    unsigned references;     /* entries, handles, views */
    unsigned pins;           /* views that must not move */
    bool stale;              /* a cache shows bytes that will never reach the medium */
};

struct sim_node *sim_node_new(struct sim_disk *disk);
void sim_node_reference(struct sim_node *node);
void sim_node_release(struct sim_node *node);

/* Grows the current image within the disk's room. -ENOSPC, -ENOMEM, -EBUSY (it is mapped). */
int sim_node_resize(struct sim_node *node, uint64_t size_bytes);

/* A write of the medium's own: the current image changes and a pending write remembers it, which
 * ret_write names (NULL: nobody asks). complete: a flush covers it from now on. */
int sim_node_write(struct sim_node *node, uint64_t offset, const void *data, size_t size_bytes,
                   bool complete, struct sim_write **ret_write);

/* What a read of the medium returns, past any cache; inside the file. */
void sim_node_read(const struct sim_node *node, uint64_t offset, void *buffer, size_t size_bytes);

/* A window is the file from now on: stores change it without a call. -ENOMEM. */
int sim_node_watch_stores(struct sim_node *node, size_t unit_bytes);

/* Turns stores into [offset, offset + size_bytes) since the last look into pending writes. */
int sim_node_notice(struct sim_node *node, uint64_t offset, uint64_t size_bytes);
int sim_node_notice_all(struct sim_node *node);

/* The writes that an operation makes durable when it completes. All zero is an empty one. */
struct sim_cover_item {
    struct sim_node *node;
    struct sim_write *write;
};
struct sim_cover {
    struct sim_cover_item *items;
    size_t count, capacity;
};

/* Adds pending writes to a cover: one; all that are complete; those in a range; those that thread
 * has written back. Split at the ends of the range. -ENOMEM. */
int sim_cover_write(struct sim_cover *cover, struct sim_node *node, struct sim_write *write);
int sim_cover_complete(struct sim_cover *cover, struct sim_node *node);
int sim_cover_range(struct sim_cover *cover, struct sim_node *node, uint64_t offset,
                    uint64_t size_bytes);
int sim_cover_cleaned(struct sim_cover *cover, struct sim_node *node, uint64_t thread_bit);

/* Lines of [offset, offset + size_bytes) are written back by this thread: its fence covers them. */
int sim_node_clean(struct sim_node *node, uint64_t offset, uint64_t size_bytes,
                   uint64_t thread_bit);

/* The operation is complete: its writes are durable. Empties the cover. -ENOMEM. */
int sim_cover_apply(struct sim_cover *cover);

/* It failed. Kept: the device still holds the writes, and a later flush covers them. Else they
 * never reach the medium, whatever a cache shows. Empties the cover. -ENOMEM. */
int sim_cover_fail(struct sim_cover *cover, bool kept);

void sim_cover_free(struct sim_cover *cover);

/* Everything that is complete becomes durable, and the size. */
int sim_node_sync(struct sim_node *node);

/* Brings the current image in line with the medium: what a cache showed is forgotten. */
int sim_node_drop_cache(struct sim_node *node);

/* The policy of a power cut: which 8-byte words of this unit of a pending write survive, bit i for
 * the i-th behind offset. */
struct sim_survivor {
    uint64_t (*choose)(void *context, uint64_t offset);
    void *context;
};

/* What power loss leaves of a node's bytes, in a node that is empty. Stores were noticed. -ENOMEM.
 */
int sim_node_survive(struct sim_node *node, struct sim_node *fresh, uint64_t size_bytes,
                     const struct sim_survivor *survivor);

/* The same bytes in the same states, in a node that is empty: what is under way arrives. Stores
 * were noticed. -ENOMEM. */
int sim_node_copy(const struct sim_node *node, struct sim_node *fresh);

#endif
