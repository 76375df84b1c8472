/* The pipeline in one call: the log, and how far each derived system of a host is behind it.
 *
 *     struct weir_system_status systems[16];
 *     struct weir_host_status status = WEIR_HOST_STATUS_INIT;
 *     int count = weir_host_stat(host, &status, systems, 16);
 *
 * Systems that no process drives now are told by <weir/consumer.h>.
 */
#ifndef WEIR_PIPELINE_H
#define WEIR_PIPELINE_H

#include <weir/state.h>

#ifdef __cplusplus
extern "C" {
#endif

struct weir_host;

struct weir_system_status {
    char name[WEIR_STATE_NAME_MAX + 1];
    char kind[WEIR_STATE_KIND_MAX + 1];
    weir_lsn position, saved; /* applied; and on the medium */
    uint64_t lag_records, lag_bytes;
    uint64_t events; /* applied since it was attached */
    int parked;      /* 0, or why */
    weir_lsn parked_lsn;
    char reason[200]; /* why it is parked, was rebuilt, is not saved, does not get on; "" */
};

struct weir_host_status {
    size_t size; /* sizeof(struct weir_host_status) */
    weir_lsn earliest, durable, horizon;
    uint64_t log_bytes;
    uint32_t systems, parked;
};

#define WEIR_HOST_STATUS_INIT WEIR_SIZED_INIT(weir_host_status)

/* Tells how the log and all systems are.
 *
 * @param host         an open host
 * @param ret_status   its size member is set by the caller
 * @param ret_systems  room for so many, or NULL; in the order of attaching
 * @param room         how many
 * Returns: how many systems there are; -EINVAL; errors of weir_log_stat().
 * Durability: none.
 * Threads: any.
 * Blocks: as weir_log_stat().
 * Allocates: nothing.
 */
WEIR_EXPORT int weir_host_stat(struct weir_host *host, struct weir_host_status *ret_status,
                               struct weir_system_status *ret_systems, size_t room);

#ifdef __cplusplus
}
#endif
#endif
