/* web.h - a web server of a few lines, on a port of its own on loopback:
 *     /hello       200 hello            /large    200, 1000 bytes
 *     /to/PATH     302 to /PATH         /silence  never answers
 *     else         404 nothing here
 */
#ifndef WEB_H
#define WEB_H

#include <pthread.h>

struct web {
    int fd;
    int port;
    pthread_t thread;
};

/* Start it, after the host was forked. */
void web_open(struct web *self);
void web_close(struct web *self);

/* "http://127.0.0.1:PORT/path", of static storage for the last 64 calls. */
const char *web_url(const struct web *self, const char *path);

#endif
