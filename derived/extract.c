/*
 * The extractor for rows that are plain text: the value is the field.
 */
#include <weir/extract.h>

int weir_value_extract(void *unused, struct weir_bytes key, struct weir_bytes value,
                       weir_emit_fn emit, void *emit_context)
{
    (void)unused;
    (void)key;
    return emit(emit_context, 0, value);
}
