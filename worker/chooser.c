#include "worker/chooser.h"

#include <stdarg.h>
#include <stdio.h>

/* What one oar may cost: a process with its heap, a thread with its touched stack, a coroutine with
 * its stack's one page and its buffers (RESEARCH: 4.2 KiB touched). */
#define PROCESS_BYTES (UINT64_C(8) << 20)
#define THREAD_BYTES (UINT64_C(512) << 10)
#define COROUTINE_BYTES (UINT64_C(16) << 10)
#define FILES_PER_PROCESS 4u /* of the session and the launcher: link, table, pidfd, pipe */
#define FILES_PER_COMMAND 5u /* of the launcher: pipes, and both ends of one that is starting */
#define FILES_PER_HOST 4u    /* the same for a host of many oars */
#define PROCESS_THREADS 2u   /* a host has a watch beside its oar, or its oars */
#define BLOCKING_THREADS 16u

/* Commands beyond one a core. Between the end of a command and the start of the next a core would
 * be idle for as long as the two take to be told; ninja(1) runs two more than cores, too. */
#define COMMANDS_AHEAD 2u

static void say(struct choice *choice, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* Append to the reason. */
static void say(struct choice *choice, const char *format, ...)
{
    size_t used = strlen(choice->reason);
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(choice->reason + used, sizeof(choice->reason) - used, format, arguments);
    va_end(arguments);
}

static uint64_t cores_of(const struct chooser_machine *machine)
{
    return machine->cores != 0 ? machine->cores : 1;
}

/* ---- the model ------------------------------------------------------------------------------ */

static enum tri_model rule_of_thumb(const struct tri_rec_spec *spec,
                                    uint64_t flags,
                                    struct choice *choice)
{
    if (spec->argv.count != 0) {
        say(choice, "commands run in processes anyway: process");
        return TRI_MODEL_PROCESS;
    }
    if (flags & HANDLER_PROCESS_ONLY) {
        say(choice, "the handler is not thread-safe: process");
        return TRI_MODEL_PROCESS;
    }
    if (flags & HANDLER_BLOCKS) {
        say(choice, "the handler blocks: threads, more than cores");
        return TRI_MODEL_THREAD;
    }
    if (flags & HANDLER_WAITS) {
        say(choice, "the handler waits: async, many at once");
        return TRI_MODEL_ASYNC;
    }
    say(choice, "not measured, so taken to compute: thread");
    return TRI_MODEL_THREAD;
}

static void warn(const struct tri_rec_spec *spec, uint64_t flags, struct choice *choice)
{
    if (choice->model == TRI_MODEL_ASYNC && (flags & HANDLER_BLOCKS))
        say(choice, "; warning: the handler blocks, and holds the whole loop while it does");
    if (choice->model != TRI_MODEL_PROCESS && choice->model != TRI_MODEL_SERIAL
        && (flags & HANDLER_PROCESS_ONLY) && spec->argv.count == 0)
        say(choice, "; warning: the handler says that it is not thread-safe");
}

static enum tri_status choose_model(const struct tri_rec_spec *spec,
                                    uint64_t flags,
                                    const struct chooser_machine *machine,
                                    struct choice *choice)
{
    enum tri_model asked = (enum tri_model)spec->model;

    if (asked == TRI_MODEL_AUTO && machine->model != TRI_MODEL_AUTO) {
        choice->model = machine->model;
        say(choice, "this worker runs %s only", tri_model_text(machine->model));
    } else if (asked == TRI_MODEL_AUTO) {
        choice->model = rule_of_thumb(spec, flags, choice);
    } else if (machine->model != TRI_MODEL_AUTO && machine->model != asked) {
        say(choice, "%s was asked for, this worker runs %s only", tri_model_text(asked),
            tri_model_text(machine->model));
        return TRI_UNSUPPORTED;
    } else {
        choice->model = asked;
        say(choice, "%s was asked for", tri_model_text(asked));
    }
    warn(spec, flags, choice);
    return TRI_OK;
}

/* ---- the width ------------------------------------------------------------------------------ */

static uint64_t prior_width(const struct tri_rec_spec *spec,
                            uint64_t flags,
                            const struct chooser_machine *machine,
                            struct choice *choice)
{
    uint64_t cores = cores_of(machine);
    uint64_t blocking = 4 * cores > BLOCKING_THREADS ? 4 * cores : BLOCKING_THREADS;

    if (spec->argv.count != 0) {
        say(choice, "; %lu oars on %lu core%s, so that one is ready whenever a command ends",
            (unsigned long)(cores + COMMANDS_AHEAD), (unsigned long)cores, tri_plural(cores));
        return cores + COMMANDS_AHEAD;
    }
    if (choice->model == TRI_MODEL_ASYNC) {
        say(choice, "; %u coroutines", CHOOSER_ASYNC_WIDTH);
        return CHOOSER_ASYNC_WIDTH;
    }
    if (flags & (HANDLER_BLOCKS | HANDLER_WAITS)) {
        say(choice, "; it waits rather than computes: %lu oars on %lu core%s",
            (unsigned long)blocking, (unsigned long)cores, tri_plural(cores));
        return blocking;
    }
    say(choice, cores == 1 ? "; one oar for %lu core" : "; one oar for each of %lu cores",
        (unsigned long)cores);
    return cores;
}

static void clamp(struct choice *choice, uint64_t limit, const char *why)
{
    if (limit == 0)
        limit = 1;
    if (choice->width <= limit)
        return;
    choice->width = limit;
    say(choice, "; %lu by %s", (unsigned long)limit, why);
}

static uint64_t oar_bytes(enum tri_model model)
{
    return model == TRI_MODEL_PROCESS  ? PROCESS_BYTES
           : model == TRI_MODEL_THREAD ? THREAD_BYTES
                                       : COROUTINE_BYTES;
}

/* Processes and threads that one oar is, with what it runs. */
static uint64_t oar_processes(const struct tri_rec_spec *spec, enum tri_model model)
{
    bool runs_commands = spec->argv.count != 0;

    if (model == TRI_MODEL_PROCESS)
        return runs_commands ? 1 : PROCESS_THREADS;
    return (model == TRI_MODEL_THREAD) + runs_commands;
}

/* Descriptors that one oar takes, in whichever process it takes most. */
static uint64_t oar_files(const struct tri_rec_spec *spec, enum tri_model model)
{
    if (spec->argv.count != 0)
        return FILES_PER_COMMAND;
    return model == TRI_MODEL_PROCESS ? FILES_PER_PROCESS : model == TRI_MODEL_THREAD ? 1 : 0;
}

/* Are they descriptors of the session and the launcher? The others are of the batch's own host. */
static bool shares_files(const struct tri_rec_spec *spec, enum tri_model model)
{
    return spec->argv.count != 0 || model == TRI_MODEL_PROCESS;
}

/* Clamp by what one oar takes of what there is and others have not taken. */
static void clamp_share(struct choice *choice,
                        uint64_t there,
                        uint64_t taken,
                        const struct chooser_others *others,
                        uint64_t per_oar,
                        const char *what)
{
    uint64_t left = there > taken ? there - taken : 0;
    char why[80];

    if (there == 0 || per_oar == 0)
        return;
    snprintf(why, sizeof(why), "%s%s", what, others->may_come ? ", which batches share" : "");
    clamp(choice, (others->may_come ? left / 2 : left) / per_oar, why);
}

static void clamp_all(const struct tri_rec_spec *spec,
                      const struct chooser_machine *machine,
                      const struct chooser_others *others,
                      struct choice *choice)
{
    static const struct chooser_others nobody;
    const struct chooser_others *of_files = shares_files(spec, choice->model) ? others : &nobody;

    /* The number of tasks is known for ranges only; items may still be coming. */
    if (spec->source == TRI_SOURCE_RANGE && spec->width == 0)
        clamp(choice, spec->count, "the number of tasks");
    if (machine->width_max != 0)
        clamp(choice, machine->width_max, "this worker's --width");
    clamp_share(choice, machine->memory_bytes, others->memory_bytes, others,
                oar_bytes(choice->model), "the memory there is");
    clamp_share(choice, machine->processes_max, others->processes, others,
                oar_processes(spec, choice->model), "the limit of processes and threads");
    clamp_share(choice, machine->files_max, of_files->files, of_files,
                oar_files(spec, choice->model), "the limit of open files");
    clamp(choice, CHOOSER_WIDTH_MAX, "the protocol");
}

void chooser_choose(const struct tri_rec_spec *spec,
                    uint64_t handler_flags,
                    const struct chooser_profile *profile,
                    const struct chooser_machine *machine,
                    const struct chooser_others *others,
                    struct choice *choice)
{
    (void)profile;
    *choice = (struct choice){ .status = TRI_OK };
    choice->status = choose_model(spec, handler_flags, machine, choice);
    if (choice->status != TRI_OK)
        return;
    if (choice->model == TRI_MODEL_SERIAL) {
        choice->width = 1;
        say(choice, "; one oar");
        return;
    }
    choice->width = spec->width;
    if (spec->width != 0)
        say(choice, "; width %lu was asked for", (unsigned long)spec->width);
    else
        choice->width = prior_width(spec, handler_flags, machine, choice);
    clamp_all(spec, machine, others, choice);
}

void chooser_share(struct chooser_others *others,
                   const struct tri_rec_spec *spec,
                   const struct choice *choice)
{
    bool host_per_oar = choice->model == TRI_MODEL_PROCESS && spec->argv.count == 0;

    if (choice->status != TRI_OK)
        return;
    others->memory_bytes += choice->width * oar_bytes(choice->model);
    others->processes += choice->width * oar_processes(spec, choice->model);
    if (shares_files(spec, choice->model))
        others->files += choice->width * oar_files(spec, choice->model);
    if (!host_per_oar) {
        others->processes += PROCESS_THREADS;
        others->files += FILES_PER_HOST;
    }
}
