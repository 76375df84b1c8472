/* All of Weir in one include. Reading order: types, error, log, append, cursor, retain, inspect,
 * finding, salvage; then the storage engine: engine, write, read, snapshot, maintain, change; what
 * is derived: changes, system, host, host_read, rows, rebuild, pipeline, consumer, state, extract,
 * index, view, text; and medium for those who bring their own. */
#ifndef WEIR_WEIR_H
#define WEIR_WEIR_H

#include <weir/append.h>
#include <weir/backup.h>
#include <weir/change.h>
#include <weir/changes.h>
#include <weir/consumer.h>
#include <weir/cursor.h>
#include <weir/engine.h>
#include <weir/error.h>
#include <weir/extract.h>
#include <weir/finding.h>
#include <weir/host.h>
#include <weir/host_read.h>
#include <weir/index.h>
#include <weir/inspect.h>
#include <weir/log.h>
#include <weir/maintain.h>
#include <weir/medium.h>
#include <weir/pipeline.h>
#include <weir/read.h>
#include <weir/rebuild.h>
#include <weir/retain.h>
#include <weir/rows.h>
#include <weir/salvage.h>
#include <weir/snapshot.h>
#include <weir/state.h>
#include <weir/state_lock.h>
#include <weir/system.h>
#include <weir/text.h>
#include <weir/types.h>
#include <weir/version.h>
#include <weir/view.h>
#include <weir/write.h>

#endif
