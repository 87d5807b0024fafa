/* trireme-broker: accepts batches, leases slices of them to workers, gathers results, serves
 * clients. docs/man/trireme-broker.1 says how to run it. */
#include "broker/broker.h"
#include "broker/options.h"

#include <stdio.h>

int main(int argc, char **argv)
{
    struct options options;
    struct tri_error error;
    int status;

    if (options_open(&options, argc, argv, &error) != TRI_OK) {
        fprintf(stderr, "trireme-broker: %s\n", error.text);
        return BROKER_EXIT_USAGE;
    }
    switch (options.action) {
    case TRI_ACTION_HELP:
        options_print_help(stdout);
        status = BROKER_EXIT_OK;
        break;
    case TRI_ACTION_VERSION:
        printf("trireme-broker %s\n", TRI_SOFTWARE_VERSION);
        status = BROKER_EXIT_OK;
        break;
    case TRI_ACTION_RUN:
        status = broker_run(&options);
        break;
    default:
        status = BROKER_EXIT_INTERNAL;
        break;
    }
    options_close(&options);
    return status;
}
