/* Shared objects for test_hosts: one file, and what is wrong with it is chosen when it is compiled.
 */
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>

__attribute__((visibility("default"))) int lab_plugin_symbol;

#ifdef LAB_PLUGIN_UNDEFINED
void lab_nobody_defines_this(void);
#endif

#ifdef LAB_PLUGIN_THREAD
static void *wait_for_ever(void *nothing)
{
    for (;;)
        pause();
    return nothing;
}
#endif

__attribute__((constructor)) static void load(void)
{
#ifdef LAB_PLUGIN_THREAD
    pthread_t thread;

    pthread_create(&thread, NULL, wait_for_ever, NULL);
#endif
#ifdef LAB_PLUGIN_UNDEFINED
    lab_nobody_defines_this();
#endif
#ifdef LAB_PLUGIN_ABORT
    abort();
#endif
}
