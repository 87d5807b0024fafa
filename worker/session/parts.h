/* parts.h - what the files of the session do for each other, a section per file. Private to
 * worker/session.
 * Nothing is freed, fed or given up in the middle of a step: whoever changes a lease, a host or a
 * batch touches it, and when the step ends, session.c settles what was touched: leases, hosts,
 * batches, in that order, until nothing is touched any more.
 */
#ifndef SESSION_PARTS_H
#define SESSION_PARTS_H

#include "worker/session/effects.h"

/* ---- connection.c: HELLO, WELCOME, heartbeats, and what is held without an answer ------------ */

void connection_open(struct session *self);
void connection_lost(struct session *self, const char *why);
void connection_on_welcome(struct session *self, const struct tri_msg_welcome *welcome);
void connection_on_error(struct session *self, const struct tri_msg_error *error);
void connection_on_bye(struct session *self, const struct tri_msg_bye *bye);
void connection_on_heartbeat_ok(struct session *self, const struct tri_msg_heartbeat_ok *ok);
void connection_on_timer(struct session *self, const struct session_event *tick);
void connection_on_lease_timer(struct session *self);

/* Have a heartbeat sent with the next TICK, which is due at once. */
void connection_hurry(struct session *self);

/* What the broker last knew of us is a lease's time old: nothing may be held. */
bool connection_is_late(const struct session *self);
/* Wait for the deadline of what is held now. */
void connection_watch(struct session *self);

/* ---- batches.c ------------------------------------------------------------------------------ */

void batches_on_batch(struct session *self, const struct tri_msg_batch *message);
void batches_on_end(struct session *self, const struct tri_msg_batch_end *message);

/* Tell the broker how many oars this batch has here (0 while draining). */
void batches_tell_oars(struct session *self, struct batch *batch);

/* Give back everything of this batch and take nothing more of it. */
void batches_refuse(struct session *self,
                    struct batch *batch,
                    enum tri_status status,
                    const char *reason);

/* Forget the batch, its leases and its hosts. */
void batches_drop(struct session *self, struct batch *batch);

/* Feed its hosts when the step ends. */
void batches_touch(struct session *self, struct batch *batch);
void batches_settle(struct session *self, struct batch *batch);

/* Look at it again at `at`, if nothing else makes us look before. */
void batches_wake_at(struct session *self, struct batch *batch, tri_time at);

/* A host of it ended before it had reported anything: wait longer each time, in the end refuse. */
void batches_failed(struct session *self, struct batch *batch, const char *why);

/* No more of its hosts of one oar can be started: make do with those that serve, for good. False
 * when none does. */
bool batches_narrow(struct session *self, struct batch *batch, const char *why);

/* Mean wall time of one task in nanoseconds; 0: not measured. */
uint64_t batches_task_ns(const struct batch *batch);
void batches_measure(struct batch *batch, uint64_t count, uint64_t wall_ns);

/* ---- leases.c ------------------------------------------------------------------------------- */

void leases_on_lease(struct session *self, const struct session_event *event);
void leases_on_credit(struct session *self, const struct tri_msg_credit *message);
void leases_on_cancel(struct session *self, const struct tri_msg_cancel_lease *message);

/* Put tasks (of `unreported`, in no other place) into the queue, or among the suspects. */
void leases_queue(struct session *self, struct lease *lease, struct tri_range range);
void leases_suspect(struct session *self, struct lease *lease, struct tri_range range);

/* Take up to `limit` tasks off the front of the queue (the suspects); false when there are none. */
bool leases_take(struct lease *lease, uint64_t limit, struct tri_range *range);
void leases_take_within(struct lease *lease, struct tri_range range, struct tri_rangeset *out);
bool leases_take_suspects(struct lease *lease, uint64_t limit, struct tri_range *range);

/* Tell the broker that it gets these back unstarted, and forget them. */
void leases_release(struct session *self, struct lease *lease, const struct tri_rangeset *ranges);
void leases_release_waiting(struct session *self, struct lease *lease);

/* Free the lease when nothing of it is left to do or to say. */
void leases_touch(struct session *self, struct lease *lease);
void leases_settle(struct session *self, struct lease *lease);

/* Give back all that is not reported, started or not. */
void leases_give_up(struct session *self, struct lease *lease);

/* Free it as it is, saying nothing to hosts or broker. */
void leases_free(struct session *self, struct lease *lease);

/* Cancel whatever runs of it and forget it. */
void leases_drop(struct session *self, struct lease *lease);

/* ---- items.c: which frames hold the items of a range ---------------------------------------- */

/* The frames for `range`, which is shortened to what fits into one message to a host. False when
 * the lease's frames do not hold its items (the broker's fault). Frames are borrowed until the next
 * step. */
bool items_cut(struct session *self,
               struct lease *lease,
               struct tri_range *range,
               struct tri_frame *const **frames,
               size_t *frame_count);

/* ---- slices.c ------------------------------------------------------------------------------- */

/* Give `range` (in no other place) to `host`. `*rest` is what did not fit into one message. False
 * when its items cannot be cut: nothing has happened then. */
bool slices_give(struct session *self,
                 struct lease *lease,
                 struct host *host,
                 struct tri_range range,
                 struct tri_range *rest);

/* Remove `range` from what is outstanding. Returns how many tasks that were. */
uint64_t slices_remove(struct slice *slice, struct tri_range range);

/* Tell its host to forget `range` of it. */
void slices_cancel(struct session *self, struct slice *slice, struct tri_range range);

/* Forget it when nothing of it is outstanding. */
void slices_settle(struct session *self, struct slice *slice);

/* Forget it, whatever is outstanding: that is in no place then. */
void slices_free(struct session *self, struct slice *slice);

/* ---- hosts.c -------------------------------------------------------------------------------- */

struct host *hosts_start(struct session *self, struct batch *batch, enum host_kind kind);

/* Tasks of its that run again (in no place now): suspects stay suspects. */
void hosts_put_back(struct session *self, struct slice *slice, struct tri_range range);

/* No host of its batch any more that anything is given to. */
void hosts_stop_serving(struct session *self, struct host *host, enum host_state state);

/* All that it has runs again; it has nothing then. */
void hosts_give_back(struct session *self, struct host *host);

/* It has nothing: close its link; it is killed when it is not gone soon. */
void hosts_end(struct session *self, struct host *host);

/* Whatever it has runs again elsewhere, uncharged; TERM first for one-oar hosts. */
void hosts_kill(struct session *self, struct host *host);

/* Replace it: it gets nothing more, and has drain_grace_ms for what it has. */
void hosts_leave(struct session *self, struct host *host);
void hosts_on_oars(struct session *self, struct host *host, const struct tri_msg_oars *message);
void hosts_free(struct session *self, struct host *host);
void hosts_on_timer(struct session *self, struct host *host);

/* After something was reported or given back by it: hungry, or to be ended. */
void hosts_touch(struct session *self, struct host *host);
void hosts_settle(struct session *self, struct host *host);

/* ---- deaths.c ------------------------------------------------------------------------------- */

void deaths_on_gone(struct session *self, const struct session_event *event);
void deaths_on_stalled(struct session *self, const struct session_event *event);
/* What it says cannot be true: kill it. */
void deaths_on_broken(struct session *self, uint64_t host, const char *why);
void deaths_on_launcher_gone(struct session *self);

/* ---- feeding.c: queued tasks to hosts ------------------------------------------------------- */

void feeding_run(struct session *self, struct batch *batch);

/* A host of that kind left so many suspects. */
void feeding_divide(struct batch *batch, enum host_kind kind, uint64_t suspects);

/* A one-oar host with so few tasks left wants more. */
uint64_t feeding_low(const struct session *self, const struct batch *batch);

/* ---- reports.c: what hosts say about tasks, on to the broker -------------------------------- */

void reports_on_host_message(struct session *self, const struct session_event *event);
void reports_on_ok(struct session *self, const struct tri_msg_results_ok *ok);
void reports_resend(struct session *self);

/* One task of `slice` has ended; `text` says how. The slice may be gone afterwards. */
void reports_ended(struct session *self,
                   struct slice *slice,
                   uint64_t index,
                   enum tri_outcome outcome,
                   const char *text);

/* RELEASED, with whatever ranges there are. */
void reports_released(struct session *self, uint64_t lease, const struct tri_rangeset *ranges);
void reports_released_range(struct session *self, uint64_t lease, struct tri_range range);

/* Send what is held as far as there is credit. */
void reports_continue(struct session *self, struct lease *lease);
uint64_t reports_wanted(const struct lease *lease);

/* Give up what is held of the lease: its tasks go back to the broker, to run again. */
void reports_give_back(struct session *self, struct lease *lease);

/* The tasks that a report is about, added to `ranges`. */
void reports_tasks(const struct report *report, struct tri_rangeset *ranges);
void reports_free(struct session *self, struct report *report);

/* ---- revokes.c: what has not started comes back --------------------------------------------- */

void revokes_on_revoke(struct session *self, const struct tri_msg_revoke *message);
void revokes_on_released(struct session *self,
                         struct slice *slice,
                         const struct tri_msg_released *message);

/* Ask the host for what it has not started of `range`; of all that it has of the lease. */
void revokes_ask(struct session *self, struct slice *slice, struct tri_range range);
void revokes_ask_all(struct session *self, struct lease *lease);

/* The slice has answered, or is gone with its answer. */
void revokes_answered(struct session *self, struct slice *slice);

/* Answer what waits on this lease with what there is. */
void revokes_settle(struct session *self, struct lease *lease, bool all);

/* ---- draining.c ----------------------------------------------------------------------------- */

void draining_start(struct session *self);
void draining_stop(struct session *self);

/* Leave without hope: the program's status is 1. */
void draining_give_up(struct session *self);

/* Leave when nothing is left. */
void draining_check(struct session *self);

/* Results are held for want of credit, which may never come: whoever consumes them may wait for
 * tasks that only another worker will run. After credit_grace_ms they are given back. */
void draining_watch(struct session *self);
void draining_on_timer(struct session *self);

/* ---- timers.c ------------------------------------------------------------------------------ */

void timers_set(struct session *self, struct timer *timer, tri_time at);
void timers_clear(struct session *self, struct timer *timer);
void timers_on_tick(struct session *self, const struct session_event *tick);

#endif
