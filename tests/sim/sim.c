/* Time, chance, and the telling of it. */
#include "tests/sim/sim.h"

#include "common/assert.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <xxhash.h>

/* ---- time ----------------------------------------------------------------------------------- */

void sim_at(struct sim *sim, struct sim_timer *timer, uint64_t time)
{
    tri_heap_update(&sim->queue, &timer->node, time < sim->now ? sim->now : time);
}

void sim_after(struct sim *sim, struct sim_timer *timer, uint64_t delay)
{
    sim_at(sim, timer, sim->now + delay);
}

void sim_cancel(struct sim *sim, struct sim_timer *timer)
{
    if (tri_heap_is_linked(&timer->node))
        tri_heap_remove(&sim->queue, &timer->node);
}

/* Microseconds of its clock in a second. */
static uint64_t rate_of(const struct sim_node *node)
{
    return (uint64_t)((int64_t)SIM_ALWAYS + node->drift_ppm);
}

tri_time sim_clock_ms(const struct sim *sim, const struct sim_node *node)
{
    if (node->clock_pauses && sim->now < node->paused_until)
        return node->pause_ms;
    return sim->now * rate_of(node) / (SIM_MS * SIM_ALWAYS) + node->clock_ms;
}

static uint64_t round_up(uint64_t dividend, uint64_t divisor)
{
    return (dividend + divisor - 1) / divisor;
}

void sim_at_clock(struct sim *sim,
                  const struct sim_node *node,
                  struct sim_timer *timer,
                  tri_time at)
{
    int64_t in = (int64_t)(at - node->clock_ms);

    if (at == TRI_NEVER)
        sim_cancel(sim, timer);
    else
        sim_at(sim, timer,
               in <= 0 ? 0 : round_up((uint64_t)in * SIM_MS * SIM_ALWAYS, rate_of(node)));
}

bool sim_defers(struct sim *sim, const struct sim_node *node, struct sim_timer *timer, bool tick)
{
    if (node->paused_until <= sim->now)
        return false;
    sim_at(sim, timer, node->paused_until + (tick ? 1 : 0));
    return true;
}

void sim_drift(struct sim *sim, struct sim_node *node, uint64_t ppm_max)
{
    if (sim->mortal)
        node->drift_ppm = (int64_t)sim_other_between(sim, 0, 2 * ppm_max) - (int64_t)ppm_max;
}

bool sim_pause(struct sim *sim, struct sim_node *node, uint64_t us, bool its_clock)
{
    if (node->paused_until > sim->now)
        return false;
    node->pause_ms = sim_clock_ms(sim, node);
    node->paused_until = (sim->now + us) | 1;
    node->clock_pauses = its_clock;
    sim_trouble(sim, node->paused_until);
    if (!its_clock)
        return true;
    node->stopped_until = node->paused_until;
    node->stopped_us = us;
    node->clock_ms -= us * rate_of(node) / (SIM_MS * SIM_ALWAYS);
    return true;
}

void sim_trouble(struct sim *sim, uint64_t until)
{
    if (sim->troubled_until < until)
        sim->troubled_until = until;
}

/* ---- chance --------------------------------------------------------------------------------- */

static uint64_t skewed(struct tri_prng *prng, uint64_t low, uint64_t high)
{
    uint64_t doublings = 0;

    tri_assert(low != 0 && low <= high);
    while (low << (doublings + 1) <= high && doublings < 62)
        doublings++;
    low <<= tri_prng_between(prng, 0, doublings);
    return tri_prng_between(prng, low, low * 2 < high ? low * 2 : high);
}

bool sim_chance(struct sim *sim, uint32_t ppm)
{
    return tri_prng_below(&sim->prng, SIM_ALWAYS) < ppm;
}

uint64_t sim_between(struct sim *sim, uint64_t low, uint64_t high)
{
    return tri_prng_between(&sim->prng, low, high);
}

uint64_t sim_skewed(struct sim *sim, uint64_t low, uint64_t high)
{
    return skewed(&sim->prng, low, high);
}

bool sim_other_chance(struct sim *sim, uint32_t ppm)
{
    return tri_prng_below(&sim->other, SIM_ALWAYS) < ppm;
}

uint64_t sim_other_between(struct sim *sim, uint64_t low, uint64_t high)
{
    return tri_prng_between(&sim->other, low, high);
}

uint64_t sim_other_skewed(struct sim *sim, uint64_t low, uint64_t high)
{
    return skewed(&sim->other, low, high);
}

/* ---- telling -------------------------------------------------------------------------------- */

static uint64_t replay_seed;
static struct sim_options replay_options;

void sim_remember(uint64_t seed, const struct sim_options *options)
{
    replay_seed = seed;
    replay_options = *options;
}

/* Everything that this world depends on, and what looks at it. */
void sim_replay(void)
{
    const struct sim_options *options = &replay_options;
    char text[256];
    char number[32];
    int size = snprintf(text, sizeof(text), "replay: %s --seed %llu%s%s%s%s%s", options->program,
                        (unsigned long long)replay_seed, options->memory ? " --memory" : "",
                        options->hostile ? " --hostile" : "", options->disk ? " --disk" : "",
                        options->rough ? " --rough" : "", options->twice ? " --twice" : "");

    fwrite(text, 1, (size_t)size, stderr);
    size =
        snprintf(number, sizeof(number), " --planted %llu", (unsigned long long)options->planted);
    if (options->planted != 0)
        fwrite(number, 1, (size_t)size, stderr);
    size =
        snprintf(number, sizeof(number), " --check %llu", (unsigned long long)options->check_every);
    if (options->check_every > 1)
        fwrite(number, 1, (size_t)size, stderr);
    fputs(" --trace\n", stderr);
    fflush(stderr);
}

void sim_tell(const struct sim *sim, const char *who, const char *format, ...)
{
    va_list args;

    if (!sim->trace)
        return;
    printf("%10.3f %-9s ", (double)sim->now / 1e6, who);
    va_start(args, format);
    vprintf(format, args);
    va_end(args);
    putchar('\n');
}

void sim_fail(const struct sim *sim, const char *format, ...)
{
    va_list args;

    fflush(stdout);
    fprintf(stderr, "seed %llu, at %.3f s: ", (unsigned long long)sim->seed,
            (double)sim->now / 1e6);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
    sim_replay();
    _Exit(1);
}

void sim_note(struct sim *sim, const void *data, size_t size)
{
    sim->hash = XXH3_64bits_withSeed(data, size, sim->hash + sim->now);
}
