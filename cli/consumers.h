/* A consumer in one word and as one row, for consumers.c, stat.c and compact.c. */
#ifndef CLI_CONSUMERS_H
#define CLI_CONSUMERS_H

#include "cli/json.h"

#include <weir/consumer.h>

/* "attached", "detached", "parked" or "cut loose". */
const char *consumer_state(const struct weir_consumer *consumer);

/* The members of a row, without its braces. */
void consumer_to_json(struct json *json, const struct weir_consumer *consumer);

/* Consumers that were let go of. */
struct cut_list {
    struct weir_consumer *consumers;
    size_t count, capacity;
};

/* Lets go of those that are further behind than they may be. 0 or an error of weir_consumer_cut(),
 * -ENOMEM; what was cut is in the list either way. */
int cut_list_make(struct weir_log *log, struct cut_list *ret_list);
void cut_list_free(struct cut_list *list);

#endif
