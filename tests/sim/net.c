#include "tests/sim/net.h"

#include "common/assert.h"
#include "common/map.h"
#include "tests/sim/broker.h"
#include "tests/sim/plan.h"

#include <stdlib.h>

#define MESSAGES_MAX 1000000 /* a hundred times what worlds are made of */

/* A message on its way. */
struct letter {
    struct sim_timer timer;
    struct tri_dlist_node node; /* of its lane */
    struct link *link;
    bool up;
    size_t count;
    struct tri_frame *frames[];
};

/* One direction of a connection. */
struct lane {
    struct tri_dlist_head letters;
    uint64_t free_at; /* nothing arrives before what was sent before */
};

struct link {
    struct peer_id id;
    struct net_socket *socket; /* NULL: closed */
    struct lane up;
    struct lane down;
    bool cut;                /* whatever is sent vanishes */
    bool known;              /* the broker takes it for connected */
    struct sim_timer forget; /* the broker notices */
    const struct sim_node *node;
};

struct net_socket {
    const struct sim_node *node;
    net_receive_fn *receive;
    void *context;
    struct link *link; /* NULL: connecting */
    uint64_t down_until;
    struct sim_timer connect;
    struct tri_dlist_head queue; /* letters sent while not connected */
};

struct net {
    struct tri_map links; /* by the number in the routing id */
    uint64_t last_id;
    bool is_deaf; /* nobody listens: the broker is down */
};

static uint64_t number_of(const struct peer_id *peer)
{
    uint32_t number = 0;

    if (peer->size == 5)
        memcpy(&number, peer->bytes + 1, sizeof(number));
    return number;
}

static uint64_t delay(struct sim *sim)
{
    return sim_between(sim, sim->plan->delay_us_min, sim->plan->delay_us_max);
}

/* ---- letters -------------------------------------------------------------------------------- */

static struct letter *letter_new(struct tri_frame *const *frames, size_t count)
{
    struct letter *letter = tri_alloc(1, sizeof(*letter) + count * sizeof(frames[0]));

    letter->count = count;
    for (size_t i = 0; i < count; i++)
        letter->frames[i] = tri_frame_ref(frames[i]);
    return letter;
}

static void letter_free(struct letter *letter)
{
    for (size_t i = 0; i < letter->count; i++)
        tri_frame_unref(letter->frames[i]);
    free(letter);
}

static void lose_letters(struct sim *sim, struct tri_dlist_head *letters)
{
    struct tri_dlist_node *node;

    while ((node = tri_dlist_pop_front(letters)) != NULL) {
        struct letter *letter = tri_container_of(node, struct letter, node);

        sim_cancel(sim, &letter->timer);
        sim->counts.lost++;
        letter_free(letter);
    }
}

static void note_letter(struct sim *sim, const struct letter *letter)
{
    uint64_t who[2] = { number_of(&letter->link->id), letter->up };

    if (++sim->counts.messages > MESSAGES_MAX)
        sim_fail(sim, "they talk and talk, and nothing comes of it");
    sim_note(sim, who, sizeof(who));
    for (size_t i = 0; i < letter->count; i++)
        sim_note(sim, letter->frames[i]->bytes.data, letter->frames[i]->bytes.size);
}

static void link_free_if_done(struct sim *sim, struct link *link)
{
    if (link->socket != NULL || link->known || link->up.letters.count != 0)
        return;
    sim_cancel(sim, &link->forget);
    lose_letters(sim, &link->down.letters);
    tri_map_remove(&sim->net->links, number_of(&link->id));
    free(link);
}

static void arrive(struct sim *sim, void *context)
{
    struct letter *letter = context;
    struct link *link = letter->link;
    const struct sim_node *to = letter->up ? broker_node(sim) : link->node;

    if (sim_defers(sim, to, &letter->timer, false))
        return;
    tri_dlist_remove(letter->up ? &link->up.letters : &link->down.letters, &letter->node);
    note_letter(sim, letter);
    if (letter->up)
        broker_receive(sim, &link->id, letter->frames, letter->count);
    else
        link->socket->receive(sim, link->socket->context, letter->frames, letter->count);
    letter_free(letter);
}

static void post(struct sim *sim, struct link *link, struct letter *letter, bool up)
{
    struct lane *lane = up ? &link->up : &link->down;
    uint64_t at = sim->now + delay(sim);

    if (link->cut) {
        sim->counts.lost++;
        letter_free(letter);
        return;
    }
    lane->free_at = at > lane->free_at ? at : lane->free_at;
    letter->link = link;
    letter->up = up;
    letter->timer.fire = arrive;
    letter->timer.context = letter;
    tri_dlist_push_back(&lane->letters, &letter->node);
    /* Even: what waits for a paused program is heard first, in the order in which it came. */
    lane->free_at += lane->free_at & 1;
    sim_at(sim, &letter->timer, lane->free_at);
}

/* ---- connecting ----------------------------------------------------------------------------- */

/* What came before the end of a connection is read before the end is. */
static void forget(struct sim *sim, void *context)
{
    struct link *link = context;

    if (link->up.letters.count != 0) {
        sim_after(sim, &link->forget, SIM_MS);
        return;
    }
    link->known = false;
    link_free_if_done(sim, link);
}

static struct link *link_new(struct sim *sim, struct net_socket *socket)
{
    struct link *link = tri_alloc(1, sizeof(*link));
    uint32_t number = (uint32_t)++sim->net->last_id;

    link->id.size = 5;
    memcpy(link->id.bytes + 1, &number, sizeof(number));
    link->socket = socket;
    link->node = socket->node;
    link->known = true;
    link->forget = (struct sim_timer){ .fire = forget, .context = link };
    tri_dlist_init(&link->up.letters);
    tri_dlist_init(&link->down.letters);
    tri_map_put(&sim->net->links, number, link);
    return link;
}

/* The socket knows that this connection has ended. */
static void leave_link(struct sim *sim, struct net_socket *socket)
{
    struct link *link = socket->link;

    socket->link = NULL;
    if (link == NULL)
        return;
    link->socket = NULL;
    lose_letters(sim, &link->down.letters);
    link_free_if_done(sim, link);
}

static void connect_socket(struct sim *sim, void *context)
{
    struct net_socket *socket = context;
    struct tri_dlist_node *node;

    leave_link(sim, socket);
    if (socket->node->cut_until > socket->down_until)
        socket->down_until = socket->node->cut_until;
    if (socket->down_until > sim->now) {
        sim_at(sim, &socket->connect, socket->down_until + delay(sim));
        return;
    }
    if (sim->net->is_deaf) {
        sim_after(sim, &socket->connect, sim_other_skewed(sim, 10 * SIM_MS, SIM_S));
        return;
    }
    socket->link = link_new(sim, socket);
    while ((node = tri_dlist_pop_front(&socket->queue)) != NULL)
        post(sim, socket->link, tri_container_of(node, struct letter, node), true);
}

struct net_socket *net_open(struct sim *sim,
                            const struct sim_node *node,
                            net_receive_fn *receive,
                            void *context)
{
    struct net_socket *socket = tri_alloc(1, sizeof(*socket));

    socket->node = node;
    socket->receive = receive;
    socket->context = context;
    socket->connect = (struct sim_timer){ .fire = connect_socket, .context = socket };
    tri_dlist_init(&socket->queue);
    sim_after(sim, &socket->connect, delay(sim));
    return socket;
}

void net_close(struct sim *sim, struct net_socket **socketp, bool linger)
{
    struct net_socket *socket = *socketp;
    struct link *link = socket != NULL ? socket->link : NULL;

    if (socket == NULL)
        return;
    if (link != NULL) {
        if (!linger && sim_chance(sim, SIM_ALWAYS / 2))
            lose_letters(sim, &link->up.letters);
        link->cut = true;
        if (link->known && !tri_heap_is_linked(&link->forget.node))
            sim_after(sim, &link->forget, sim_skewed(sim, SIM_MS, SIM_S));
        leave_link(sim, socket);
    }
    lose_letters(sim, &socket->queue);
    sim_cancel(sim, &socket->connect);
    free(socket);
    *socketp = NULL;
}

/* ---- sending -------------------------------------------------------------------------------- */

void net_send(struct sim *sim,
              struct net_socket *socket,
              struct tri_frame *const *frames,
              size_t count)
{
    struct letter *letter = letter_new(frames, count);

    if (socket->link != NULL)
        post(sim, socket->link, letter, true);
    else
        tri_dlist_push_back(&socket->queue, &letter->node);
}

uint64_t net_connection(const struct net_socket *socket)
{
    return socket != NULL && socket->link != NULL ? number_of(&socket->link->id) : 0;
}

bool net_reply(struct sim *sim,
               const struct peer_id *peer,
               struct tri_frame *const *frames,
               size_t count)
{
    struct link *link = tri_map_find(&sim->net->links, number_of(peer));

    if (link == NULL || !link->known)
        return false;
    post(sim, link, letter_new(frames, count), false);
    return true;
}

const char *net_name(const struct sim *sim, const struct peer_id *peer)
{
    const struct link *link = tri_map_find(&sim->net->links, number_of(peer));

    return link != NULL ? link->node->name : "nobody";
}

/* ---- faults --------------------------------------------------------------------------------- */

void net_cut(struct sim *sim, struct net_socket *socket, uint64_t down_us)
{
    struct link *link = socket->link;

    if (socket->down_until < sim->now + down_us)
        socket->down_until = sim->now + down_us;
    sim_trouble(sim, socket->down_until);
    if (link == NULL || link->cut)
        return;
    link->cut = true;
    lose_letters(sim, &link->up.letters);
    lose_letters(sim, &link->down.letters);
    sim_after(sim, &link->forget, sim_skewed(sim, 100, 3 * SIM_S));
    sim_after(sim, &socket->connect, sim_skewed(sim, 100, SIM_S));
}

static void stall(struct sim *sim, struct lane *lane, uint64_t us)
{
    uint64_t until = (sim->now + us) & ~UINT64_C(1);

    if (lane->free_at < until)
        lane->free_at = until;
    tri_dlist_foreach(&lane->letters, node)
    {
        struct letter *letter = tri_container_of(node, struct letter, node);

        if (letter->timer.node.key < until)
            sim_at(sim, &letter->timer, until);
    }
}

void net_stall(struct sim *sim, struct net_socket *socket, uint64_t us, bool up, bool down)
{
    if (socket->link == NULL)
        return;
    sim_trouble(sim, sim->now + us);
    if (up)
        stall(sim, &socket->link->up, us);
    if (down)
        stall(sim, &socket->link->down, us);
}

/* ---- the broker dies ------------------------------------------------------------------------ */

static int by_number(const void *left, const void *right)
{
    uint64_t a = number_of(&(*(struct link *const *)left)->id);
    uint64_t b = number_of(&(*(struct link *const *)right)->id);

    return (a > b) - (a < b);
}

/* What it has sent may still arrive, if only the program died. */
static void lose_link(struct sim *sim, struct link *link, bool power)
{
    lose_letters(sim, &link->up.letters);
    if (power || sim_other_chance(sim, SIM_ALWAYS / 2))
        lose_letters(sim, &link->down.letters);
    if (!link->cut && link->socket != NULL)
        sim_after(sim, &link->socket->connect, sim_other_skewed(sim, SIM_MS, SIM_S));
    link->cut = true;
    link->known = false;
    sim_cancel(sim, &link->forget);
    link_free_if_done(sim, link);
}

void net_deafen(struct sim *sim, bool power)
{
    struct tri_map *links = &sim->net->links;
    struct link **all = tri_alloc(links->count + 1, sizeof(struct link *));
    size_t count = 0;
    uint64_t number;
    void *link;

    sim->net->is_deaf = true;
    for (size_t at = 0; tri_map_next(links, &at, &number, &link);)
        all[count++] = link;
    qsort(all, count, sizeof(struct link *), by_number);
    for (size_t i = 0; i < count; i++)
        lose_link(sim, all[i], power);
    free(all);
}

void net_listen(struct sim *sim)
{
    sim->net->is_deaf = false;
}

/* ---- life ----------------------------------------------------------------------------------- */

void net_begin(struct sim *sim)
{
    sim->net = tri_alloc(1, sizeof(*sim->net));
    tri_map_init(&sim->net->links);
}

/* All sockets have been closed. */
void net_end(struct sim *sim)
{
    uint64_t key;
    void *value;

    for (size_t at = 0; tri_map_next(&sim->net->links, &at, &key, &value);) {
        struct link *link = value;

        tri_assert(link->socket == NULL);
        lose_letters(sim, &link->up.letters);
        link->known = false;
        link_free_if_done(sim, link);
    }
    tri_map_deinit(&sim->net->links);
    free(sim->net);
    sim->net = NULL;
}
