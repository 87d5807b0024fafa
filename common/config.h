/* config.h - configuration files in ZPL (ZeroMQ property language, RFC 4), read by czmq's zconfig:
 *
 *     broker
 *         listen = "ipc:///run/trireme/broker"
 *         lease_target = "100ms"
 *     allow_http = "example.org:443"
 *     allow_http = "example.net:80"
 *
 * A path names a key: "broker/listen". A key may stand several times: a list. Target tri_config
 * (links czmq); the client library does not use it.
 *
 * Threads: one owner at a time.
 * Memory:  returned strings live as long as the configuration.
 * Errors:  TRI_NOTFOUND: no such file; TRI_INVALID with file and line: unknown keys, values that
 *          are not of the wanted form; TRI_SYSTEM: it cannot be read.
 * Limits:  files up to 1 MiB.
 */
#ifndef TRI_CONFIG_H
#define TRI_CONFIG_H

#include "common/parse.h"
#include "common/types.h"

struct tri_config;

/* Read `path`. `known` lists every key that may stand in it; any other is an error that names file
 * and line. */
enum tri_status tri_config_open(const char *path,
                                const char *const *known,
                                size_t known_count,
                                struct tri_config **self,
                                struct tri_error *error);

/* Free it and null the pointer; accepts NULL. */
void tri_config_close(struct tri_config **self);

/* Every lookup leaves `*out` alone when the key is absent (put the default there first) and
 * accepts a NULL configuration as an empty one. */
enum tri_status tri_config_string(const struct tri_config *self,
                                  const char *key,
                                  const char **out,
                                  struct tri_error *error);
enum tri_status tri_config_duration_ms(const struct tri_config *self,
                                       const char *key,
                                       uint64_t *out,
                                       struct tri_error *error);

/* The number of values of `key` (0 when absent), and the i-th. */
size_t tri_config_list_count(const struct tri_config *self, const char *key);
const char *tri_config_list_at(const struct tri_config *self, const char *key, size_t i);

/* Say what is wrong with the i-th value of `key`: TRI_INVALID, file, line and `why`. */
enum tri_status tri_config_refuse(const struct tri_config *self,
                                  const char *key,
                                  size_t i,
                                  const struct tri_error *why,
                                  struct tri_error *error);

#endif
