/* trace.h - the engine's traces as lines of the log.
 *
 * A trace is "noun.participle key=value ..."; those an operator reads (docs/RUNBOOK.md) are logged
 * at the level that the table in trace.c gives them, all others at debug.
 *
 * Threads: callable from anywhere.
 */
#ifndef BROKER_TRACE_H
#define BROKER_TRACE_H

void trace_log(const char *trace);

#endif
