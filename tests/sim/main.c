/* trireme-sim: worlds by their seeds. */
#include "common/assert.h"
#include "tests/sim/broker.h"
#include "tests/sim/planted.h"
#include "tests/sim/sim.h"

#include <getopt.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char usage[] =
    "usage: trireme-sim [--seed N] [--seeds COUNT] [--trace]\n"
    "       trireme-sim --list FILE\n"
    "       trireme-sim --seed N --twice\n"
    "       trireme-sim-planted --bugs\n"
    "       trireme-sim-planted --planted BUG ...\n"
    "\n"
    "  --seed N       the (first) seed: 1\n"
    "  --seeds COUNT  so many seeds from there on: 1\n"
    "  --list FILE    the seeds that a file names, one a line\n"
    "  --twice        live through each world twice: nothing may differ\n"
    "  --check STEPS  verify the engine's invariants so often: 1\n"
    "  --memory       the broker has no disk, and never dies\n"
    "  --hostile      there are strangers, who lie and pry, and peers that repeat themselves\n"
    "  --disk         the broker's store is the one that ships, on a disk that tears and fails;\n"
    "                 many peers are cut off at once\n"
    "  --rough        the same, more questions, longer backoffs; with --disk rows of results rot\n"
    "  --trace        tell the story\n"
    "  --each         say of every world what happened in it, and its hash\n"
    "  --planted BUG  with that one of the bugs that --bugs lists\n";

struct options {
    uint64_t seed;
    uint64_t seeds;
    const char *list;
    bool tells_each;
    struct sim_options world;
    bool lists_bugs;
};

struct totals {
    uint64_t worlds;
    double seconds;
    struct sim_counts sum;
    struct vault_counts vault;
};

/* At worst the abort is in the middle of printing, and this line is lost. */
static void on_abort(int number)
{
    sim_replay(); /* NOLINT(bugprone-signal-handler) */
    signal(number, SIG_DFL);
    raise(number);
}

static uint64_t parse_number(const char *text)
{
    char *end;
    uint64_t number = strtoull(text, &end, 10);

    if (*text == '\0' || *end != '\0') {
        fprintf(stderr, "trireme-sim: %s is not a number\n%s", text, usage);
        exit(2);
    }
    return number;
}

static void plant(uint64_t number)
{
    if (planted_choose(number))
        return;
    fprintf(stderr, "trireme-sim: no such bug is planted here (see --bugs)\n");
    exit(2);
}

static void parse(struct options *options, int argc, char **argv)
{
    static const struct option longs[] = {
        { "seed", required_argument, NULL, 's' },
        { "seeds", required_argument, NULL, 'n' },
        { "list", required_argument, NULL, 'l' },
        { "check", required_argument, NULL, 'c' },
        { "twice", no_argument, NULL, '2' },
        { "trace", no_argument, NULL, 't' },
        { "memory", no_argument, NULL, 'm' },
        { "hostile", no_argument, NULL, 'x' },
        { "disk", no_argument, NULL, 'd' },
        { "rough", no_argument, NULL, 'r' },
        { "planted", required_argument, NULL, 'p' },
        { "bugs", no_argument, NULL, 'b' },
        { "each", no_argument, NULL, 'e' },
        { "help", no_argument, NULL, 'h' },
        { NULL, 0, NULL, 0 },
    };
    int option;

    *options = (struct options){ .seed = 1, .seeds = 1 };
    options->world.program = strrchr(argv[0], '/') != NULL ? strrchr(argv[0], '/') + 1 : argv[0];
    while ((option = getopt_long(argc, argv, "h", longs, NULL)) != -1) {
        if (option == 's')
            options->seed = parse_number(optarg);
        else if (option == 'n')
            options->seeds = parse_number(optarg);
        else if (option == 'l')
            options->list = optarg;
        else if (option == 'c')
            options->world.check_every = parse_number(optarg);
        else if (option == 'p')
            options->world.planted = parse_number(optarg);
        else if (option == 'b')
            options->lists_bugs = true;
        else if (option == '2')
            options->world.twice = true;
        else if (option == 'e')
            options->tells_each = true;
        else if (option == 't')
            options->world.trace = true;
        else if (option == 'm')
            options->world.memory = true;
        else if (option == 'x')
            options->world.hostile = true;
        else if (option == 'd')
            options->world.disk = true;
        else if (option == 'r')
            options->world.rough = true;
        else {
            fputs(usage, option == 'h' ? stdout : stderr);
            exit(option == 'h' ? 0 : 2);
        }
    }
    if (options->world.memory && options->world.disk) {
        fputs("trireme-sim: --memory or --disk, not both\n", stderr);
        exit(2);
    }
}

static void add_all(void *sum, const void *counts, size_t size)
{
    uint64_t *to = sum;
    const uint64_t *from = counts;

    for (size_t i = 0; i < size / sizeof(uint64_t); i++)
        to[i] += from[i];
}

static void add(struct totals *totals, const struct sim *sim)
{
    totals->worlds++;
    totals->seconds += (double)sim->now / 1e6;
    add_all(&totals->sum, &sim->counts, sizeof(sim->counts));
    add_all(&totals->vault, &sim->vault_counts, sizeof(sim->vault_counts));
}

static void print_world(const struct sim *sim)
{
    printf("seed %" PRIu64 ": hash %016" PRIx64 ", %.1f s, %" PRIu64 " messages, %" PRIu64
           " faults, %" PRIu64 " crashes\n",
           sim->seed, sim->hash, (double)sim->now / 1e6, sim->counts.messages, sim->counts.faults,
           sim->counts.crashes);
}

static void run(const struct options *options, uint64_t seed, struct totals *totals)
{
    struct sim_options silent = options->world;
    struct sim sim;
    struct sim again;

    silent.trace = false;
    sim_run(seed, &options->world, &sim);
    add(totals, &sim);
    if (options->world.trace || options->tells_each)
        print_world(&sim);
    if (!options->world.twice)
        return;
    sim_run(seed, &silent, &again);
    if (sim.hash != again.hash)
        sim_fail(&sim, "the same seed gives %016" PRIx64 " and %016" PRIx64, sim.hash, again.hash);
}

static void run_list(struct options *options, struct totals *totals)
{
    FILE *file = fopen(options->list, "r");
    char line[256];

    if (file == NULL) {
        perror(options->list);
        exit(2);
    }
    while (fgets(line, sizeof(line), file) != NULL)
        if (line[0] >= '0' && line[0] <= '9') {
            options->world.memory = strstr(line, "memory") != NULL;
            options->world.hostile = strstr(line, "hostile") != NULL;
            options->world.disk = strstr(line, "disk") != NULL;
            options->world.rough = strstr(line, "rough") != NULL;
            line[strspn(line, "0123456789")] = '\0';
            run(options, parse_number(line), totals);
        }
    fclose(file);
}

static void print_means(const struct totals *totals)
{
    const struct sim_counts *sum = &totals->sum;
    double n = totals->worlds != 0 ? (double)totals->worlds : 1;

    printf("%" PRIu64 " seeds; on average %.1f s, %.0f messages (%.0f lost), %.0f engine steps, "
           "%.1f batches, %.0f tasks, %.0f results, %.1f faults, %.1f of them crashes\n",
           totals->worlds, totals->seconds / n, (double)sum->messages / n, (double)sum->lost / n,
           (double)sum->steps / n, (double)sum->batches / n, (double)sum->tasks / n,
           (double)sum->results / n, (double)sum->faults / n, (double)sum->crashes / n);
}

static void print_disk(const struct totals *totals)
{
    const struct vault_counts *sum = &totals->vault;
    double n = totals->worlds != 0 ? (double)totals->worlds : 1;

    printf("their disks: on average %.1f deaths halfway, %.1f power cuts, of what was not synced "
           "%.1f blocks kept and %.1f lost, %.2f cuts torn, %.2f failed writes, %.2f failed reads, "
           "%.2f damaged payloads\n",
           (double)sum->halfway / n, (double)sum->cuts / n, (double)sum->kept / n,
           (double)sum->lost / n, (double)sum->torn / n, (double)sum->errors / n,
           (double)sum->reads / n, (double)sum->damaged / n);
}

int main(int argc, char **argv)
{
    struct options options;
    struct totals totals = { 0 };

    parse(&options, argc, argv);
    if (options.lists_bugs) {
        planted_list();
        return 0;
    }
    plant(options.world.planted);
    broker_check_every(options.world.check_every);
    signal(SIGABRT, on_abort);
    signal(SIGSEGV, on_abort);
    if (options.list != NULL)
        run_list(&options, &totals);
    for (uint64_t i = 0; options.list == NULL && i < options.seeds; i++)
        run(&options, options.seed + i, &totals);
    print_means(&totals);
    if (totals.vault.cuts != 0)
        print_disk(&totals);
    return 0;
}
