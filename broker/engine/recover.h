/* recover.h - what the rest of the engine has to know about recovery (engine.h has its contract).
 */
#ifndef ENGINE_RECOVER_H
#define ENGINE_RECOVER_H

struct engine;
struct batch;

/* Free what lives only while rows are read. NULL-safe. */
void recovery_free(struct engine *engine);
void recovering_free(struct batch *batch);

#endif
